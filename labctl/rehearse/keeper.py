"""What a rehearsal keeps of its records: steps, cycles, first, last and extreme rows of each step, curves, trouble."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from labctl.engine import spectrum
from labctl.plan import Plan, RecordRule
from labctl.reading import COLUMNS, Event, Reading, Record, RunState, Severity
from labctl.record.aggregate import Span
from labctl.record.queries import CycleRow, StepRow
from labctl.record.schema import SPAN_COLUMNS
from labctl.rehearse.curves import TRACED, Curves
from labctl.rehearse.storage import Storage

CHANNEL = 0
MOST_TROUBLE = 1000
"""Warnings and alarms that are kept; a plan that causes more has been understood."""
_STEP, _STEP_ID, _CYCLE = (COLUMNS.index(name) for name in ("step_count", "step_id", "cycle_count"))
_TIME = COLUMNS.index("test_time_second")
_VOLTAGE, _CURRENT = COLUMNS.index("voltage_volt"), COLUMNS.index("current_ampere")


@dataclass(frozen=True, slots=True)
class Point:
    """Impedance (ohm) at a frequency (Hz); a negative imaginary part is capacitive."""

    frequency: float
    real: float
    imaginary: float


@dataclass(slots=True)
class KeptStep:
    """An executed step, of which a few rows are left.

    Attributes:
        lowest, highest: traced quantity -> row that holds its minimum, its maximum.
        readings: how many the real run would store.
        spectrum: what was measured of an impedance, in the order of measurement.
    """

    step_count: int
    step_id: int
    name: str
    verb: str
    cycle_count: int
    span: Span | None = None
    lowest: dict[str, Reading] = field(default_factory=dict)
    highest: dict[str, Reading] = field(default_factory=dict)
    end_reason: str | None = None
    readings: float = 0.0
    spectrum: list[Point] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """From its first to its last row."""
        return 0.0 if self.span is None else (self.span.last[_TIME] or 0.0) - (self.span.first[_TIME] or 0.0)

    def extremes(self, name: str) -> tuple[float, float] | None:
        """Return minimum and maximum of a traced quantity; None where it had no value."""
        if name not in self.lowest:
            return None
        low, high = TRACED[name]
        least, most = self.lowest[name].values[low], self.highest[name].values[high]
        assert least is not None
        assert most is not None
        return least, most

    def add(self, seq: int, row: Reading) -> None:
        """Add the next row."""
        if self.span is None:
            self.span = Span.of(seq, row.values)
        self.span.add(seq, (row.values,))
        for name, (low, high) in TRACED.items():
            least, most = row.values[low], row.values[high]
            if least is None or most is None:
                continue
            extremes = self.extremes(name)
            if extremes is None or least < extremes[0]:
                self.lowest[name] = row
            if extremes is None or most > extremes[1]:
                self.highest[name] = row

    def row(self) -> StepRow:
        """Return it as the table of steps would hold it."""
        last = None if self.span is None else self.span.last
        return StepRow(
            channel=CHANNEL,
            **_columns(self.span),
            step_count=self.step_count,
            step_id=self.step_id,
            name=self.name,
            verb=self.verb,
            cycle_count=self.cycle_count,
            end_voltage_volt=None if last is None else last[_VOLTAGE],
            end_current_ampere=None if last is None else last[_CURRENT],
            end_reason=self.end_reason,
        )


class Keeper:
    """Takes the records of a run in order; its memory grows with the number of steps, not with that of rows.

    Attributes:
        trouble: warnings and alarms.

    Args:
        poll_period: s, of the real run.
        gap: tells how many s lie between the last two looks.
    """

    def __init__(self, plan: Plan, poll_period: float, gap: Callable[[], float]) -> None:
        self.steps: list[KeptStep] = []
        self.curves = Curves()
        self.trouble: list[Event] = []
        self._storage = Storage(poll_period)
        self._text = len(plan.text.encode())
        self.duration = 0.0
        self._gap = gap
        self._rules: Mapping[int, RecordRule] = {step.id: step.record for step in plan.steps()}
        self._cycles: dict[int, Span] = {}
        self._completed = False
        self._seq = 0

    def __call__(self, record: Record) -> None:
        """Take a record."""
        self._seq += 1
        if isinstance(record, Reading):
            self._reading(record)
        else:
            self._event(record)

    def cycles(self) -> tuple[CycleRow, ...]:
        """Return the cycles as their table would hold them."""
        newest = max(self._cycles, default=0)
        return tuple(
            self._cycle(count, span, self._completed or count < newest) for count, span in self._cycles.items()
        )

    def size(self, readings: int) -> int:
        """Return bytes that the database of the real run would grow by, with so many readings."""
        return self._text + self._storage.size(readings, len(self.steps), len(self._cycles))

    def _cycle(self, count: int, span: Span, complete: bool) -> CycleRow:
        coulombic, energy = span.efficiencies()
        return CycleRow(
            channel=CHANNEL,
            **_columns(span),
            cycle_count=count,
            coulombic_efficiency=coulombic,
            energy_efficiency=energy,
            complete=complete,
        )

    def _reading(self, row: Reading) -> None:
        values = row.values
        self.steps[-1].add(self._seq, row)
        cycle = values[_CYCLE]
        if cycle:
            span = self._cycles.get(int(cycle))
            if span is None:
                span = self._cycles[int(cycle)] = Span.of(self._seq, values)
            span.add(self._seq, (values,))
        self.curves.add(values)
        rule = self._rules.get(int(values[_STEP_ID] or 0), RecordRule())
        self.steps[-1].readings += self._storage.reading(values, rule, self._gap())

    def _event(self, event: Event) -> None:
        self._storage.event(event.kind)
        self.duration = event.test_time_second
        match event.kind:
            case "step.started":
                data = event.data
                names = (data["step_count"], data["step_id"], data["name"], data["verb"], data["cycle_count"])
                self.steps.append(KeptStep(*names))
            case spectrum.KIND:
                data = event.data
                point = (data["frequency_hertz"], data["real_impedance_ohm"], data["imaginary_impedance_ohm"])
                self.steps[-1].spectrum.append(Point(*point))
            case "step.ended":
                self.steps[-1].end_reason = event.data["reason"]
            case "run.ended":
                self._completed = event.data["state"] == RunState.COMPLETED
            case _ if event.severity is not Severity.INFO and len(self.trouble) < MOST_TROUBLE:
                self.trouble.append(event)


def _columns(span: Span | None) -> dict[str, Any]:
    """Return what steps and cycles have in common, by column."""
    if span is None:
        return {**dict.fromkeys(SPAN_COLUMNS), "row_count": 0}
    return dict(zip(SPAN_COLUMNS, span.columns(), strict=True))
