"""The ODrive v3 as its serial line sees it: ASCII commands, properties of one axis, position control and watchdog."""

import math
import re

from drivers.odrive_v3 import errors
from drivers.odrive_v3.condition import MECHANICAL_BRAKE
from drivers.odrive_v3.driver import CLOSED_LOOP, IDLE, PASSTHROUGH, POSITION_CONTROL, OdriveV3
from drivers.odrive_v3.line import checksum
from drivers.odrive_v3.properties import LONGEST
from labctl.sim.bench import Bench, screw_side
from labctl.sim.servo import HostWatchdog, Servo

AXES = 2
LONGEST_LINE = 256
PLAY = 0.25 / 360
"""Turns of the motor between it and the screw when the direction changes: 15 arcmin, assumed."""
SERIAL, ANOTHER = "2065339F304B", "2065339F304C"
"""Twelve hexadecimal digits; assumed."""
INVALID_STATE = 0x01
MODES = {"p": POSITION_CONTROL, "v": 2, "c": 1}
"""Control mode that a set point brings with it."""
_LINE_END = re.compile(rb"[\r\n!]")

Value = bool | int | float


class Simulator:
    """One board whose axis turns the screw of the bench's rig.

    It moves in position control with inputs passed through; torques and velocities are taken and turn nothing. Of the
    properties it has those that a rig needs; `h`, `t`, `es`, and the states of calibration are not simulated.
    """

    def __init__(self, bench: Bench, port: str, options: OdriveV3.Options) -> None:
        self._bench = bench
        self._options = options
        self._buffer = b""
        self._firmware = (0, 5, 6)
        self._hardware = "3.6-56V"
        self._serial = SERIAL
        self._servo = servo = Servo(
            bench.rig,
            options.counts_per_turn,
            options.turns,
            play=PLAY * options.counts_per_turn,
            side=screw_side(port),
        )
        trouble = bench.trouble(port)
        self._angle = trouble.quantity(lambda: servo.position / servo.counts_per_radian)
        self._load = trouble.quantity(lambda: servo.load, drifts=False)
        self._watchdog = HostWatchdog(self._bitten)
        self._stored = self._factory(options)
        self._values = dict(self._stored)
        bench.attach(servo)
        bench.attach(self._watchdog)

    def receive(self, data: bytes) -> bytes:
        """Take bytes and return the answers of the lines that they complete."""
        *lines, self._buffer = _LINE_END.split(self._buffer + data)
        self._buffer = self._buffer if len(self._buffer) < LONGEST_LINE else b""
        return b"".join(self._line(line) for line in lines)

    def reset_line(self) -> None:
        """Forget half a line."""
        self._buffer = b""

    def restart(self, *, other: bool = False) -> None:
        """Lose power and get it back: positions, limits and what was not saved are forgotten."""
        self._serial = ANOTHER if other else SERIAL
        self._buffer = b""
        self._values = dict(self._stored)
        self._servo.restart(0)
        self._watch()

    # -- what a person at the bench can do -------------------------------------------------------------------------

    def get(self, path: str) -> Value:
        """Return a property of the axis."""
        match path:
            case "motor.current_control.Iq_measured":
                return self._servo.direction * self._current()
        return self._values[path]

    def set(self, path: str, value: Value) -> None:
        """Set a property of the axis past all rules, as another program or a fault would."""
        self._values[path] = value
        if path == "error" and value:
            self._disarm()
        elif path == "requested_state":
            self._request(int(value))
        elif path in ("config.enable_watchdog", "config.watchdog_timeout"):
            self._watch()
        else:
            self._drive()

    def save(self, path: str, value: Value) -> None:
        """Set a property, also for the next time that it is switched on."""
        self._stored[path] = value
        self.set(path, value)

    def version(self, hardware: str, *firmware: int) -> None:
        """Be a board of another kind, or with another firmware."""
        self._hardware, self._firmware = hardware, (firmware[0], firmware[1], firmware[2])

    # -- lines -----------------------------------------------------------------------------------------------------

    def _line(self, line: bytes) -> bytes:
        """Return the answer to a line; one whose checksum is wrong is ignored."""
        text, star, told = line.partition(b";")[0].partition(b"*")
        if star and not (told.strip().isdigit() and int(told) == checksum(text)):
            return b""
        answers = self._carry_out(text.decode("latin-1").split())
        sums = (b"*%d" % checksum(answer) if star else b"" for answer in answers)
        return b"".join(answer + summed + b"\r\n" for answer, summed in zip(answers, sums, strict=True))

    def _carry_out(self, words: list[str]) -> list[bytes]:
        match words:
            case ["i"]:
                firmware = ".".join(map(str, self._firmware))
                told = (
                    f"Hardware version: {self._hardware}",
                    f"Firmware version: {firmware}",
                    f"Serial number: {self._serial}",
                )
                return [line.encode() for line in told]
            case ["r", path, *_]:
                return [self._told(path)]
            case ["w", path, value, *_]:
                return self._write(path, value)
            case ["sc"]:
                self.set("error", 0)
                return []
            case ["sr"]:
                self.restart()
                return []
            case [("f" | "u" | "p" | "q" | "v" | "c"), *_]:
                return self._motor(words)
        return [b"unknown command"]

    def _motor(self, words: list[str]) -> list[bytes]:
        """Carry out what names a motor."""
        command, *rest = words
        numbers = [_number(word) for word in rest]
        least = 1 if command in "fu" else 2
        if len(numbers) < least or any(number is None for number in numbers):
            return [b"invalid command format"]
        axis, *values = [float(number or 0.0) for number in numbers]
        if axis not in range(AXES):
            return [b"invalid motor %d" % axis]
        if axis != self._options.axis:
            return [b"0.000000 0.000000"] if command == "f" else []
        if command == "f":
            counts = self._options.counts_per_turn
            return [b"%f %f" % (self._encoder() / counts, self._servo.velocity / counts)]
        if command == "q":
            limits = ("controller.config.vel_limit", "motor.config.torque_lim")
            self._values.update(zip(limits, values[1:], strict=False))
        self._set_point(command, values)
        self._watchdog.feed(self._bench.time)
        return []

    def _set_point(self, command: str, values: list[float]) -> None:
        inputs = {"p": "input_pos", "q": "input_pos", "v": "input_vel", "c": "input_torque"}
        if command in inputs:
            self._values[f"controller.{inputs[command]}"] = values[0]
            self.set("controller.config.control_mode", MODES.get(command, POSITION_CONTROL))

    def _told(self, path: str) -> bytes:
        value = self._find(path)
        if value is None:
            return b"invalid property"
        text = f"{value:f}" if isinstance(value, float) else f"{int(value)}"
        return text[:LONGEST].encode()

    def _find(self, path: str) -> Value | None:
        axis, _, own = path.partition(".")
        if axis == f"axis{self._options.axis}" and own in self._values:
            return self.get(own)
        pin = self._values["mechanical_brake.config.gpio_num"]
        return self._values["gpio_mode"] if path == f"config.gpio{pin}_mode" else None

    def _write(self, path: str, written: str) -> list[bytes]:
        old, new = self._find(path), _number(written)
        own = path.partition(".")[2]
        if old is None:
            return [b"invalid property"]
        if new is None or own in READ_ONLY:
            return [b"not implemented"]
        self.set(own, type(old)(new))
        return []

    # -- the axis --------------------------------------------------------------------------------------------------

    def _request(self, state: int) -> None:
        """Go into a state; the request is consumed."""
        self._values["requested_state"] = 0
        if state == CLOSED_LOOP and self._values["motor.is_calibrated"] and self._values["encoder.is_ready"]:
            self._watchdog.feed(self._bench.time)
            if not self._values["error"]:
                self._values["current_state"] = CLOSED_LOOP
                self._values["controller.input_pos"] = self._encoder() / self._options.counts_per_turn
        elif state == IDLE:
            self._disarm()
        elif state:
            self._values["error"] = int(self._values["error"]) | INVALID_STATE
            self._disarm()

    def _disarm(self) -> None:
        self._values["current_state"] = IDLE
        self._servo.stop()

    def _watch(self) -> None:
        enabled = self._values["config.enable_watchdog"]
        self._watchdog.watch(float(self._values["config.watchdog_timeout"]) if enabled else 0.0)

    def _bitten(self) -> None:
        self._values["error"] = int(self._values["error"]) | errors.WATCHDOG_EXPIRED
        self._disarm()

    def _drive(self) -> None:
        values = self._values
        modes = (values["controller.config.control_mode"], values["controller.config.input_mode"])
        if values["current_state"] != CLOSED_LOOP or modes != (POSITION_CONTROL, PASSTHROUGH):
            self._servo.stop()
            return
        self._servo.drive(
            self._bench.time,
            goal=round(values["controller.input_pos"] * self._options.counts_per_turn) - self._misplaced(),
            speed=values["controller.config.vel_limit"] * self._options.counts_per_turn,
            torque=self._torque_limit(),
        )

    def _torque_limit(self) -> float:
        values = self._values
        by_current = values["motor.config.current_lim"] * values["motor.config.torque_constant"]
        return min(values["motor.config.torque_lim"], by_current)

    def _encoder(self) -> float:
        """Return the position that the encoder tells, in counts; not finite where it fails."""
        return self._angle() * self._servo.counts_per_radian

    def _misplaced(self) -> int:
        """Return by how many counts the encoder is wrong; the board goes by it, so its goals are wrong as much."""
        told = self._encoder()
        return round(told) - self._servo.position if math.isfinite(told) else 0

    def _current(self) -> float:
        """Return the magnitude of the motor's current, A."""
        torque = self._torque_limit() if self._servo.stalled else self._load()
        return torque / float(self._values["motor.config.torque_constant"])

    @staticmethod
    def _factory(options: OdriveV3.Options) -> dict[str, Value]:
        """Return the properties of a board that somebody has set up for this rig."""
        return {
            "error": 0,
            "motor.error": 0,
            "encoder.error": 0,
            "controller.error": 0,
            "current_state": IDLE,
            "requested_state": 0,
            **{f"config.startup_{name}": False for name in STARTUPS},
            "config.enable_step_dir": False,
            "config.enable_sensorless_mode": False,
            "config.watchdog_timeout": 0.0,
            "config.enable_watchdog": False,
            "motor.is_calibrated": True,
            "motor.config.torque_constant": options.torque_constant,
            "motor.config.torque_lim": math.inf,
            "motor.config.current_lim": math.ceil(10 * options.torque_limit / options.torque_per_ampere) / 10,
            "motor.current_control.Iq_measured": 0.0,
            "encoder.is_ready": True,
            "encoder.config.cpr": options.counts_per_turn,
            "controller.input_pos": 0.0,
            "controller.input_vel": 0.0,
            "controller.input_torque": 0.0,
            "controller.config.control_mode": POSITION_CONTROL,
            "controller.config.input_mode": PASSTHROUGH,
            "controller.config.vel_limit": 2.0,
            "controller.config.enable_vel_limit": True,
            "controller.config.circular_setpoints": False,
            "controller.config.load_encoder_axis": options.axis,
            "mechanical_brake.config.gpio_num": 0,
            "gpio_mode": MECHANICAL_BRAKE if options.holds == "brake" else 0,
        }


STARTUPS = (
    "motor_calibration",
    "encoder_index_search",
    "encoder_offset_calibration",
    "homing",
    "closed_loop_control",
)
READ_ONLY = ("current_state", "motor.is_calibrated", "encoder.is_ready", "motor.current_control.Iq_measured")


def _number(word: str) -> float | None:
    """Read a number as sscanf does, where the whole word is one."""
    try:
        return float(word)
    except ValueError:
        return None
