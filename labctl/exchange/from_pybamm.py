"""From the strings of a PyBaMM experiment: a Python expression of strings, lists, tuples, + and *, or a string a line.

The expression is read, never run. It may stand inside `pybamm.Experiment( ... )`.
"""

import ast
import re
import warnings
from dataclasses import dataclass

from labctl.errors import Place
from labctl.exchange import amounts
from labctl.exchange.procedure import (
    MOST_NESTED,
    Current,
    End,
    Hole,
    Load,
    Loop,
    Procedure,
    Record,
    Rest,
    Step,
    Voltage,
    joined,
    nesting,
    with_common_record,
)
from labctl.exchange.remarks import Remarks
from labctl.plan import Quantity as Measured
from labctl.protocol.verbs import MAX_PASSES
from labctl.quantity import Dimension, Quantity, WordingError, shown

_STRING = re.compile(
    r"(?P<verb>Charge|Discharge|Hold|Rest)(?: at (?P<at>.+?))?(?: for (?P<time>.+?))?"
    r"(?: (?:or )?until (?P<sign>[<>]?)\s*(?P<state>.+?))?(?: \((?P<period>.+) period\))?"
)
_ELECTRIC = re.compile(r"(?:C/(?P<hours>[\d.eE+-]+)|(?P<count>[\d.eE+-]+?)\s*(?P<unit>mA|A|mV|V|mW|W|mOhm|Ohm|C))")
_TIME = re.compile(r"(?P<count>[\d.eE+-]+?)\s*(?P<unit>[a-z]+)")
_TIMES = {
    **dict.fromkeys(("second", "seconds", "s", "sec"), "s"),
    **dict.fromkeys(("minute", "minutes", "m", "min"), "min"),
    **dict.fromkeys(("hour", "hours", "h", "hr"), "h"),
}
_DIMENSIONS = {
    "A": Dimension.CURRENT,
    "V": Dimension.VOLTAGE,
    "W": Dimension.POWER,
    "Ohm": Dimension.RESISTANCE,
}
_HOW = 'A string is such as "Charge at C/2 for 1 hour or until 4.2 V", "Hold at 4.2 V until C/50" or "Rest for 1 hour".'
_WHAT = "Give the list that pybamm.Experiment takes, or a string a line."


def read(text: str, title: str, remarks: Remarks) -> Procedure:
    """Read the text of a file; `title` names the procedure. What makes no sense is noted."""
    steps = _Reader(remarks).steps(text)
    record, steps = with_common_record(steps)
    return Procedure(name=title, steps=steps, record=record)


@dataclass(frozen=True, slots=True)
class _Parts:
    """One string, taken apart."""

    verb: str
    at: Quantity | None
    time: Quantity | None
    state: Quantity | None
    sign: str
    record: Record
    place: Place


