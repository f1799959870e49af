"""From a MACCOR procedure file (XML, usually *.000).

Steps count from 1; a number without C is amperes or volts; `Limits` of a current is the voltage at which it goes on;
each end names the step that follows; `Do n` and `Loop n` belong together, and `Loop Cnt` is the total of their passes.
An end that leads to the step `End` by anything but time is an alarm: it becomes a fault.
"""

import re
from fractions import Fraction

from labctl.errors import Place
from labctl.exchange import amounts
from labctl.exchange.elements import Element, NotXml, parse
from labctl.exchange.loops import Unfolded
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
    nesting,
    with_common_record,
)
from labctl.exchange.remarks import Remarks
from labctl.plan import Quantity as Measured
from labctl.plan import Then
from labctl.protocol.verbs import MAX_PASSES
from labctl.quantity import Dimension, Quantity, WordingError, shown

_DRIVEN = {"Charge": 1, "Dischrge": -1, "Discharge": -1}
_TIME = re.compile(r"(?:(\d+)\s*d\s*)?(\d*):(\d*):(\d*\.?\d*)")
_LOOP = re.compile(r"(Do|Loop) (\d+)")
_MEASURED = {"StepTime": Measured.TIME, "Voltage": Measured.VOLTAGE, "Current": Measured.CURRENT}
_BY_HAND = "Write this step by hand, where the file has its name alone."


def read(text: str, title: str, remarks: Remarks) -> Procedure:
    """Read the text of a file; `title` names the procedure. What makes no sense is noted."""
    try:
        root = parse(text)
    except NotXml as error:
        remarks.impossible(remarks.place(error.line, error.column), error.reason, "Save it again with MACCOR's editor.")
        return Procedure(name=title, steps=())
    steps = root.all("ProcSteps", "TestStep")
    if root.tag != "MaccorTestProcedure" or not steps:
        remarks.impossible(None, "this is no procedure of MACCOR, or it has no step", "Choose another file.")
    description = next((element.text.strip() for element in root.all("header", "ProcDesc", "desc")), "")
    if description:
        remarks.note(None, f"the description {shown(description)} is left out")
    record, read_steps = with_common_record(_Reader(steps, remarks).steps())
    return Procedure(name=title, steps=read_steps, record=record)


