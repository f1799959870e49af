"""The one exception tree of labctl: every sentence a user can get, with the facts it names.

LabctlError
├── InvalidInput               exit 3: a file that says something wrong
│   ├── ConfigError
│   └── ProtocolError
├── InstrumentError            exit 4: an instrument that cannot be used
│   ├── Unreachable
│   ├── NoReply
│   ├── GarbledReply
│   ├── WrongInstrument
│   ├── InstrumentRefused
│   └── OverRange
├── LimitTripped               exit 5: the guard stopped the run
│   └── InstrumentLost         exit 4: because an instrument fell silent
├── RefusedForSafety           exit 6: nothing was moved or energised
├── NotNow                     exit 6: a word to a run that makes no sense in its present state
├── StepFailed                 exit 1: a step ended in a fault, such as its time-out
├── CalibrationFailed          exit 1: what was measured makes no calibration
├── RunLost                    exit 1: what another process ran cannot be gone on with
├── CommandRefused             exit as the daemon says: it did not do what a client asked
└── StorageError               exit 1: journal, bus or database
"""

from dataclasses import dataclass
from typing import Any


class LabctlError(Exception):
    """Base of all errors that are told to a user as a sentence and a remedy, never as a traceback."""

    exit_code = 1

    def __init__(self, sentence: str, remedy: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.sentence}\n  {self.remedy}" if self.remedy else self.sentence


def first_of(errors: BaseExceptionGroup[LabctlError]) -> LabctlError:
    """Return one error of a group: what went wrong first drags the others along."""
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    assert isinstance(first, LabctlError)
    return first


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something stands; line and column count from 1, columns in characters (not bytes)."""

    file: str
    line: int
    column: int
    length: int = 1
    text: str = ""
    """The whole line, for the caret picture."""
    via: str = ""
    """From where the file, or the definition, is run: "main.toml:12"; empty: it is the file that was asked for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a file: where, what and what to do."""

    code: str
    place: Place
    reason: str
    remedy: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        p = self.place
        head = f"{p.file}:{p.line}:{p.column}: {self.severity}[{self.code}]: {self.reason}"
        gutter = f"{p.line:5d} | "
        caret = " " * (len(gutter) - 2) + "| " + " " * (p.column - 1) + "^" * max(1, p.length)
        lines = [head]
        if p.text:
            lines += [gutter + p.text, caret]
        if p.via:
            lines.append(f"      = run from {p.via}")
        if self.remedy:
            lines.append(f"      = {self.remedy}")
        return "\n".join(lines)


MOST_FINDINGS = 100
"""In one file; who has mended these sees the others."""


class InvalidInput(LabctlError):
    """A file was refused; carries every finding in it, not only the first."""

    exit_code = 3

    def __init__(self, findings: "tuple[Finding, ...]") -> None:
        self.findings = findings
        super().__init__("\n".join(str(f) for f in findings))


class ConfigError(InvalidInput):
    """config.toml, or something asked of it, is wrong."""


class ProtocolError(InvalidInput):
    """A protocol or cell file is wrong, or cannot be bound to this station."""


class InstrumentError(LabctlError):
    """An instrument cannot be used; names it by station, role and address."""

    exit_code = 4

    def __init__(self, instrument: str, what: str, remedy: str = "") -> None:
        self.instrument = instrument
        self.what = what
        super().__init__(f"{instrument}: {what}", remedy)


class Unreachable(InstrumentError):
    """The address could not be opened."""


class NoReply(InstrumentError):
    """A query was sent and no complete reply came within the link's time-out."""

    def __init__(self, instrument: str, request: bytes, timeout: float, got: bytes = b"") -> None:
        self.request = request
        self.timeout = timeout
        part = f", only {got[:80]!r}" if got else ""
        super().__init__(
            instrument,
            f"no complete reply to {request!r} within {timeout:g} s{part}",
            "Check power, cable and address. The link is reopened and the instrument identified before it is used.",
        )


class GarbledReply(InstrumentError):
    """A reply came that is not what the instrument's manual says; the value is discarded."""

    def __init__(self, instrument: str, request: bytes, reply: bytes, expected: str) -> None:
        self.request = request
        self.reply = reply
        self.expected = expected
        super().__init__(
            instrument,
            f"answered {reply[:80]!r} to {request!r}, expected {expected}",
            "The value was discarded. Check baud rate and framing, and that nothing else uses the line.",
        )


class WrongInstrument(InstrumentError):
    """Another instrument, or another language or mode of it, than the configuration says."""


class InstrumentRefused(InstrumentError):
    """The instrument understood and refused; carries its own words."""


class OverRange(InstrumentError):
    """The instrument says that the quantity is beyond its range: there is no value."""


class LimitTripped(LabctlError):
    """The guard opened the circuit and froze the pressure."""

    exit_code = 5


class InstrumentLost(LimitTripped):
    """The guard stopped the run because what it must know is not known any more."""

    exit_code = 4


class RefusedForSafety(LabctlError):
    """What was asked could hurt a cell or a hand; nothing was moved or energised."""

    exit_code = 6


class NotNow(LabctlError):
    """What was asked of a run makes no sense in its present state; nothing was changed."""

    exit_code = 6


class StepFailed(LabctlError):
    """A step ended in a fault: its time-out, or an end that the protocol calls a fault."""


class CalibrationFailed(LabctlError):
    """What was measured makes no calibration, or one cannot be read back."""


class RunLost(LabctlError):
    """A run cannot be gone on with, because its program is not there any more or is not that of its plan."""


class CommandRefused(LabctlError):
    """A daemon did not do what a client asked; sentence, remedy and exit status are the daemon's own.

    Attributes:
        findings: of a protocol: code, severity, file, line, column, reason, remedy, text (as printed).
    """

    def __init__(
        self, sentence: str, remedy: str = "", exit_code: int = 1, findings: "tuple[dict[str, Any], ...]" = ()
    ) -> None:
        super().__init__(sentence, remedy)
        self.exit_code = exit_code
        self.findings = findings


class StorageError(LabctlError):
    """Journal, bus or database cannot keep what was measured."""
