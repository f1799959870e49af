"""The DI-100/DI-1000 interface as its serial line sees it: bare numbers, its unit when asked, and a strain gauge."""

import math

from drivers.force import NEWTON, UnitOfForce
from drivers.loadstar_di.driver import BAD, READY, TARED, LoadstarDi
from drivers.strain_gauge import StrainGauge
from labctl.sim.bench import Bench
from labctl.sim.rig import Side

NAMES: dict[UnitOfForce, str] = {"N": "N", "kN": "kN", "kgf": "Kg", "gf": "g", "lbf": "LB", "ozf": "oz"}
"""What it calls its units; N, Kg and LB are those that a client knows, the others are assumed."""
FOREIGN_UNIT: dict[bool, UnitOfForce] = {False: "kgf", True: "lbf"}
"""What somebody sets when the unit is made wrong on purpose: another one, also where it is kgf already."""
SATURATED = 1.5
"""Of the capacity: where its converter ends; assumed."""
COUNTS = 4_000_000
"""Of its converter at the capacity; assumed."""
SERIALS = {False: "W1234-5678", True: "W1234-5679"}
"""Another interface has another identifier."""


class Simulator:
    """One interface whose load cell feels the force on one side of the bench's rig.

    Attributes:
        unit: of its calibration.
    """

    def __init__(self, bench: Bench, port: Side, options: LoadstarDi.Options) -> None:
        self.unit = options.unit
        self._scale = options.scale
        self._capacity = options.capacity
        self._gauge = StrainGauge(
            bench, port, "loadstar-di", options.capacity, 1 if options.compression == "positive" else -1
        )
        self._serial = SERIALS[False]
        self._zero = 0.0
        self._saved_zero = 0.0
        self._buffer = b""

    def receive(self, data: bytes) -> bytes:
        """Take commands that end with CR, in capitals or not, and return their answers."""
        *commands, self._buffer = (self._buffer + data.replace(b"\n", b"")).split(b"\r")
        return b"".join(self._answer(c.decode("latin-1").strip().upper()).encode() + b"\r\n" for c in commands)

    def reset_line(self) -> None:
        """Forget half a command."""
        self._buffer = b""

    def restart(self, *, other: bool = False) -> None:
        """Come back from a power cut with the zero that was saved; `other`: with another identifier."""
        self._serial = SERIALS[other]
        self._zero = self._saved_zero
        self._buffer = b""

    def _answer(self, command: str) -> str:
        unit = FOREIGN_UNIT[self.unit == "kgf"] if self._gauge.trouble.wrong_unit else self.unit
        match command:
            case "":
                return READY
            case "MODEL":
                return "FCM DI-1000"
            case "ID":
                return self._serial
            case "UNIT" | "UNITS":
                return NAMES[unit]
            case "LC":
                return f"{self._capacity / NEWTON[unit]:.2f}"
            case "W":
                return f"{(self._felt() - self._zero) / NEWTON[unit] / self._scale:.4f}"
            case "R" if math.isfinite(felt := self._felt()):
                return str(round(felt / self._capacity * COUNTS))
            case "TARE" | "CT0":
                return self._tare(save=command == "CT0")
        return BAD

    def _tare(self, *, save: bool) -> str:
        if not math.isfinite(felt := self._felt()):
            return BAD
        self._zero = felt
        self._saved_zero = felt if save else self._saved_zero
        return TARED

    def _felt(self) -> float:
        felt, end = self._gauge.read(), SATURATED * self._capacity
        return min(max(felt, -end), end) if not math.isnan(felt) else felt
