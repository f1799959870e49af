"""The pressure controller as its serial line sees it: frames, set point, held valves, and a gas on a piston."""

import math
import re

from drivers.alicat_pc.driver import CODES, GAUGE_PRESSURE, HELD, PASCAL, REFUSED, AlicatPc, UnitOfPressure
from labctl.sim.bench import Bench
from labctl.sim.rig import Press

RESPONSE = 0.5
"""s, of its loop; assumed. Pressure controllers settle within 0.1 s to seconds, with the volume behind them."""
STEP = 0.1
"""s between two looks at a gas that is on its way."""
LEAK, LEAK_STEP = 2e-6, 10.0
"""Of the pressure each second through closed valves, 0.7 % an hour; assumed. And s between two looks at it."""
SETTLED = 1e-4
"""Of the full scale: nearer than that the loop is there."""
ACCURACY = 1.25e-3
"""Of the full scale (Alicat, PC series: ±0.125 %); how it divides into offset, gain, drift and noise is assumed."""
FIRMWARE = "10v20.0-R24"
SERIALS = ("521641", "521642")
FOREIGN_CODE = 4
"""kPa, or psi where that is its unit: what somebody chooses at the display when the unit is made wrong on purpose."""
CODE_OF: dict[UnitOfPressure, int] = {unit: code for code, unit in CODES.items()}


class Simulator:
    """One controller with both of its valves, whose gas presses the rig of the bench where that is a press."""

    def __init__(self, bench: Bench, port: str, options: AlicatPc.Options) -> None:
        self.pressure = 0.0
        """Pa, gauge, of the gas."""
        self.setpoint = 0.0
        self.held = False
        self._bench = bench
        self._id = options.id
        self._unit: UnitOfPressure = options.unit
        self._full_scale = options.maximum
        self._area = math.pi * options.piston**2 / 4.0
        self._trouble = bench.trouble(port)
        self._felt = self._trouble.quantity(lambda: self.pressure)
        self._sensor = bench.sensor(
            f"alicat-pc {port}",
            offset=0.3 * ACCURACY * self._full_scale,
            gain_error=0.3 * ACCURACY,
            drift_per_day=0.05 * ACCURACY * self._full_scale,
            noise=0.1 * ACCURACY * self._full_scale,
            now=self._trouble.measured_at,
        )
        self._serial = SERIALS[0]
        self._buffer = b""
        self._since = bench.time
        bench.attach(self)

    # -- the gas ---------------------------------------------------------------------------------------------------

    def next_event(self) -> float:
        """Return when the gas is looked at again; inf where it has settled."""
        if self.held:
            return self._since + LEAK_STEP if self.pressure > 0.0 else math.inf
        on_its_way = abs(self.setpoint - self.pressure) > SETTLED * self._full_scale
        return self._since + STEP if on_its_way else math.inf

    def advance_to(self, time: float) -> None:
        """Let the gas follow its set point, or leak."""
        passed, self._since = time - self._since, time
        if passed <= 0.0:
            return
        if self.held:
            self.pressure *= math.exp(-LEAK * passed)
        else:
            self.pressure = self.setpoint + (self.pressure - self.setpoint) * math.exp(-passed / RESPONSE)
        rig = self._bench.rig
        if isinstance(rig, Press):
            rig.press_with(self.pressure * self._area)

    # -- its line --------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> bytes:
        """Take commands that end with CR; those of another letter on the line are not answered."""
        *commands, self._buffer = (self._buffer + data).split(b"\r")
        answers = (self._carry_out(command.decode("latin-1").strip().upper()) for command in commands)
        return b"".join(answer.encode() + b"\r" for answer in answers if answer)

    def reset_line(self) -> None:
        """Forget half a command."""
        self._buffer = b""

    def restart(self, *, other: bool = False) -> None:
        """Come back from a power cut: it regulates again, to no pressure (assumed); `other`: another serial number."""
        self._serial = SERIALS[int(other)]
        self.setpoint, self.held = 0.0, False
        self._buffer = b""

    def _carry_out(self, command: str) -> str:
        if not command.startswith(self._id):
            return ""
        asked = command[1:].removeprefix("$$")
        match asked:
            case "":
                return self._frame()
            case "??M*":
                return self._about()
            case "VE":
                return f"{self._id}   {FIRMWARE} Jan  9 2025,15:04:07"
            case "R122":
                return f"{self._id}   122 = {GAUGE_PRESSURE:03d}"
            case "FPF 6":
                code = self._code
                return f"{self._id} {self._full_scale / PASCAL[CODES[code]]:+08.2f} {code} {CODES[code].upper()}G"
            case "HC" | "HP" | "H":
                self.held = True
                return self._frame()
            case "C":
                self.held = False
                return self._frame()
        number = re.fullmatch(r"S *(\d+(?:\.\d*)?)", asked)
        if number is None:
            return REFUSED
        self.setpoint = min(float(number[1]) * PASCAL[CODES[self._code]], self._full_scale)
        return self._frame()

    @property
    def _code(self) -> int:
        if not self._trouble.wrong_unit:
            return CODE_OF[self._unit]
        return FOREIGN_CODE if self._unit == "psi" else CODE_OF["psi"]

    def _frame(self) -> str:
        scale, felt = PASCAL[CODES[self._code]], self._sensor.read(self._felt())
        pressure = "-------" if math.isnan(felt) else f"{min(felt, 1.28 * self._full_scale) / scale:+08.3f}"
        codes = (f" {HELD}" if self.held else "") + (" POV" if felt > 1.28 * self._full_scale else "")
        return f"{self._id} {pressure} {self.setpoint / scale:+08.3f}{codes}"

    def _about(self) -> str:
        rows = (
            "M00 ALICAT SCIENTIFIC",
            "M01 www.alicat.com",
            "M02 Ph   520-290-6060",
            "M03 info@alicat.com",
            f"M04 Model Number PCD-{self._full_scale / PASCAL['psi']:.0f}PSIG-D",
            f"M05 Serial Number {self._serial}",
            "M06 Date Manufactured 03/02/2025",
            "M07 Date Calibrated   03/02/2025",
            "M08 Calibrated By     BL",
            f"M09 Software Revision {FIRMWARE}",
        )
        return "\r".join(f"{self._id}  {row}" for row in rows)
