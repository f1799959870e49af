"""A Keithley 2450 as its SCPI port shows it: settings, output relay with its off-states, readings, error queue.

The cell behind the terminals is the bench's. Ranges, limits and resolution are those of data sheet SPEC-2450 Rev. A;
noise and gain errors are assumed and lie within it. It is found with the high-impedance off-state that the manual page
asks the lab to save as power-on setup; `*RST` selects the factory's "normal" off-state, which puts 0 V across the cell.
"""

import math
import statistics
from collections import deque
from datetime import UTC, datetime

from drivers.keithley_2450.headers import DEFAULTS, KINDS, RANGES, ScpiError, Switch, Value, find
from labctl.instrument import Options
from labctl.sim.bench import Bench
from labctl.sim.sensor import Sensor
from labctl.sim.source import CurrentSource, Open, Source, VoltageSource

IDENTITY = "KEITHLEY INSTRUMENTS,MODEL 2450,04399999,1.7.12b"
ANOTHER = "KEITHLEY INSTRUMENTS,MODEL 2450,04400000,1.7.12b"
OVERFLOW = 9.9e37
NOT_A_NUMBER = 9.91e37
"""As SCPI has it."""
FOREIGN_UNIT = "WATT"
"""What somebody chooses at the panel when the unit is made wrong on purpose."""
OVERRANGE = 1.05
"""A range measures and sources up to 105 % of its name."""
RESOLUTION = 5e-7
"""Of a range, for a reading: 10 µV at 20 V, 10 nA at 10 mA (data sheet, 6½ digits)."""
NOISE = 1e-6
"""RMS at one power line cycle, of the range (assumed)."""
GAIN_ERROR = {"VOLT": 4e-5, "CURR": -6e-5}
"""Assumed: a third of the data sheet's one-year accuracy."""
OFF_LIMIT = 0.1
"""An off-state that drives the terminals does so with 10 % of the present range (reference manual, SMODe)."""
BUFFER_POINTS = 100_000
POWER_ON: dict[str, Value] = DEFAULTS | {"OUTP:VOLT:SMOD": "HIMP", "OUTP:CURR:SMOD": "HIMP"}
"""The saved setup with which it is found after a power cut."""