class _Reader:
    """Turns one text into steps."""

    def __init__(self, remarks: Remarks) -> None:
        self._remarks = remarks
        self._lines: list[str] = []

    def steps(self, text: str) -> tuple[Step, ...]:
        self._lines = text.split("\n")
        if re.match(r"\s*(?:#.*\s+)*(Charge|Discharge|Hold|Rest)\b", text):
            numbered = [(n, line.strip()) for n, line in enumerate(self._lines, 1)]
            written = [(n, line) for n, line in numbered if line and not line.startswith("#")]
            return joined(tuple(self._step(line, self._place(n, 1)) for n, line in written), self._remarks)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(f"({text}\n)", mode="eval")  # brackets: a sum may take several lines
            steps = joined(self._sequence(tree.body), self._remarks)
        except SyntaxError as error:
            place = self._remarks.place(error.lineno or 1, error.offset or 1)
            self._remarks.impossible(place, f"this is no Python expression: {error.msg}", _WHAT)
        except (ValueError, RecursionError, MemoryError):
            self._remarks.impossible(None, "this is no Python expression that can be read", _WHAT)
        else:
            if not steps:
                self._remarks.impossible(None, "there is no step in it", _WHAT)
            return steps
        return ()

    # -- the expression ------------------------------------------------------------------------------------------------

    def _sequence(self, node: ast.expr) -> tuple[Step, ...]:
        match node:
            case ast.Constant(value=str() as text):
                return (self._step(" ".join(text.split()), self._of_node(node)),)
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return tuple(step for part in parts for step in self._sequence(part))
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._sequence(left) + self._sequence(right)
            case (
                ast.BinOp(left=ast.Constant(value=int() as passes), op=ast.Mult(), right=body)
                | ast.BinOp(left=body, op=ast.Mult(), right=ast.Constant(value=int() as passes))
            ) if 1 <= passes <= MAX_PASSES:
                steps = joined(self._sequence(body), self._remarks)
                if nesting(steps) >= MOST_NESTED:
                    raise ValueError("loops lie in each other too deeply")
                return (Loop(passes=passes, body=steps, place=self._of_node(node)),)
            case ast.Call(func=ast.Attribute(attr="Experiment") | ast.Name(id="Experiment"), args=[steps_of]):
                self._tell_keywords(node)
                return self._sequence(steps_of)
        place = self._of_node(node)
        self._remarks.impossible(place, f"{shown(ast.unparse(node))} is no string, list, tuple, sum or multiple", _WHAT)
        return ()

    def _tell_keywords(self, call: ast.Call) -> None:
        for keyword in call.keywords:
            place = self._of_node(keyword.value)
            self._remarks.dropped(place, f"`{keyword.arg}` of the whole experiment is left out")

    # -- a string ------------------------------------------------------------------------------------------------------

    def _step(self, text: str, place: Place) -> Step:
        match = _STRING.fullmatch(text)
        try:
            if match is None:
                raise WordingError(f"{shown(text)} is no string of PyBaMM", _HOW)
            step = self._of(_parts(match, place), text)
        except WordingError as error:
            self._remarks.impossible(place, error.sentence, _HOW)
            return Hole(name=text, place=place)
        if step is None:
            reason = f"{shown(text)} has no counterpart that could be written for it"
            self._remarks.missing(place, reason, "Write this step by hand, where the file has its name alone.")
            return Hole(name=text, place=place)
        return step

    def _of(self, parts: _Parts, text: str) -> Step | None:
        place, record = parts.place, parts.record
        ends = () if parts.time is None else (End(Measured.TIME, True, parts.time, place=place),)
        if parts.verb == "Rest":
            if parts.time is None or parts.at is not None:
                raise WordingError(f"{shown(text)} does not say how long", _HOW)
            return Rest(time=parts.time, ends=self._states(parts, None), record=record, place=place)
        at = parts.at
        if at is None or (not ends and parts.state is None):
            raise WordingError(f"{shown(text)} lacks at what, or until when", _HOW)
        if parts.verb == "Hold":
            if at.dimension is not Dimension.VOLTAGE:
                return None
            return Voltage(voltage=at, ends=(*self._states(parts, None), *ends), record=record, place=place)
        if not at.value or at.dimension is Dimension.VOLTAGE:
            raise WordingError(f"{shown(text)} says no current", _HOW)
        charges = parts.verb == "Charge"
        ends = (*self._states(parts, charges), *ends)
        if at.dimension is Dimension.RESISTANCE:
            return None if charges else Load(load=at, ends=ends, record=record, place=place)
        signed = amounts.spell(abs(at.value) * (1 if charges else -1), at.dimension)
        if at.dimension is Dimension.POWER:
            return Load(load=signed, ends=ends, record=record, place=place)
        return Current(current=signed, ends=ends, record=record, place=place)

    def _states(self, parts: _Parts, charges: bool | None) -> tuple[End, ...]:
        """Return the end by a circuit state; a current ends a hold alone."""
        state, sign = parts.state, parts.sign
        if state is None:
            return ()
        if state.dimension is Dimension.VOLTAGE and (charges is not None or sign):
            upward = sign == ">" or (not sign and bool(charges))
            return (End(Measured.VOLTAGE, upward, state, place=parts.place),)
        if state.dimension in {Dimension.CURRENT, Dimension.RATE} and parts.verb == "Hold" and not sign:
            return (End(Measured.CURRENT, False, state, place=parts.place),)
        raise WordingError(f"what {shown(state.text)} ends is not clear", _HOW)

    def _of_node(self, node: ast.expr) -> Place:
        return self._place(node.lineno, node.col_offset + (node.lineno > 1))

    def _place(self, line: int, column: int) -> Place:
        return self._remarks.place(line, column, self._lines[line - 1] if line <= len(self._lines) else "")


def _parts(match: re.Match[str], place: Place) -> _Parts:
    at, time, state, period = (match[group] for group in ("at", "time", "state", "period"))
    return _Parts(
        verb=match["verb"],
        at=None if at is None else _electric(at),
        time=None if time is None else _time(time),
        state=None if state is None else _electric(state),
        sign=match["sign"] or "",
        record=Record() if period is None else Record(interval=_time(period)),
        place=place,
    )


def _electric(text: str) -> Quantity:
    match = _ELECTRIC.fullmatch(text.strip())
    if match is None:
        raise WordingError(f"{shown(text)} is neither A, V, W, Ohm nor C", _HOW)
    if match["hours"] is not None:
        hours = amounts.number(match["hours"])
        if not hours:
            raise WordingError(f"{shown(text)} divides by zero", _HOW)
        return amounts.spell(1 / hours, Dimension.RATE)
    count, unit = amounts.number(match["count"]), match["unit"]
    if unit == "C":
        return amounts.spell(count, Dimension.RATE)
    return amounts.amount(count, unit, _DIMENSIONS[unit.removeprefix("m")])


def _time(text: str) -> Quantity:
    match = _TIME.fullmatch(text.strip())
    if match is None or match["unit"] not in _TIMES:
        raise WordingError(f"{shown(text)} is no time in seconds, minutes or hours", _HOW)
    time = amounts.amount(amounts.number(match["count"]), _TIMES[match["unit"]], Dimension.TIME)
    if time.value <= 0:
        raise WordingError(f"{shown(text)} is no time", _HOW)
    return time
