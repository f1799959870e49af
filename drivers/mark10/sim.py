"""The Series 5 gauge as its serial line sees it: GCL2 commands, units, tare, and a sensor with errors."""

import math
import re

from drivers.mark10.driver import ACCURACY, ERRORS, NEWTON, OVERLOAD, Mark10
from labctl.sim.bench import Bench
from labctl.sim.rig import Side

DIVISIONS = 5000
"""Steps in the capacity: 50 lbF in steps of 0.01 lbF (Mark-10, "Capacity x Resolution", M5-50)."""
OFFSET, GAIN_ERROR, DRIFT_PER_DAY = 0.5 * ACCURACY, 0.3 * ACCURACY, 0.05 * ACCURACY
"""Of the capacity; that the accuracy divides into them so is assumed."""
NOISE = 0.1 * ACCURACY
"""Standard deviation over the capacity; assumed: half a step."""
OVERLOAD_AT = 1.1
"""Of the capacity; assumed. That the display says OVER is known, that the serial line says so is assumed."""

UNITS = {"LB": "lbF", "OZ": "ozF", "KG": "kgF", "G": "gF", "N": "N", "KN": "kN", "MN": "mN"}
PERSONALITY = {"RN": "Digital Force Gauge", "RM": "M5", "RS": "1000001", "RV": "1.00"}
"""What a real gauge answers is not in the manual; assumed."""
ANOTHER = PERSONALITY | {"RS": "1000002"}
FOREIGN_UNIT = "lbF"
"""What somebody chooses at the gauge when the unit is made wrong on purpose."""
NOT_A_NUMBER = "NaN"
"""What a gauge whose converter has failed sends; assumed."""
NUMBERED = {"AOFF": 30, "AOUT": 250, "IPOL": 1, "OPOL": 1, "FLTC": 10, "FLTP": 10}
"""Settings with a number, and the largest that each takes."""
ILLEGAL, INVALID, TOO_LARGE = "*10", "*12", "*22"
assert {ILLEGAL, INVALID, TOO_LARGE} <= ERRORS.keys()


class Simulator:
    """One gauge that feels the force on one side of the bench's rig.

    Attributes:
        unit: of its readings, as they are printed.
        units_sent: whether they are ("FULL") or not ("NUM").
        mode: CUR, PT or PC.
        numbers: the other settings that LIST shows.
        stuck: a reading in N that it repeats whatever the force is, or None.
    """

    def __init__(self, bench: Bench, port: Side, options: Mark10.Options) -> None:
        self.unit = "N"
        self.units_sent = True
        self.mode = "CUR"
        self.numbers = {
            "FLTC": 8,
            "FLTP": 1,
            "AOUT": 0,
            "AOFF": 5,
            "IPOL": int(options.compression == "negative"),
            "OPOL": 0,
        }
        self.stuck: float | None = None
        self._capacity = options.capacity
        self._personality = PERSONALITY
        self._trouble = bench.trouble(port)
        self._force = self._trouble.quantity(lambda: bench.rig.indicated(port))
        self._zero = 0.0
        self._buffer = b""
        self._sensor = bench.sensor(
            f"mark10 {port}",
            offset=OFFSET * self._capacity,
            gain_error=GAIN_ERROR,
            drift_per_day=DRIFT_PER_DAY * self._capacity,
            noise=NOISE * self._capacity,
            now=self._trouble.measured_at,
        )

    def receive(self, data: bytes) -> bytes:
        """Take commands that end with CR, or CR LF, and return what they answer."""
        *lines, self._buffer = (self._buffer + data.replace(b"\n", b"")).split(b"\r")
        answers = (self._carry_out(line.decode("latin-1").strip()) for line in lines)
        return b"".join(answer.encode("latin-1") + b"\r\n" for answer in answers if answer)

    def reset_line(self) -> None:
        """Forget half a command."""
        self._buffer = b""

    def restart(self, *, other: bool = False) -> None:
        """Come back from a power cut with what was last saved; `other`: with another serial number."""
        self._personality = ANOTHER if other else PERSONALITY
        self._buffer = b""
        self.unit, self.units_sent, self.mode = "N", True, "CUR"
        self.numbers.update(AOUT=0, AOFF=5)
        self._zero = 0.0

    def _carry_out(self, command: str) -> str:
        """Return the answer; settings have none."""
        if command in ("?", "?C"):
            return self._reading()
        if command == "LIST":
            return self._list()
        if command in self._personality:
            return self._personality[command]
        numbered = re.fullmatch(r"([A-Z]+)(\d+)", command)
        if command in UNITS:
            self.unit = UNITS[command]
        elif command in ("FULL", "NUM"):
            self.units_sent = command == "FULL"
        elif command in ("CUR", "PT", "PC"):
            self.mode = command
        elif command == "Z":
            self._zero = felt if math.isfinite(felt := self._felt()) else self._zero
        elif numbered and numbered[1] in NUMBERED:
            if int(numbered[2]) > NUMBERED[numbered[1]]:
                return TOO_LARGE
            self.numbers[numbered[1]] = int(numbered[2])
        elif command:
            return INVALID if command in NUMBERED else ILLEGAL
        return ""

    def _felt(self) -> float:
        if self.stuck is not None:
            return self.stuck
        return self._sensor.read(self._force())

    def _reading(self) -> str:
        felt = self._felt()
        if abs(felt) > OVERLOAD_AT * self._capacity:
            return OVERLOAD
        unit = FOREIGN_UNIT if self._trouble.wrong_unit else self.unit
        newton = NEWTON[unit]
        step = _step(self._capacity / newton / DIVISIONS)
        if math.isnan(felt):
            return f"{NOT_A_NUMBER} {unit}" if self.units_sent else NOT_A_NUMBER
        value = round((felt - self._zero) / newton / step) * step
        value = -value if self.numbers["IPOL"] else value
        value = abs(value) if self.numbers["OPOL"] or value == 0 else value
        text = f"{value:.{max(0, -math.floor(math.log10(step)))}f}"
        return f"{text} {unit}" if self.units_sent else text

    def _list(self) -> str:
        n = self.numbers
        return ";".join(
            [
                f"V{self._personality['RV']}",
                self.unit.upper(),
                self.mode,
                f"FLTC{n['FLTC']}",
                f"FLTP{n['FLTP']}",
                f"AOUT{n['AOUT']:02d}",
                f"AOFF{n['AOFF']}",
                "FULL" if self.units_sent else "NUM",
                f"IPOL{n['IPOL']}",
                f"OPOL{n['OPOL']}",
                "MIT",
                "POL",
                "B0",
            ]
        )


def _step(exact: float) -> float:
    """Round to the 1, 2 or 5 of a decade that is nearest."""
    decade = 10.0 ** math.floor(math.log10(exact))
    return decade * min((1.0, 2.0, 5.0, 10.0), key=lambda m: abs(math.log(m * decade / exact)))
