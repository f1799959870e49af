"""From the JSON of aurora-unicycler 0.4.6: see to_unicycler for what it means."""

import json
import re
from collections.abc import Callable
from dataclasses import replace

from labctl.errors import Place
from labctl.exchange import amounts
from labctl.exchange.jsonplaces import places
from labctl.exchange.loops import Unfolded
from labctl.exchange.procedure import (
    MOST_NESTED,
    Current,
    End,
    Hole,
    Limits,
    Loop,
    Procedure,
    Record,
    Rest,
    Spectrum,
    Step,
    Sweep,
    Voltage,
    joined,
    nesting,
)
from labctl.exchange.remarks import Remarks
from labctl.exchange.to_unicycler import NOBODY, UNNAMED
from labctl.plan import Quantity as Measured
from labctl.protocol.spectrum import PER_DECADE
from labctl.quantity import Dimension, Quantity, WordingError, shown

_RATE = re.compile(r"(-?)(\d+\.?\d*|\.\d+)?([CD]?)/(\d+\.?\d*|\.\d+)")
_UNNAMED = re.compile(UNNAMED.format(r"\d+"))
_CHECK = "Check that this is a file of aurora-unicycler 0.4."
_LOOPS = f"A loop goes back to an earlier step; loops do not cross, and no more than {MOST_NESTED} lie in each other."
_CORRECT = "Correct it there, and import it again."

JsonObject = dict[str, object]


def read(text: str, title: str, remarks: Remarks) -> Procedure:
    """Read the text of a file; `title` names the procedure. What makes no sense is noted."""
    data = _object(text, remarks)
    sample, record, safety = (_Fields(data.pop(key, {}), None, remarks) for key in ("sample", "record", "safety"))
    method = data.pop("method", None)
    data.pop("unicycler", None)
    person = sample.text("name")
    procedure = Procedure(
        name=title,
        steps=_method(method, text, remarks),
        sample="" if person is None or person == NOBODY else person,
        capacity=sample.end("capacity_mAh", "mAh", Dimension.CHARGE),
        limits=_limits(safety, remarks),
        record=Record(
            record.end("time_s", "s", Dimension.TIME),
            record.end("voltage_V", "V", Dimension.VOLTAGE),
            record.end("current_mA", "mA", Dimension.CURRENT),
        ),
    )
    for fields in (sample, record, safety, _Fields(data, None, remarks)):
        fields.refuse_others()
    return procedure


def _object(text: str, remarks: Remarks) -> JsonObject:
    """Parse the text and keep its numbers as they are written."""

    def refuse(constant: str) -> object:
        raise ValueError(f"{constant} is no number")

    def unique(pairs: list[tuple[str, object]]) -> JsonObject:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key stands twice in one of its objects")
        return dict(pairs)

    try:
        data = json.loads(text, parse_float=str, parse_int=str, parse_constant=refuse, object_pairs_hook=unique)
    except RecursionError:
        remarks.impossible(None, "this file is nested too deeply", _CHECK)
    except json.JSONDecodeError as error:
        remarks.impossible(remarks.place(error.lineno, error.colno), f"this is not JSON: {error.msg}", _CHECK)
    except ValueError as error:
        remarks.impossible(None, str(error), _CHECK)
    else:
        if isinstance(data, dict):
            return data
        remarks.impossible(None, "this is no JSON object", _CHECK)
    return {}


def _limits(safety: "_Fields", remarks: Remarks) -> Limits:
    """Keep the narrower current of both directions: labctl knows a magnitude alone."""
    most = safety.end("max_current_mA", "mA", Dimension.CURRENT)
    least = safety.end("min_current_mA", "mA", Dimension.CURRENT)
    currents = [amounts.spell(abs(current.value), Dimension.CURRENT) for current in (most, least) if current]
    narrower = min(currents, key=lambda current: current.value, default=None)
    if narrower is not None and len({current.value for current in currents}) + (len(currents) == 1) > 1:
        remarks.dropped(None, f"the current of both directions is limited to {narrower}, the narrower of the two")
    if safety.end("delay_s", "s", Dimension.TIME) is not None:
        remarks.note(None, "how long a limit may be exceeded is not a matter of the protocol: `delay_s` is left out")
    return Limits(
        lowest=safety.amount("min_voltage_V", "V", Dimension.VOLTAGE),
        highest=safety.amount("max_voltage_V", "V", Dimension.VOLTAGE),
        current=narrower,
        capacity=safety.end("max_capacity_mAh", "mAh", Dimension.CHARGE),
    )