class _Reader:
    """Turns the rows of one procedure into steps."""

    def __init__(self, rows: list[Element], remarks: Remarks) -> None:
        self._rows = rows
        self._remarks = remarks
        self._last = [n for n, row in enumerate(rows, 1) if row.word("StepType") == "End"]
        self._goals: set[int] = set()
        self._advances: list[int] = []

    def steps(self) -> tuple[Step, ...]:
        self._find_goals()
        unfolded, begun = Unfolded(), dict[str, int]()
        for number, row in enumerate(self._rows, 1):
            kind, place = row.word("StepType"), self._place(row)
            loop = _LOOP.fullmatch(kind)
            if loop and loop[1] == "Do":
                begun[loop[2]] = number
            elif loop:
                self._loop(number, row, begun.pop(loop[2], None), unfolded)
            elif kind == "AdvCycle":
                self._advances.append(number)
            elif kind == "End":
                if number < len(self._rows):
                    reason = "steps after an End are reached by jumps alone"
                    self._remarks.impossible(place, reason, "Make a procedure of their own of them.")
                break
            else:
                unfolded.add(number, number, self._step(number, row))
        for name, number in begun.items():
            place = self._place(self._rows[number - 1])
            self._remarks.impossible(place, f"`Do {name}` has no Loop", "Correct it there.")
        self._tell_of_all()
        return unfolded.all

    def _find_goals(self) -> None:
        """Note the steps that an end leads to past the next one: they need a name to be found by."""
        for number, row in enumerate(self._rows, 1):
            goals = {_whole(end.word("Step")) for end in row.all("Ends", "EndEntry")}
            self._goals |= {goal for goal in goals if goal not in {number + 1, *self._last}}

    def _tell_of_all(self) -> None:
        if self._advances:
            place = self._place(self._rows[self._advances[0] - 1])
            reason = "an AdvCycle that does not stand alone in a loop is left out: one pass of a loop is one cycle"
            self._remarks.note(place, reason)
        for tag in ("Range", "Option1", "Option2", "Option3"):
            row = next((row for row in self._rows if row.word(tag) not in {"", "N"}), None)
            if row is not None:
                self._remarks.note(self._place(row), f"`{tag}` is a matter of the instrument and is left out")

    def _place(self, element: Element) -> Place:
        return self._remarks.place(element.line, element.column)

    # -- loops ---------------------------------------------------------------------------------------------------------

    def _loop(self, number: int, row: Element, begun: int | None, unfolded: Unfolded) -> None:
        counts = [_whole(end.word("Value")) for end in row.all("Ends", "EndEntry") if end.word("EndType") == "Loop Cnt"]
        goals = {_whole(end.word("Step")) for end in row.all("Ends", "EndEntry")}
        body = unfolded.take(begun + 1) if begun is not None else ()
        counted = len(counts) == 1 and 1 <= counts[0] <= MAX_PASSES and goals == {number + 1}
        if begun is None or not counted or not body or nesting(body) >= MOST_NESTED:
            reason = "this loop does not go a number of times over the steps since its Do and then on to the next step"
            self._remarks.impossible(self._place(row), reason, "Write it by hand.")
            return
        advances = [at for at in self._advances if at > begun]
        if len(advances) == 1:
            self._advances.remove(advances[0])
        name = self._name(begun, row)
        loop = Loop(name=name, passes=counts[0], body=body, counts=len(advances) == 1, place=self._place(row))
        unfolded.add(begun, number, loop)

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _step(self, number: int, row: Element) -> Step:
        kind, mode, value = row.word("StepType"), row.word("StepMode"), row.word("StepValue")
        name = self._name(number, row)
        try:
            return self._known(number, row, name) or self._hole(number, row, " ".join((kind, mode, value)))
        except WordingError as error:
            self._remarks.impossible(self._place(row), f"step {number}: {error.sentence}", "Correct it there.")
            return Hole(name=f"MACCOR step {number}", place=self._place(row))

    def _name(self, number: int, row: Element) -> str:
        """Name a step by the number that leads to it, where an end does, else by its note."""
        note = row.word("StepNote")
        if number not in self._goals:
            return note
        if note:
            self._remarks.note(
                self._place(row), f"the note {shown(note)} is left out: ends find this step by its number"
            )
        return _label(number)

    def _hole(self, number: int, row: Element, words: str) -> Hole:
        name = f"MACCOR step {number}: {' '.join(words.split())}"
        reason = f"{shown(name)} has no counterpart that could be written for it"
        self._remarks.missing(self._place(row), reason, _BY_HAND)
        return Hole(name=name, place=self._place(row))

    def _known(self, number: int, row: Element, name: str) -> Step | None:
        kind, mode, value = row.word("StepType"), row.word("StepMode"), row.word("StepValue")
        place, record = self._place(row), self._record(row)
        bounds = {child.tag: child.text.strip() for limits in row.all("Limits") for child in limits.children}
        ends = tuple(self._end(number, entry) for entry in row.all("Ends", "EndEntry"))
        if kind == "Rest":
            time = next((end.value for end in ends if end.measured is Measured.TIME and end.plain), None)
            if time is None:
                raise WordingError("this rest has no time after which the next step comes", "give it one")
            others = tuple(end for end in ends if not (end.measured is Measured.TIME and end.plain))
            return Rest(name=name, place=place, record=record, time=time, ends=others)
        if kind in _DRIVEN and mode == "Current" and bounds.keys() <= {"Voltage"}:
            magnitude = _electric(value, "A")
            current = amounts.spell(abs(magnitude.value) * _DRIVEN[kind], magnitude.dimension)
            cv = _electric(bounds["Voltage"], "V") if bounds else None
            return Current(name=name, place=place, record=record, current=current, cv=cv, ends=ends)
        if kind in _DRIVEN and mode == "Voltage" and bounds.keys() <= {"Current"}:
            most = _electric(bounds["Current"], "A") if bounds else None
            voltage = _electric(value, "V")
            return Voltage(name=name, place=place, record=record, voltage=voltage, most=most, ends=ends)
        if kind in _DRIVEN and mode == "Power" and not bounds:
            power = amounts.amount(amounts.number(value), "W", Dimension.POWER)
            load = amounts.spell(abs(power.value) * _DRIVEN[kind], Dimension.POWER)
            return Load(name=name, place=place, record=record, load=load, ends=ends)
        return None

    def _end(self, number: int, entry: Element) -> End:
        kind, goal = entry.word("EndType"), _whole(entry.word("Step"))
        if kind not in _MEASURED or entry.word("SpecialType"):
            raise WordingError(f"an end by {shown(kind)} is not known here", "end it by a time, a voltage or a current")
        measured, written = _MEASURED[kind], entry.word("Value")
        unit = "V" if measured is Measured.VOLTAGE else "A"
        value = _time(written) if measured is Measured.TIME else _electric(written, unit)
        place, upward = self._place(entry), entry.word("Oper") != "<="
        if goal == number + 1:
            return End(measured, upward, value, place=place)
        if goal in self._last:
            return End(measured, upward, value, Then.END if measured is Measured.TIME else Then.FAULT, place=place)
        return End(measured, upward, value, Then.GOTO, _label(goal), place)

    def _record(self, row: Element) -> Record:
        rules: dict[str, Quantity] = {}
        for report in row.all("Reports", "ReportEntry"):
            kind, value = report.word("ReportType"), report.word("Value")
            if kind == "StepTime":
                rules["interval"] = _time(value)
            elif kind == "Voltage":
                rules["voltage"] = _electric(value, "V")
            elif kind == "Current":
                rules["current"] = _electric(value, "A")
            else:
                self._remarks.note(self._place(report), f"a report by {shown(kind)} is left out")
        return Record(**rules)


def _label(number: int) -> str:
    return f"MACCOR step {number}"


def _whole(text: str) -> int:
    """Read a count; 0 where there is none, which no step and no loop has."""
    return int(text) if re.fullmatch(r"\d{1,9}", text) else 0


def _electric(text: str, unit: str) -> Quantity:
    """Read "2.0C" as a rate, "0.5" as so many of the unit."""
    if unit == "A" and text.endswith("C"):
        return amounts.spell(amounts.number(text[:-1]), Dimension.RATE)
    return amounts.amount(amounts.number(text), unit, Dimension.VOLTAGE if unit == "V" else Dimension.CURRENT)


def _time(text: str) -> Quantity:
    match = _TIME.fullmatch(text)
    if match is None:
        raise WordingError(f"{shown(text)} is no time", "write hh:mm:ss")
    days, hours, minutes, seconds = (amounts.number(part or "0") for part in match.groups())
    total = Fraction(days * 86400 + hours * 3600 + minutes * 60 + seconds)
    if not total:
        raise WordingError(f"{shown(text)} is no time", "write hh:mm:ss")
    return amounts.spell(total, Dimension.TIME)
