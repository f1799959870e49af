"""The TMCM module as its line sees it: frames, axis parameters, position mode, stop and brake."""

import math

from drivers.trinamic_tmcl.driver import TrinamicTMCL
from drivers.trinamic_tmcl.frame import HOST, SUCCESS, Command, Frames, Reply, Request, decode_request
from drivers.trinamic_tmcl.models import APPLICATION_STATUS, AUTO_START, MODELS, Parameter
from labctl.sim.bench import Bench, screw_side
from labctl.sim.servo import Servo

WRONG_CHECKSUM, INVALID_COMMAND, WRONG_TYPE, INVALID_VALUE, NOT_AVAILABLE = 1, 2, 3, 4, 6
FIRMWARE = 0x010A
"""1.10; assumed."""
PLAY = 0.25 / 360
"""Turns of the motor between it and the screw when the direction changes: 15 arcmin, assumed."""
MOST = {Parameter.MAX_CURRENT: 20_000, Parameter.MAX_VELOCITY: 200_000}
"""mA and rpm; assumed."""
MEASURED = (Parameter.ACTUAL_POSITION, Parameter.ACTUAL_VELOCITY, Parameter.ACTUAL_TORQUE, Parameter.STATUS_FLAGS)
"""Parameters that setting does not change: the module takes the command, and that is all."""
STOP, VELOCITY, POSITION, TORQUE = 0x0100, 0x0200, 0x0400, 0x0800
"""Status flags of the mode that it is in."""
POSITION_END, INITIALISED = 0x4000, 0x8000
ABSOLUTE, RELATIVE = 0, 1


