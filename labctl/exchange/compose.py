"""Writes a procedure as a labctl protocol: what it says, and a gap with a name for everything that it does not say.

Nothing that steers an experiment is guessed: without a kind of cell, limits, or the most current of a voltage,
`labctl check` refuses the file until a person has written them.
"""

import json
import re
from collections.abc import Mapping

from labctl.exchange.procedure import (
    Current,
    End,
    Hole,
    Limits,
    Load,
    Loop,
    Procedure,
    Record,
    Rest,
    Spectrum,
    Step,
    Sweep,
    Voltage,
)
from labctl.exchange.remarks import Remarks
from labctl.plan import Quantity as Measured
from labctl.plan import Then
from labctl.protocol.spectrum import PER_DECADE
from labctl.quantity import Dimension, Quantity, shown

Table = dict[str, object]
"""A TOML table: texts, counts, tables, and lists of them."""

Timed = Rest | Current | Voltage | Load

GIVABLE = {
    "cell.kind": "full",
    "cell.capacity": "3 mAh",
    "limits.voltage": "2.5 V, 4.3 V",
    "limits.current": "3 mA",
    "limits.capacity": "4 mAh",
    "max_current": "3 mA",
}
"""What a person may add to a file that does not say it, with an example of each."""

LONGEST_NAME = 100


def compose(procedure: Procedure, given: Mapping[str, str], remarks: Remarks) -> str:
    """Return the text of a protocol; `given` says what the file of another world does not."""
    return _Composer(given, remarks).text(procedure)


class _Composer:
    """Writes one protocol."""

    def __init__(self, given: Mapping[str, str], remarks: Remarks) -> None:
        self._given = given
        self._remarks = remarks
        self._gaps: list[str] = []
        self._has_rates = False

    def text(self, procedure: Procedure) -> str:
        steps = [self._step(step) for step in procedure.steps]
        tables: dict[str, Table] = {
            "protocol": {"name": self._name(procedure.name)},
            "cell": self._cell(procedure),
            "limits": self._limits(procedure.limits),
            "record": _record(procedure.record),
        }
        lines = ['schema = "1"']
        for name, table in tables.items():
            gaps = [gap for gap in self._gaps if gap.startswith(f"{name}.")]
            if table or gaps:
                lines += ["", f"[{name}]", *(_pair(key, value) for key, value in table.items())]
                lines += [f"# missing: {gap.removeprefix(f'{name}.')}" for gap in gaps]
        for step in steps:
            lines += ["", "[[step]]", *(_pair(key, value) for key, value in step.items())]
        return "\n".join(lines) + "\n"

    # -- tables ----------------------------------------------------------------------------------------------------

    def _cell(self, procedure: Procedure) -> Table:
        table: Table = {}
        if procedure.sample:
            table["name"] = self._name(procedure.sample)
        self._take(table, "cell", "kind", None, "the file does not say what kind of cell this is")
        reason = "the file does not say what 1C is"
        if procedure.capacity is not None or "cell.capacity" in self._given or self._has_rates:
            self._take(table, "cell", "capacity", procedure.capacity, reason)
        return table

    def _limits(self, limits: Limits) -> Table:
        table: Table = {}
        window = None if limits.lowest is None or limits.highest is None else [limits.lowest.text, limits.highest.text]
        known = [end.text for end in (limits.lowest, limits.highest) if end is not None]
        half = f", only at {known[0]}" if window is None and known else ""
        self._take(table, "limits", "voltage", window, f"the file does not bound the voltage on both sides{half}")
        self._take(table, "limits", "current", limits.current, "the file does not bound the current")
        self._take(table, "limits", "capacity", limits.capacity, "the file does not bound the charge of a step")
        return table

    def _take(self, table: Table, name: str, key: str, said: Quantity | list[str] | None, reason: str) -> None:
        """Write what was given, else what was said; else leave a gap."""
        path = f"{name}.{key}"
        if path in self._given:
            given = self._given[path]
            if said is not None:
                self._remarks.note(None, f"`{path}` is as given, and not as the file says")
            table[key] = [part.strip() for part in given.split(",")] if "," in given else given
        elif said is not None:
            table[key] = said.text if isinstance(said, Quantity) else said
        else:
            self._gaps.append(path)
            self._remarks.missing(None, reason, f'Add --give {path}="{GIVABLE[path]}", or write it into [{name}].')

    # -- steps -----------------------------------------------------------------------------------------------------

    def _step(self, step: Step) -> Table:
        table: Table = {"name": self._name(step.name)} if step.name else {}
        match step:
            case Loop():
                table["repeat"] = step.passes
                if step.counts:
                    table["counts"] = "cycle"
                return table | {"do": [self._step(inner) for inner in step.body]}
            case Hole():
                return table
            case Rest():
                table["rest"] = step.time.text
            case Current():
                table["charge" if step.charges else "discharge"] = _magnitude(step.current).text
                self._has_rates |= step.current.dimension is Dimension.RATE
                if step.cv is not None:
                    table["cv"] = step.cv.text
            case Voltage():
                table["cv"] = step.voltage.text
                self._most(step, step.voltage, table)
            case Load():
                verb = "power" if step.load.dimension is Dimension.POWER else "resistance"
                table[verb] = step.load.text
            case Sweep():
                table |= {"sweep": [step.start.text, step.stop.text], "rate": step.rate.text}
                self._most(step, step.stop, table)
                return table | _own_record(step)
            case Spectrum():
                return table | self._spectrum(step) | _own_record(step)
        for end in step.ends:
            self._has_rates |= end.value.dimension is Dimension.RATE
        return table | _ends(step) | _own_record(step)

    def _spectrum(self, step: Spectrum) -> Table:
        of_voltage = step.peak.dimension is Dimension.VOLTAGE
        inner: Table = {"from": step.start.text, "to": step.stop.text, "amplitude": f"{step.peak} peak"}
        if step.per_decade != PER_DECADE:
            inner["per_decade"] = step.per_decade
        if step.bias is not None:
            inner["bias"] = step.bias.text
        if of_voltage and (step.bias is not None or step.most is not None):
            self._most(step, step.bias or step.peak, inner)
        return {"eis" if of_voltage else "geis": inner}

    def _most(self, step: Voltage | Sweep | Spectrum, voltage: Quantity, table: Table) -> None:
        if step.most is not None:
            table["max_current"] = step.most.text
            self._has_rates |= step.most.dimension is Dimension.RATE
        elif "max_current" in self._given:
            table["max_current"] = self._given["max_current"]
        else:
            reason = f"the file does not say how much current may flow at {voltage}"
            self._remarks.missing(step.place, reason, 'Add --give max_current="3 mA", or write it into the step.')

    def _name(self, name: str) -> str:
        """Make of foreign words a name of ours: no braces, no control characters, not too long."""
        tame = "".join(c if c.isprintable() else " " for c in name.replace("{", "(").replace("}", ")"))
        tame = tame.strip()[:LONGEST_NAME].strip() or "unnamed"
        if tame != name:
            self._remarks.note(None, f"the name {shown(name)} is written {shown(tame)}")
        return tame


