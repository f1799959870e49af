"""The SCPI headers that the simulated 2450 knows: what each accepts, how it answers, and its value after *RST."""

import re
from dataclasses import dataclass
from functools import cache

Value = str | float

RANGES: dict[str, tuple[float, ...]] = {
    "VOLT": (0.02, 0.2, 2.0, 20.0, 200.0),
    "CURR": (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0),
}
"""Data sheet SPEC-2450 Rev. A."""


class ScpiError(Exception):
    """An entry for the error queue."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Number:
    """A number within bounds."""

    low: float
    high: float

    def read(self, text: str) -> Value:
        """Parse; raises ScpiError."""
        try:
            value = float(text)
        except ValueError:
            raise ScpiError(-104, "Data type error") from None
        if not self.low <= value <= self.high:
            raise ScpiError(-222, "Parameter data out of range")
        return value

    def write(self, value: Value) -> str:
        """Answer a query."""
        return f"{value:.7g}"


@dataclass(frozen=True, slots=True)
class Switch:
    """ON or OFF, answered as 1 or 0."""

    def read(self, text: str) -> Value:
        """Parse; raises ScpiError."""
        try:
            return {"ON": 1, "1": 1, "OFF": 0, "0": 0}[text.upper()]
        except KeyError:
            raise ScpiError(-224, "Illegal parameter value") from None

    def write(self, value: Value) -> str:
        """Answer a query."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words, in short or long form; `answer` is how a query shows the short form."""

    words: tuple[str, ...]
    answer: str = "{}"

    def read(self, text: str) -> Value:
        """Parse to the short form; raises ScpiError."""
        for word in self.words:
            if pattern(word).fullmatch(text.strip("\"'")):
                return short(word)
        raise ScpiError(-224, "Illegal parameter value")

    def write(self, value: Value) -> str:
        """Answer a query."""
        return self.answer.format(value)


Kind = Number | Switch | Choice
Setting = tuple[Kind, Value]
OFF_STATES = Choice(("NORMal", "HIMPedance", "ZERO", "GUARd"))


@cache
def pattern(spelling: str) -> re.Pattern[str]:
    """Turn the manual's spelling, such as "SOURce[1]:VOLTage[:LEVel]", into what the instrument accepts."""
    optional = re.sub(r"([A-Z]+)([a-z]+)", lambda m: f"{m[1]}(?:{m[2].upper()})?", spelling)
    return re.compile(optional.replace("*", r"\*").replace("[", "(?:").replace("]", ")?"), re.IGNORECASE)


def short(spelling: str) -> str:
    """Return the shortest form of a header or word, its name in this simulator."""
    return re.sub(r"\[[^]]*]|[a-z]", "", spelling)


def measuring(function: str, full_scale: float, *units: str) -> dict[str, Setting]:
    """Return the settings of one measure function."""
    header = f"SENSe[1]:{function}"
    return {
        f"{header}:RANGe[:UPPer]": (Number(-1.05 * full_scale, 1.05 * full_scale), full_scale),
        f"{header}:RANGe:AUTO": (Switch(), 1),
        f"{header}:NPLCycles": (Number(0.01, 10), 1.0),
        f"{header}:RSENse": (Switch(), 0),
        f"{header}:UNIT": (Choice(units), units[0]),
        f"{header}:AVERage[:STATe]": (Switch(), 0),
        f"{header}:AVERage:TCONtrol": (Choice(("REPeat", "MOVing")), "REP"),
        f"{header}:AVERage:COUNt": (Number(1, 100), 10),
        f"{header}:RELative:STATe": (Switch(), 0),
    }


def sourcing(function: str, most: float, limit: str, most_limit: float, present_limit: float) -> dict[str, Setting]:
    """Return the settings of one source function."""
    header = f"SOURce[1]:{function}"
    return {
        f"{header}[:LEVel][:IMMediate][:AMPLitude]": (Number(-most, most), 0.0),
        f"{header}:RANGe": (Number(-most, most), RANGES[short(function)][0]),
        f"{header}:RANGe:AUTO": (Switch(), 1),
        f"{header}:READ:BACK": (Switch(), 1),
        f"{header}:DELay": (Number(0, 999.9999), 0.0),
        f"{header}:DELay:AUTO": (Switch(), 1),
        f"{header}:{limit}[:LEVel]": (Number(-most_limit, most_limit), present_limit),
        f"OUTPut[1]:{function}:SMODe": (OFF_STATES, "NORM"),
    }


SETTINGS: dict[str, Setting] = {
    "SOURce[1]:FUNCtion[:MODE]": (Choice(("VOLTage", "CURRent")), "VOLT"),
    **sourcing("VOLTage", 210, "ILIMit", 1.05, 105e-6),
    **sourcing("CURRent", 1.05, "VLIMit", 210, 21.0),
    "SENSe[1]:FUNCtion[:ON]": (Choice(("VOLTage[:DC]", "CURRent[:DC]", "RESistance"), '"{}:DC"'), "CURR"),
    **measuring("VOLTage[:DC]", 200.0, "VOLT", "OHM", "WATT"),
    **measuring("CURRent[:DC]", 1.0, "AMP", "OHM", "WATT"),
    **measuring("RESistance", 2e8, "OHM"),
    "SENSe[1]:COUNt": (Number(1, 300_000), 1),
    "TRACe:POINts": (Number(1, 6_875_000), 100_000),
}
KINDS = {short(spelling): kind for spelling, (kind, _) in SETTINGS.items()}
DEFAULTS = {short(spelling): default for spelling, (_, default) in SETTINGS.items()}

ACTIONS = (
    "*IDN", "*LANG", "*RST", "*CLS", "*OPC", "*TRG", "*WAI",
    "OUTPut[1][:STATe]", "OUTPut[1]:SMODe", "READ",
    "SOURce[1]:VOLTage:ILIMit[:LEVel]:TRIPped", "SOURce[1]:CURRent:VLIMit[:LEVel]:TRIPped",
    "TRACe:STATistics:AVERage", "TRACe:STATistics:MAXimum", "TRACe:STATistics:MINimum", "TRACe:STATistics:STDDev",
    "SYSTem:ERRor[:NEXT]", "SYSTem:CLEar", "SYSTem:BEEPer[:IMMediate]", "STATus:PRESet",
)  # fmt: skip
"""Headers that are no settings."""


@cache
def find(header: str) -> str:
    """Return the short name of a header in any spelling; the SENSe root may be left out.

    Raises:
        ScpiError: -113 for an unknown one.
    """
    bare = header.removeprefix(":")
    for spelling in (*SETTINGS, *ACTIONS):
        if pattern(spelling).fullmatch(bare) or pattern(spelling).fullmatch(f"SENS:{bare}"):
            return short(spelling)
    raise ScpiError(-113, "Undefined header")
