"""A JULABO circulator as its serial line shows it, over the bench's bath and cell temperature."""

import math
import re

from labctl.instrument import Options
from labctl.sim.bench import Bench

VERSION = "JULABO CRYOCOMPACT CF31 VERSION 5.0"
ANOTHER = "JULABO CRYOCOMPACT CF31 VERSION 4.0"
LIMITS = (-30.0, 200.0)
"""Working temperature range of a CF31, °C."""
SAFETY_CUTOFF = 100.0
"""Setting of the over-temperature protection (assumed)."""
HEATER_POWER = 2000.0
"""W at 100 % (assumed)."""
BATH_OFFSET, PROBE_OFFSET, NOISE = 0.03, -0.05, 0.01
"""Errors of the two Pt100 in K (assumed: class A is ±0.15 K at 0 °C)."""
NO_PROBE, NOT_A_NUMBER = "999.99", "----"
"""What it sends of a temperature that it cannot measure, and where its converter fails; both assumed."""
MODES = ("00", "01", "02", "03", "04")
"""Modes kept as plain values: 01 selects the set point; the others have no effect on the simulated bath."""
NUMBER = re.compile(r"[+-]?\d{1,3}(\.\d{1,2})?")


class Simulator:
    """One circulator; `remote` is what someone chose in its menu."""

    def __init__(self, bench: Bench, port: str, options: Options) -> None:
        self.remote = True
        self._bench = bench
        self._line = bytearray()
        self._running = False
        self._setpoints = {"00": 25.0, "01": 30.0, "02": 35.0}
        self._modes = dict.fromkeys(MODES, "0")
        self._error = ""
        self._version = VERSION
        self._trouble = bench.trouble(port)
        self._felt_bath = self._trouble.quantity(lambda: bench.room.bath)
        self._felt_cell = self._trouble.quantity(lambda: bench.room.cell)
        now = self._trouble.measured_at
        self._bath = bench.sensor(f"{port}.bath", offset=BATH_OFFSET, noise=NOISE, now=now)
        self._probe = bench.sensor(f"{port}.external", offset=PROBE_OFFSET, noise=NOISE, now=now)

    def receive(self, data: bytes) -> bytes:
        """Take bytes; queries are answered at their carriage return, commands are not."""
        self._line += data
        *messages, rest = self._line.split(b"\r")
        self._line = bytearray(rest)
        answers = (self._message(m.decode("ascii", "replace").strip().lower()) for m in messages)
        return b"".join(f"{answer}\r\n".encode("ascii") for answer in answers if answer is not None)

    def reset_line(self) -> None:
        """Forget a half-received message."""
        self._line.clear()

    def restart(self, *, other: bool = False) -> None:
        """Come back from a power cut: in remote control it does not start by itself; `other`: another version."""
        self._version = ANOTHER if other else VERSION
        self._line.clear()
        self._error = ""
        self._running = False
        self._regulate()

    def _message(self, message: str) -> str | None:
        name, _, argument = message.partition(" ")
        answer = self._answer(name)
        if answer is None and name.startswith("out_"):
            self._command(name.removeprefix("out_"), argument)
        elif answer is None:
            self._error = "-08 INVALID COMMAND"
        return answer

    def _answer(self, name: str) -> str | None:
        room = self._bench.room
        match name.split("_"):
            case ["version"]:
                return self._version
            case ["status"]:
                return self._status()
            case ["in", "pv", "00" | "03"]:
                return self._shown(self._bath.read(self._felt_bath()))
            case ["in", "pv", "01"]:
                return f"{100 * room.heater_power / HEATER_POWER:.0f}"
            case ["in", "pv", "02"]:
                return self._shown(self._probe.read(self._felt_cell()))
            case ["in", "pv", "04"]:
                return self._shown(SAFETY_CUTOFF)
            case ["in", "sp", index] if index in self._setpoints:
                return self._shown(self._setpoints[index])
            case ["in", "mode", "05"]:
                return str(int(self._running))
            case ["in", "mode", mode] if mode in self._modes:
                return self._modes[mode]
        return None

    def _shown(self, celsius: float) -> str:
        """Write a temperature in the unit of the display, which is °F where somebody chose that."""
        if not math.isfinite(celsius):
            return NOT_A_NUMBER if math.isnan(celsius) else NO_PROBE
        return f"{1.8 * celsius + 32:.2f}" if self._trouble.wrong_unit else f"{celsius:.2f}"

    def _status(self) -> str:
        """Tell the last error once (assumed), then the operating mode."""
        error, self._error = self._error, ""
        who = "REMOTE" if self.remote else "MANUAL"
        does = "START" if self._running else "STOP"
        return error or f"{2 * self.remote + self._running:02} {who} {does}"

    def _command(self, name: str, argument: str) -> None:
        if not self.remote:
            self._error = "-09 COMMAND NOT ALLOWED IN CURRENT OPERATING MODE"
            return
        match name.split("_"):
            case ["mode", "05"] if argument in ("0", "1"):
                self._running = argument == "1"
            case ["mode", mode] if mode in self._modes and argument.isdecimal():
                self._modes[mode] = argument
            case ["sp", index] if index in self._setpoints and NUMBER.fullmatch(argument):
                self._set_point(index, float(argument))
            case _:
                self._error = "-08 INVALID COMMAND"
        self._regulate()

    def _set_point(self, index: str, celsius: float) -> None:
        if celsius < LIMITS[0]:
            self._error = "-10 VALUE TOO SMALL"
        elif celsius > LIMITS[1]:
            self._error = "-11 VALUE TOO LARGE"
        else:
            self._setpoints[index] = round(celsius, 2)

    def _regulate(self) -> None:
        """Regulate to the selected set point (in_mode_01), or not at all."""
        selected = self._setpoints.get(f"0{self._modes['01']}", self._setpoints["00"])
        self._bench.room.regulate(selected if self._running else None)