def _method(method: object, text: str, remarks: Remarks) -> tuple[Step, ...]:
    if not isinstance(method, list) or not method:
        remarks.impossible(None, "there is no `method` in it, or no step in that", _CHECK)
        return ()
    tags: dict[str, int] = {}
    used: set[str] = set()
    steps = Unfolded()
    for index, (data, (line, column)) in enumerate(zip(method, places(text, "method"), strict=True)):
        fields = _Fields(data, remarks.place(line, column), remarks)
        kind = fields.text("step")
        if kind == "tag":
            tags[fields.text("tag") or ""] = index
        elif kind == "loop":
            used.add(_loop(fields, index, tags, steps, remarks))
        else:
            steps.add(index, index, _step(kind, fields, remarks))
        fields.refuse_others()
    for tag in sorted(tags.keys() - used):
        remarks.note(None, f"the tag {shown(tag)}, to which no loop goes back, is left out")
    return joined(steps.all, remarks)


def _loop(fields: "_Fields", index: int, tags: dict[str, int], steps: Unfolded, remarks: Remarks) -> str:
    """Fold what a loop goes over into one step; return the tag that it names, or nothing."""
    goal, passes = fields.text("loop_to") or "1", fields.count("cycle_count")
    since = tags.get(goal, int(goal) - 1 if goal.isdecimal() and len(goal) < 7 else None)
    body = () if since is None or since >= index else steps.take(since)
    if not body or passes is None or nesting(body) >= MOST_NESTED:
        reason = f"this loop goes {passes or 'an unknown number of'} times back to {shown(goal)}, which cannot be"
        remarks.impossible(fields.place, reason, _LOOPS)
        return goal
    name = goal if goal in tags and not _UNNAMED.fullmatch(goal) else ""
    steps.add(since or 0, index, Loop(name=name, passes=passes, body=joined(body, remarks), place=fields.place))
    return goal


def _step(kind: str | None, fields: "_Fields", remarks: Remarks) -> Step:
    name, place = fields.text("id") or "", fields.place
    if kind == "open_circuit_voltage":
        time = fields.end("until_time_s", "s", Dimension.TIME)
        if time is not None:
            return Rest(name=name, place=place, time=time)
    elif kind == "constant_current":
        current = fields.rate("rate_C") or fields.end("current_mA", "mA", Dimension.CURRENT)
        fields.forget("current_mA")
        if current is not None:
            return Current(name=name, place=place, current=current, ends=_ends_of_current(fields, current))
    elif kind == "constant_voltage":
        voltage = fields.amount("voltage_V", "V", Dimension.VOLTAGE)
        if voltage is not None:
            return Voltage(name=name, place=place, voltage=voltage, ends=_ends_of_voltage(fields))
    elif kind == "voltage_scan":
        start = fields.amount("start_voltage_V", "V", Dimension.VOLTAGE)
        stop = fields.amount("end_voltage_V", "V", Dimension.VOLTAGE)
        rate = fields.end("scan_rate_mV_per_s", "mV/s", Dimension.VOLTAGE_RATE)
        if start is not None and stop is not None and rate is not None:
            return Sweep(name=name, place=place, start=start, stop=stop, rate=rate)
    elif kind == "impedance_spectroscopy":
        found = _spectrum(fields, remarks)
        if found is not None:
            return replace(found, name=name, place=place)
    else:
        fields.forget()
        reason = f"the step {shown(kind or '')} has no counterpart that could be written for it"
        remarks.missing(place, reason, "Write this step by hand, where the file has its name alone.")
        return Hole(name=f"unicycler step {kind or 'without a name'}", place=place)
    remarks.impossible(place, f"this {kind} lacks what it needs", _CORRECT)
    return Hole(name=f"unicycler step {kind}", place=place)


def _spectrum(fields: "_Fields", remarks: Remarks) -> Spectrum | None:
    """Read a spectrum; how often a frequency is measured, and how drift is taken out, is the instrument's affair."""
    peak = fields.end("amplitude_V", "V", Dimension.VOLTAGE) or fields.end("amplitude_mA", "mA", Dimension.CURRENT)
    start = fields.end("start_frequency_Hz", "Hz", Dimension.FREQUENCY)
    stop = fields.end("end_frequency_Hz", "Hz", Dimension.FREQUENCY)
    dense = fields.count("points_per_decade") if fields.has("points_per_decade") else PER_DECADE
    for key, usual in (("measures_per_point", "1"), ("drift_correction", "False")):
        said = fields.word(key)
        if said not in (None, usual):
            remarks.dropped(fields.place, f"`{key}` = {said} is left out: a protocol of labctl does not say it")
    if peak is None or start is None or stop is None or dense is None:
        return None
    return Spectrum(start=start, stop=stop, peak=peak, per_decade=dense)