class Simulator:
    """One SourceMeter whose force and sense leads go to the bench's cell."""

    def __init__(self, bench: Bench, port: str, options: Options) -> None:
        self._bench = bench
        self._port = port
        self._line = bytearray()
        self._language = "SCPI"
        self._identity = IDENTITY
        self._trouble = bench.trouble(port)
        self._felt = {
            "VOLT": self._trouble.quantity(lambda: bench.cell.voltage),
            "CURR": self._trouble.quantity(lambda: bench.cell.current, drifts=False),
        }
        self._errors: deque[str] = deque(maxlen=100)
        self._settings = dict(POWER_ON)
        self._readings: deque[float] = deque(maxlen=BUFFER_POINTS)
        self._converters: dict[str, Sensor] = {}
        self._output = False
        self._off_state = "HIMP"
        self._switch(on=False)

    # -- wire ------------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> bytes:
        """Take bytes; every complete line is a message, answered by one line where it holds queries."""
        self._line += data
        *messages, rest = self._line.split(b"\n")
        self._line = bytearray(rest)
        return b"".join(self._message(m.decode("ascii", "replace")) for m in messages)

    def reset_line(self) -> None:
        """Forget a half-received message."""
        self._line.clear()

    def restart(self, *, other: bool = False) -> None:
        """Lose power and come back with the saved setup; `other`: with another serial number."""
        self._identity = ANOTHER if other else IDENTITY
        self._settings = dict(POWER_ON)
        self._line.clear()
        self._errors.clear()
        self._readings.clear()
        self._switch(on=False)

    def _message(self, message: str) -> bytes:
        answers: list[str] = []
        path = ""
        try:
            for unit in filter(None, (u.strip() for u in message.strip().split(";"))):
                header, _, arguments = unit.partition(" ")
                if not header.startswith(("*", ":")):
                    header = f"{path}:{header}"
                if not header.startswith("*"):
                    path = header.rpartition(":")[0]
                answer = self._execute(header, arguments.strip())
                if answer is not None:
                    answers.append(answer)
        except ScpiError as error:
            # A message ends at its first error, and what it had asked for before is still answered.
            self._errors.append(f'{error.code},"{error};1;{self._calendar()}"')
        return f"{';'.join(answers)}\n".encode("ascii") if answers else b""

    def _calendar(self) -> str:
        return datetime.fromtimestamp(self._bench.time, UTC).strftime("%Y/%m/%d %H:%M:%S.000")

    # -- commands --------------------------------------------------------------------------------------------------

    def _execute(self, header: str, arguments: str) -> str | None:
        query = header.endswith("?")
        name = find(header.removesuffix("?"))
        kind = KINDS.get(name)
        if query:
            return kind.write(self._setting(name)) if kind else self._query(name, arguments)
        if kind is None:
            self._act(name, arguments)
        elif not arguments:
            raise ScpiError(-109, "Missing parameter")
        else:
            self._set(name, kind.read(arguments))
        return None

    def _query(self, name: str, arguments: str) -> str:
        match name:
            case "*IDN":
                return self._identity
            case "*LANG":
                return self._language
            case "*OPC":
                return "1"
            case "OUTP":
                return str(int(self._output))
            case "SYST:ERR":
                return self._errors.popleft() if self._errors else '0,"No error;0;0 0"'
            case "READ":
                return self._read(arguments)
            case "SOUR:VOLT:ILIM:TRIP":
                return str(int(self._limited() and self._settings["SOUR:FUNC"] == "VOLT"))
            case "SOUR:CURR:VLIM:TRIP":
                return str(int(self._limited() and self._settings["SOUR:FUNC"] == "CURR"))
            case "TRAC:STAT:AVER":
                return _number(statistics.fmean(self._readings or [0.0]))
            case "TRAC:STAT:MAX":
                return _number(max(self._readings, default=0.0))
            case "TRAC:STAT:MIN":
                return _number(min(self._readings, default=0.0))
            case "TRAC:STAT:STDD":
                return _number(statistics.pstdev(self._readings or [0.0]))
        raise ScpiError(-113, "Undefined header")

    def _act(self, name: str, arguments: str) -> None:
        match name:
            case "*RST":
                self._reset()
            case "*CLS" | "SYST:CLE":
                self._errors.clear()
            case "*LANG":
                self._language = arguments
            case "OUTP":
                self._switch(on=bool(Switch().read(arguments)))
            case "OUTP:SMOD":
                for function in ("VOLT", "CURR"):
                    self._execute(f":OUTP:{function}:SMOD", arguments)
            case "*OPC" | "*TRG" | "*WAI" | "STAT:PRES" | "SYST:BEEP":
                pass
            case _:
                raise ScpiError(-113, "Undefined header")

    def _reset(self) -> None:
        self._settings = dict(DEFAULTS)
        self._readings.clear()
        self._switch(on=False)

    # -- settings that depend on each other ------------------------------------------------------------------------

    def _set(self, name: str, value: Value) -> None:
        match name.split(":"):
            case ["SOUR", "FUNC"] if value != self._settings[name]:
                self._switch(on=False)
                self._off_state = str(self._settings[f"OUTP:{value}:SMOD"])
            case ["SOUR", ("VOLT" | "CURR") as function]:
                self._refuse_beyond_range(function, float(value))
            case ["SOUR", "VOLT" | "CURR", ("ILIM" | "VLIM") as limit]:
                value = abs(float(value))
                self._refuse_limit(limit, value)
            case [("SOUR" | "SENS") as side, ("VOLT" | "CURR") as function, "RANG"]:
                value = next(r for r in RANGES[function] if abs(float(value)) <= r * OVERRANGE)
                self._settings[f"{side}:{function}:RANG:AUTO"] = 0
        self._settings[name] = value
        if name.startswith("SENS") and name.endswith("RANG"):
            self._fit_limit(name.split(":")[1], float(value))
        self._drive()

    def _refuse_beyond_range(self, function: str, level: float) -> None:
        fixed = not self._settings[f"SOUR:{function}:RANG:AUTO"]
        if fixed and abs(level) > OVERRANGE * float(self._settings[f"SOUR:{function}:RANG"]):
            raise ScpiError(-222, "Parameter data out of range")

    def _refuse_limit(self, limit: str, value: float) -> None:
        """A limit lies between 10 % and 105 % of a fixed measuring range (data sheet, source limits)."""
        function = "CURR" if limit == "ILIM" else "VOLT"
        if not self._settings[f"SENS:{function}:RANG:AUTO"]:
            full_scale = float(self._settings[f"SENS:{function}:RANG"])
            if not 0.1 * full_scale * (1 - 1e-9) <= value <= OVERRANGE * full_scale * (1 + 1e-9):
                raise ScpiError(-222, "Parameter data out of range")

    def _fit_limit(self, function: str, full_scale: float) -> None:
        """A new measuring range moves a limit that does not fit it."""
        name = "SOUR:VOLT:ILIM" if function == "CURR" else "SOUR:CURR:VLIM"
        limit = float(self._settings[name])
        self._settings[name] = min(max(limit, 0.1 * full_scale), OVERRANGE * full_scale)

    # -- output ----------------------------------------------------------------------------------------------------

    def _switch(self, *, on: bool) -> None:
        """Close or open the output; a newly chosen off-state counts from the next time it is switched off (assumed)."""
        self._output = on
        if not on:
            self._off_state = str(self._settings[f"OUTP:{self._settings['SOUR:FUNC']}:SMOD"])
        self._drive()

    def _drive(self) -> None:
        """Make the terminals do what the settings say."""
        source = self._source()
        if source != self._bench.cell.source:
            self._bench.cell.drive(source)

    def _source(self) -> Source:
        settings = self._settings
        if self._output and settings["SOUR:FUNC"] == "VOLT":
            return VoltageSource(float(settings["SOUR:VOLT"]), float(settings["SOUR:VOLT:ILIM"]))
        if self._output:
            return CurrentSource(float(settings["SOUR:CURR"]), float(settings["SOUR:CURR:VLIM"]))
        match self._off_state:
            case "HIMP":
                return Open()
            case "GUAR":
                return CurrentSource(0.0, OFF_LIMIT * float(settings["SOUR:VOLT:RANG"]))
            case _:
                return VoltageSource(0.0, OFF_LIMIT * float(settings["SENS:CURR:RANG"]))

    def _limited(self) -> bool:
        held = "current" if self._settings["SOUR:FUNC"] == "VOLT" else "voltage"
        return self._output and self._bench.cell.limiting == held

    # -- readings --------------------------------------------------------------------------------------------------

    def _read(self, arguments: str) -> str:
        buffer, *elements = (a.strip().strip("\"'") for a in arguments.split(","))
        if buffer not in ("", "defbuffer1"):
            raise ScpiError(-224, "Illegal parameter value")
        sensed = str(self._settings["SENS:FUNC"])
        source = str(self._settings["SOUR:FUNC"])
        reading = self._in_unit(sensed)
        self._readings.append(reading)
        status = 8 | 32 * self._limited() | 64 * int(self._settings[f"SENS:{sensed}:RSEN"]) | 128 * self._output
        answers = {"READ": _number(reading), "SOUR": _number(self._quantity(source)), "SOURSTAT": str(status)}
        try:
            return ",".join(answers[element.upper()] for element in elements or ["READ"])
        except KeyError:
            raise ScpiError(-224, "Illegal parameter value") from None

    def _setting(self, name: str) -> Value:
        foreign = name in ("SENS:VOLT:UNIT", "SENS:CURR:UNIT") and self._trouble.wrong_unit
        return FOREIGN_UNIT if foreign else self._settings[name]

    def _in_unit(self, sensed: str) -> float:
        match self._setting(f"SENS:{sensed}:UNIT"):
            case "VOLT":
                return self._quantity("VOLT")
            case "AMP":
                return self._quantity("CURR")
            case "WATT":
                return self._quantity("VOLT") * self._quantity("CURR")
        current = self._quantity("CURR")
        return self._quantity("VOLT") / current if current else OVERFLOW

    def _quantity(self, function: str) -> float:
        """Digitise voltage or current at the terminals in the present range; behind an open relay there is neither."""
        if not self._output and self._off_state == "HIMP":
            return 0.0
        true = self._felt[function]()
        if math.isnan(true):
            return NOT_A_NUMBER
        full_scale = self._full_scale(function, true)
        if abs(true) > OVERRANGE * full_scale:
            return OVERFLOW
        step = RESOLUTION * full_scale
        return round(self._converter(function, full_scale).read(true) / step) * step

    def _converter(self, function: str, full_scale: float) -> Sensor:
        name = f"{self._port}.{function}.{full_scale:g}"
        if name not in self._converters:
            self._converters[name] = self._bench.sensor(
                name, gain_error=GAIN_ERROR[function], noise=NOISE * full_scale, now=self._trouble.measured_at
            )
        return self._converters[name]

    def _full_scale(self, function: str, true: float) -> float:
        side = "SOUR" if function == self._settings["SOUR:FUNC"] else "SENS"
        if not self._settings[f"{side}:{function}:RANG:AUTO"]:
            return float(self._settings[f"{side}:{function}:RANG"])
        return next((r for r in RANGES[function] if abs(true) <= r), RANGES[function][-1])


def _number(value: float) -> str:
    return f"{value:.6E}"
