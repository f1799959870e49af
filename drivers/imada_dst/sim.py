"""The DST/DSV gauge as its line sees it: readings with unit, mode and judgement, set points, and a strain gauge."""

import math

from drivers.force import KILOGRAM, POUND
from drivers.imada_dst.driver import DONE, ERROR, GREETING, OVERLOAD, SET_POINTS, ImadaDst
from drivers.strain_gauge import StrainGauge
from labctl.sim.bench import Bench
from labctl.sim.rig import Side

DIGITS = 4
"""Of a reading, beside its point."""
LARGEST = 10**DIGITS - 1
OVERLOAD_AT = 1.1
"""Of the capacity; assumed."""
FOREIGN_UNIT = "K"
"""What somebody chooses at the gauge when the unit is made wrong on purpose."""
MEMORY = ("OM", "OC0", "OC1")
"""Commands of its memory of readings, which is not simulated."""
OTHER_HIGH = 1234
"""Upper set point of another gauge."""


class Simulator:
    """One gauge that feels the force on one side of the bench's rig.

    Attributes:
        unit: N, K or O.
        mode: T or P; peaks are not simulated, they read as the present force.
        set_points: high and low, in steps of the last digit.
    """

    def __init__(self, bench: Bench, port: Side, options: ImadaDst.Options) -> None:
        self.unit, self.mode = "N", "T"
        self.set_points = (LARGEST, 0)
        self._capacity = options.capacity
        sign = 1 if options.compression == "positive" else -1
        self._gauge = StrainGauge(bench, port, "imada-dst", options.capacity, sign)
        self._zero = 0.0
        self._buffer = b""
        self._greeting = b""

    def receive(self, data: bytes) -> bytes:
        """Take commands that end with CR and return their answers; the first after a restart is its greeting."""
        *commands, self._buffer = (self._buffer + data).split(b"\r")
        answers = b"".join(self._carry_out(command.decode("latin-1")).encode() + b"\r" for command in commands)
        if not answers:
            return b""
        greeting, self._greeting = self._greeting, b""
        return greeting + answers

    def reset_line(self) -> None:
        """Forget half a command."""
        self._buffer = b""

    def restart(self, *, other: bool = False) -> None:
        """Come back from a power cut without its zero; `other`: a gauge with other set points."""
        self.set_points = (OTHER_HIGH if other else LARGEST, 0)
        self._zero = 0.0
        self._buffer = b""
        self._greeting = GREETING

    def _carry_out(self, command: str) -> str:
        if command == "D":
            return self._reading()
        if command == "E":
            return "E{:04d}{:04d}".format(*self.set_points)
        if command == "Z":
            felt = self._gauge.read()
            self._zero = felt if math.isfinite(felt) else self._zero
        elif command in ("N", "K", "O"):
            self.unit = command
        elif command in ("T", "P"):
            self.mode = command
        elif match := SET_POINTS.fullmatch(command):
            self.set_points = (int(match[1]), int(match[2]))
        elif command not in MEMORY:
            return ERROR
        return DONE

    def _reading(self) -> str:
        felt = self._gauge.read()
        unit = FOREIGN_UNIT if self._gauge.trouble.wrong_unit else self.unit
        newton = {"N": 1.0, "K": KILOGRAM, "O": POUND}[unit]
        decimals = max(0, DIGITS - 1 - math.floor(math.log10(self._capacity / newton)))
        if math.isnan(felt):
            return f"+{'-' * DIGITS}{unit}{self.mode}O"
        steps = round(min(abs(felt - self._zero) / newton * 10**decimals, LARGEST))
        negative = felt < self._zero and steps
        text = f"{steps / 10**decimals:0{DIGITS + bool(decimals)}.{decimals}f}"
        return f"{'-' if negative else '+'}{text}{unit}{self.mode}{self._state(felt, -steps if negative else steps)}"

    def _state(self, felt: float, steps: int) -> str:
        high, low = self.set_points
        if abs(felt) > OVERLOAD_AT * self._capacity:
            return OVERLOAD
        if steps > high:
            return "H"
        return "L" if steps < low else "O"
