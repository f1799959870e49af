"""Scripts of faults as text: TOML, one `[[fault]]` a table, in quantities with their units.

docs/reference/faults.md has every key and kind.
"""

import math
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from labctl.errors import Finding, InvalidInput
from labctl.protocol.source import KeyPath, Source, parse
from labctl.protocol.source import read as read_file
from labctl.quantity import Dimension, QuantityError, Written
from labctl.sim.schedule import HEATER, MEASURES, VALUES, Kind, Scheduled, overlapping

MOST_FAULTS = 10_000
_UNIT = {
    Dimension.VOLTAGE: "V",
    Dimension.FORCE: "N",
    Dimension.ANGLE: "rad",
    Dimension.TORQUE: "N m",
    Dimension.PRESSURE: "Pa",
    Dimension.TEMPERATURE_DIFFERENCE: "K",
    Dimension.TIME: "s",
    Dimension.RESISTANCE: "Ohm",
}
_KEYS = ("instrument", "kind", "begin", "end", "value")


class ScriptError(InvalidInput):
    """A script of faults that says something wrong."""


def read(text: str, name: str = "faults.toml") -> tuple[Scheduled, ...]:
    """Read a script; `name` is that of its file, for sentences.

    Raises:
        ScriptError: with every finding and its place.
    """
    return _read(parse(name, text, ScriptError))


def load(path: Path) -> tuple[Scheduled, ...]:
    """Read the script in a file; raises ScriptError."""
    return _read(read_file(path, ScriptError))


def _read(source: Source) -> tuple[Scheduled, ...]:
    tables = source.data.get("fault", [])
    if set(source.data) - {"fault"} or not isinstance(tables, list) or len(tables) > MOST_FAULTS:
        reason = f"a script consists of [[fault]] tables and nothing else, at most {MOST_FAULTS} of them"
        raise ScriptError((Finding("script", source.start(), reason, "See docs/reference/faults.md."),))
    findings: list[Finding] = []
    faults = [_fault(table, ("fault", number), source, findings) for number, table in enumerate(tables)]
    script = tuple(fault for fault in faults if fault is not None)
    if not findings and (both := overlapping(script)):
        reason = f"this is already there: {script[both[1]].kind} at {script[both[1]].instrument} has not ended"
        findings.append(Finding("overlap", source.value(("fault", both[1])), reason, "End the one before first."))
    if findings:
        raise ScriptError(tuple(findings))
    return script


def write(script: Iterable[Scheduled]) -> str:
    """Write a script as `read` reads it, to the last digit."""
    return "\n".join(_table(fault) for fault in script)


def _table(fault: Scheduled) -> str:
    lines = [
        "[[fault]]",
        f'instrument = "{fault.instrument}"',
        f'kind = "{fault.kind}"',
        f'begin = "{fault.begin!r} s"',
    ]
    if math.isfinite(fault.end):
        lines.append(f'end = "{fault.end!r} s"')
    value = _value_text(fault)
    return "\n".join([*lines, f'value = "{value}"'] if value else lines) + "\n"


def _value_text(fault: Scheduled) -> str:
    match fault.kind:
        case Kind.DRIFT:
            return f"{fault.value!r} {_UNIT[_drifting(fault.instrument)]}/s"
        case Kind.CONTACT_LOSS:
            return f"{Decimal(repr(fault.value)) * 100:f} %"
        case Kind.HEATER_FAILURE:
            return "on" if fault.value else "off"
        case kind if kind in VALUES:
            return f"{fault.value!r} {_UNIT[VALUES[kind]]}"
    return ""


def _drifting(instrument: str) -> Dimension:
    return MEASURES[instrument.partition(".")[0]]


def _fault(table: object, path: KeyPath, source: Source, findings: list[Finding]) -> Scheduled | None:
    """Read one table; what is wrong with it is noted at its place."""

    def refuse(key: str | None, reason: str, remedy: str) -> None:
        place = source.value(path if key is None else (*path, key))
        findings.append(Finding("fault", place, reason, remedy))

    if not isinstance(table, dict):
        refuse(None, "this is no table", "Write [[fault]] and its keys below.")
        return None
    for key in table.keys() - set(_KEYS):
        refuse(key, f'a fault has no "{key}"', f"Its keys are {', '.join(_KEYS)}.")
        return None
    try:
        instrument, kind = str(table["instrument"]), Kind(str(table["kind"]))
        begin = _quantity(table["begin"], Dimension.TIME)
        end = _quantity(table["end"], Dimension.TIME) if "end" in table else math.inf
        return Scheduled(instrument, kind, begin, end, _value(table.get("value"), instrument, kind))
    except KeyError as error:
        refuse(None, f"{error} is missing", "A fault has an instrument, a kind, a begin and mostly an end.")
    except QuantityError as error:
        refuse(None, error.sentence, error.remedy[:1].upper() + error.remedy[1:] + ".")
    except ValueError as error:
        known = "is not a valid Kind" not in str(error)
        reason = str(error) if known else f'there is no kind of fault called "{table["kind"]}"'
        refuse(None if known else "kind", reason, "See docs/reference/faults.md." if known else _kinds())
    return None


def _kinds() -> str:
    return f"There are {', '.join(Kind)}."


def _quantity(written: object, dimension: Dimension) -> float:
    return float(Written((dimension,)).read(written))


def _value(written: object, instrument: str, kind: Kind) -> float:
    if written is None:
        return 0.0
    if kind is Kind.HEATER_FAILURE:
        return HEATER.get(str(written), math.nan)
    if kind is Kind.DRIFT and instrument.partition(".")[0] in MEASURES:
        dimension = _drifting(instrument)
        if not isinstance(written, str) or not written.endswith("/s"):
            raise ValueError(f'drift at {instrument}: its value is written like "0.001 {_UNIT[dimension]}/s"')
        return _quantity(written.removesuffix("/s"), dimension)
    if kind in VALUES:
        return _quantity(written, VALUES[kind])
    raise ValueError(f"{kind} at {instrument}: this has no value")