class Refusal(Exception):
    """The status for a command that it does not carry out."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Simulator:
    """One module whose motor turns the screw of the bench's rig.

    It moves in position mode only: torque is taken and shows, but turns nothing, and velocities are refused. Of the
    axis parameters it has those of models.py.

    Attributes:
        errors: bits of Status Flags that a person or a fault has set.
    """

    def __init__(self, bench: Bench, port: str, options: TrinamicTMCL.Options) -> None:
        model = MODELS[options.model]
        self.errors = 0
        self._bench = bench
        self._options = options
        self._buffer = bytearray()
        self._number = model.number
        self._firmware = FIRMWARE
        self._names = {number: parameter for parameter, number in model.parameters.items()}
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
        self._stored = dict.fromkeys(model.parameters, 0) | {
            Parameter.COMMUTATION_MODE: min(model.closed_loop),
            Parameter.COUNTS_PER_TURN: options.counts_per_turn,
            Parameter.MAX_CURRENT: math.ceil(1000 * options.torque_limit / options.torque_per_ampere - 1e-9),
            Parameter.MAX_VELOCITY: 4000,
            Parameter.MAX_ACCELERATION: 4000,
            Parameter.ENABLE_RAMP: 1,
            Parameter.ENABLE_DRIVER: 1,
            Parameter.ENABLE_BRAKE_OUTPUT: 1,
        }
        self._globals = {65: 0, 66: options.address, 76: HOST, AUTO_START: 0, APPLICATION_STATUS: 0}
        self._parameters = dict(self._stored)
        self._mode = STOP
        bench.attach(servo)

    def receive(self, data: bytes) -> bytes:
        """Take bytes and return the replies that they bring about."""
        self._buffer += data
        replies = b""
        while (frame := Frames().take(self._buffer)) is not None:
            replies += self._answer(frame)
        return replies

    def reset_line(self) -> None:
        """Forget half a frame."""
        self._buffer.clear()

    def restart(self, *, other: bool = False) -> None:
        """Lose power and get it back: positions and what was not stored are forgotten; `other`: with other firmware."""
        self._firmware = FIRMWARE + other
        self._buffer.clear()
        self._parameters = dict(self._stored)
        self._servo.restart(0)
        self._mode = STOP

    # -- what a person at the bench can do -------------------------------------------------------------------------

    def get(self, parameter: Parameter) -> int:
        """Return a parameter as it would be read."""
        match parameter:
            case Parameter.ACTUAL_POSITION:
                return self._encoder()
            case Parameter.ACTUAL_VELOCITY:
                return round(60 * self._servo.velocity / self._options.counts_per_turn)
            case Parameter.ACTUAL_TORQUE:
                return self._servo.direction * self._current()
            case Parameter.STATUS_FLAGS:
                arrived = self._mode == POSITION and self._servo.direction == 0
                return self.errors | self._mode | INITIALISED | (POSITION_END if arrived else 0)
        return self._parameters[parameter]

    def set(self, parameter: Parameter, value: int) -> None:
        """Set a parameter as a command would, without any check."""
        if parameter in MEASURED:
            return
        self._parameters[parameter] = value
        if parameter is Parameter.TARGET_POSITION:
            self._mode = POSITION
        elif parameter is Parameter.TARGET_TORQUE:
            self._mode = TORQUE
        self._drive()

    def store(self, parameter: Parameter, value: int) -> None:
        """Set a parameter, also for the next time that it is switched on."""
        self._stored[parameter] = value
        self._parameters[parameter] = value

    def set_global(self, number: int, value: int) -> None:
        """Set a global parameter past all rules."""
        self._globals[number] = value

    # -- commands --------------------------------------------------------------------------------------------------

    def _answer(self, frame: bytes) -> bytes:
        if frame[0] != self._options.address:
            return b""
        try:
            request = decode_request(frame)
        except ValueError:
            return Reply(HOST, self._options.address, WRONG_CHECKSUM, 0, 0).encode()
        if (request.command, request.type) == (Command.FIRMWARE_VERSION, 0):
            major, minor = divmod(self._firmware, 256)
            return bytes([HOST]) + f"{self._number}V{major}{minor:02d}".encode()  # this one has no checksum
        status, value = SUCCESS, request.value
        try:
            value = self._carry_out(request)
        except Refusal as refusal:
            status = refusal.status
        return Reply(HOST, self._options.address, status, request.command, value).encode()

    def _carry_out(self, request: Request) -> int:
        """Return the value of the reply; raises Refusal."""
        match request.command:
            case Command.FIRMWARE_VERSION:
                return self._number << 16 | self._firmware
            case Command.GAP | Command.SAP | Command.STAP | Command.RSAP:
                return self._axis_parameter(request)
            case Command.GGP | Command.SGP:
                return self._global_parameter(request)
            case Command.MVP:
                self._move(request)
            case Command.MST:
                self._mode = VELOCITY  # whose velocity is zero
                self._servo.stop()
            case Command.STOP_APPLICATION:
                self._globals[APPLICATION_STATUS] = 0
            case Command.ROR | Command.ROL:
                raise Refusal(NOT_AVAILABLE)
            case _:
                raise Refusal(INVALID_COMMAND)
        return request.value

    def _axis_parameter(self, request: Request) -> int:
        parameter = self._names.get(request.type)
        if parameter is None:
            raise Refusal(WRONG_TYPE)
        if request.motor != 0:
            raise Refusal(INVALID_VALUE)
        match request.command:
            case Command.GAP:
                return self.get(parameter)
            case Command.STAP:
                self._stored[parameter] = self.get(parameter)
            case Command.RSAP:
                self.set(parameter, self._stored[parameter])
            case _:
                if parameter in MOST and not 0 <= request.value <= MOST[parameter]:
                    raise Refusal(INVALID_VALUE)
                self.set(parameter, request.value)
        return request.value

    def _global_parameter(self, request: Request) -> int:
        if request.motor != 0 or request.type not in self._globals:
            raise Refusal(WRONG_TYPE)
        if request.command == Command.SGP and request.type != APPLICATION_STATUS:
            self._globals[request.type] = request.value
        return self._globals[request.type]

    def _move(self, request: Request) -> None:
        if request.type not in (ABSOLUTE, RELATIVE) or request.motor != 0:
            raise Refusal(WRONG_TYPE)
        start = self._encoder() if request.type == RELATIVE else 0
        self.set(Parameter.TARGET_POSITION, start + request.value)

    # -- motion ----------------------------------------------------------------------------------------------------

    def _drive(self) -> None:
        """Go on to the target, or stand: the driver is off, the brake is engaged, or it is not in position mode."""
        braked = Parameter.RELEASE_BRAKE in self._parameters and not self._parameters[Parameter.RELEASE_BRAKE]
        braked = braked and self._options.holds == "brake"
        if self._mode != POSITION or braked or not self._parameters[Parameter.ENABLE_DRIVER]:
            self._servo.stop()
            return
        self._servo.drive(
            self._bench.time,
            goal=self._parameters[Parameter.TARGET_POSITION] - self._misplaced(),
            speed=self._parameters[Parameter.MAX_VELOCITY] / 60 * self._options.counts_per_turn,
            torque=self._parameters[Parameter.MAX_CURRENT] / 1000 * self._options.torque_constant,
        )

    def _encoder(self) -> int:
        """Return the position that the encoder tells, in counts."""
        return _saturated(self._angle() * self._servo.counts_per_radian)

    def _misplaced(self) -> int:
        """Return by how many counts the encoder is wrong; the module goes by it, so its goals are wrong as much."""
        return self._encoder() - self._servo.position if math.isfinite(self._angle()) else 0

    def _current(self) -> int:
        """Return the magnitude of the motor's current, mA."""
        if self._servo.stalled:
            return self._parameters[Parameter.MAX_CURRENT]
        return _saturated(1000 * self._load() / self._options.torque_constant)


def _saturated(value: float) -> int:
    """Round to what the four bytes of a value hold."""
    most = (1 << 31) - 1
    return round(min(max(value, -most), most))