def _ends(step: Timed) -> Table:
    until: list[object] = []
    timeout: Table = {}
    for end in step.ends:
        if end.measured is Measured.TIME and end.then is Then.FAULT and not timeout:
            timeout["timeout"] = end.value.text
        elif end.plain:
            until.append(_condition(end, step))
        else:
            until.append({"when": _condition(end, step), "then": f"{end.then} {end.label}".strip()})
    return ({"until": until[0] if len(until) == 1 else until} if until else {}) | timeout


def _condition(end: End, step: Timed) -> str:
    """Write an end as shortly as its step allows."""
    has_cv = isinstance(step, Voltage) or (isinstance(step, Current) and step.cv is not None)
    short = {
        Measured.TIME: end.upward,
        Measured.VOLTAGE: isinstance(step, Current | Load) and end.upward == step.charges,
        Measured.CURRENT: has_cv and not end.upward,
        Measured.CAPACITY: end.upward,
    }
    if short.get(end.measured, False):
        return end.value.text
    return f"{end.measured} {'>=' if end.upward else '<='} {end.value}"


def _record(record: Record) -> Table:
    every = {"interval": record.interval, "voltage": record.voltage, "current": record.current}
    return {key: value.text for key, value in every.items() if value is not None}


def _own_record(step: Step) -> Table:
    record = _record(step.record)
    return {"record": record} if record else {}


def _magnitude(current: Quantity) -> Quantity:
    text = re.sub(r"^[+-]\s*", "", current.text)
    return Quantity(abs(current.value), current.dimension, text)


def _pair(key: str, value: object, indent: str = "") -> str:
    """Write a key and its value as TOML; of steps each takes a line."""
    if key == "do" and isinstance(value, list):
        inner = indent + "  "
        return "do = [\n" + "".join(f"{inner}{_written(step, inner)},\n" for step in value) + f"{indent}]"
    return f"{key} = {_written(value, indent)}"


def _written(value: object, indent: str = "") -> str:
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case int():
            return str(value)
        case dict():
            return "{ " + ", ".join(_pair(key, item, indent) for key, item in value.items()) + " }"
        case list():
            return "[" + ", ".join(_written(item, indent) for item in value) + "]"
    raise TypeError(value)