def _ends_of_current(fields: "_Fields", current: Quantity) -> tuple[End, ...]:
    ends = _time(fields)
    voltage = fields.end("until_voltage_V", "V", Dimension.VOLTAGE)
    if voltage is None:
        return ends
    return (End(Measured.VOLTAGE, current.value > 0, voltage, place=fields.place), *ends)


def _ends_of_voltage(fields: "_Fields") -> tuple[End, ...]:
    ends = _time(fields)
    current = fields.rate("until_rate_C") or fields.end("until_current_mA", "mA", Dimension.CURRENT)
    fields.forget("until_current_mA")
    if current is None:
        return ends
    magnitude = amounts.spell(abs(current.value), current.dimension)
    return (End(Measured.CURRENT, False, magnitude, place=fields.place), *ends)


def _time(fields: "_Fields") -> tuple[End, ...]:
    time = fields.end("until_time_s", "s", Dimension.TIME)
    return () if time is None else (End(Measured.TIME, True, time, place=fields.place),)


class _Fields:
    """Takes what is known out of a JSON object; numbers are texts in it."""

    def __init__(self, data: object, place: Place | None, remarks: Remarks) -> None:
        self.place = place
        self._data: JsonObject = dict(data) if isinstance(data, dict) else {}
        self._remarks = remarks
        if not isinstance(data, dict):
            remarks.impossible(place, "this is no JSON object", _CHECK)

    def text(self, key: str) -> str | None:
        """Take a text, or a number as it is written; None where there is none."""
        value = self._data.pop(key, None)
        if value is not None and not isinstance(value, str):
            self._remarks.impossible(self.place, f"`{key}` is neither a number nor a text", _CORRECT)
            return None
        return (value or "").strip() or None

    def has(self, key: str) -> bool:
        """Whether something is said under a key."""
        return self._data.get(key) is not None

    def word(self, key: str) -> str | None:
        """Take anything, as a word; None where there is nothing."""
        value = self._data.pop(key, None)
        return None if value is None else str(value)

    def count(self, key: str) -> int | None:
        """Take a whole number above zero."""
        text = self.text(key)
        return int(text) if text is not None and re.fullmatch(r"0*[1-9]\d{0,8}", text) else None

    def amount(self, key: str, unit: str, dimension: Dimension) -> Quantity | None:
        """Take a number of a unit."""
        return self._read(key, lambda text: amounts.amount(amounts.number(text), unit, dimension))

    def end(self, key: str, unit: str, dimension: Dimension) -> Quantity | None:
        """Take a number of a unit; None also where it is zero, which means none there."""
        found = self.amount(key, unit, dimension)
        return found if found is not None and found.value else None

    def rate(self, key: str) -> Quantity | None:
        """Take a rate such as 0.5, "C/2", or "D/2", which discharges; None also where it is zero."""
        found = self._read(key, _rate)
        return found if found is not None and found.value else None

    def forget(self, *keys: str) -> None:
        """Leave out what another key overrules; all that is left where none is named."""
        for key in keys or tuple(self._data):
            self._data.pop(key, None)

    def refuse_others(self) -> None:
        """Note what was not taken."""
        for key, value in self._data.items():
            if value is not None:
                self._remarks.impossible(self.place, f"{shown(key)} is not known here", _CHECK)

    def _read(self, key: str, convert: Callable[[str], Quantity]) -> Quantity | None:
        text = self.text(key)
        try:
            return None if text is None else convert(text)
        except WordingError as error:
            self._remarks.impossible(self.place, f"`{key}`: {error.sentence}", _CORRECT)
            return None


def _rate(text: str) -> Quantity:
    fraction = _RATE.fullmatch(text.replace(" ", ""))
    if fraction is None:
        return amounts.spell(amounts.number(text), Dimension.RATE)
    sign, count, letter, hours = fraction.groups()
    if not amounts.number(hours):
        raise WordingError(f"{shown(text)} divides by zero", _CORRECT)
    size = amounts.number(count or "1") / amounts.number(hours)
    return amounts.spell(size * (-1) ** ((sign == "-") + (letter == "D")), Dimension.RATE)
