"""The single steps of a labctl protocol on the common ground: set points, ends and record rules."""

from dataclasses import dataclass, replace
from itertools import pairwise

from labctl import plan
from labctl.errors import Place
from labctl.exchange import amounts
from labctl.exchange.procedure import Base, Current, End, Load, Loop, Record, Rest, Spectrum, Step, Sweep, Voltage
from labctl.exchange.remarks import Remarks
from labctl.plan import Then
from labctl.protocol.actions import direction, written_current
from labctl.protocol.condition import Comparison, Condition, Shorthand
from labctl.protocol.endings import Follow
from labctl.protocol.model import Record as RecordTable
from labctl.protocol.scale import Scale
from labctl.protocol.source import KeyPath, Source
from labctl.protocol.spectrum import EisTable, GeisTable
from labctl.protocol.verbs import (
    ChargeStep,
    CurrentStep,
    DischargeStep,
    EisStep,
    GeisStep,
    Lasting,
    PowerStep,
    ResistanceStep,
    RestStep,
    SweepStep,
    VoltageStep,
)
from labctl.quantity import Dimension, Quantity

Single = (
    RestStep
    | ChargeStep
    | DischargeStep
    | CurrentStep
    | VoltageStep
    | PowerStep
    | ResistanceStep
    | SweepStep
    | EisStep
    | GeisStep
)

_COPY = "Export a copy that does without it."

_COMMON = {
    Dimension.TIME: plan.Quantity.TIME,
    Dimension.VOLTAGE: plan.Quantity.VOLTAGE,
    Dimension.POTENTIAL: plan.Quantity.VOLTAGE,
    Dimension.RATE: plan.Quantity.CURRENT,
    Dimension.MEASURED_RATE: plan.Quantity.CURRENT,
    Dimension.CURRENT: plan.Quantity.CURRENT,
    Dimension.CURRENT_DENSITY: plan.Quantity.CURRENT,
    Dimension.SPECIFIC_CURRENT: plan.Quantity.CURRENT,
    Dimension.CHARGE: plan.Quantity.CAPACITY,
    Dimension.SPECIFIC_CHARGE: plan.Quantity.CAPACITY,
    Dimension.AREAL_CHARGE: plan.Quantity.CAPACITY,
}
"""What a bare value in `until` is compared with."""


@dataclass(frozen=True, slots=True)
class Singles:
    """Converts steps of one protocol, whose cell has this scale."""

    source: Source
    scale: Scale
    remarks: Remarks

    def steps(self, step: Single, path: KeyPath) -> tuple[Step, ...]:
        """Return a step as one, or a sweep as one for each way between two of its corners."""
        if step.limits.model_fields_set:
            reason = f"{self.remarks.other} has no limits of a single step"
            self.remarks.dropped(self.source.key((*path, "limits")), reason)
        found = self._sweeps(step, path) if isinstance(step, SweepStep) else (self._single(step, path),)
        base = Base(name=step.name or "", place=self.source.key(path), record=self.record(step.record, path))
        return tuple(_on(base, one) for one in found)

    def record(self, record: RecordTable, path: KeyPath) -> Record:
        """Convert a record rule; what it says of more than time, voltage and current is noted."""
        for key in record.model_fields_set - {"interval", "voltage", "current"}:
            reason = f"{self.remarks.other} asks for no point of data by {key}"
            self.remarks.note(self.source.key((*path, "record", key)), reason)
        amperes = None if record.current is None else self.scale.amperes(record.current)
        current = None if amperes is None else amounts.of_float(amperes, Dimension.CURRENT)
        return Record(record.interval, record.voltage, current)

    def _single(self, step: Single, path: KeyPath) -> Step:
        match step:
            case RestStep():
                return Rest(time=step.rest, ends=self._ends(step, 0, path))
            case VoltageStep():
                most = self._amperes(step.max_current)
                return Voltage(voltage=self._volts(step.cv), most=most, ends=self._ends(step, 0, path))
            case PowerStep() | ResistanceStep():
                load = Load(load=step.power if isinstance(step, PowerStep) else step.resistance)
                if step.max_current is not None:
                    reason = f'{self.remarks.other} does not keep the current of this load within "{step.max_current}"'
                    self.remarks.dropped(self.source.key((*path, "max_current")), reason)
                return replace(load, ends=self._ends(step, 1 if load.charges else -1, path))
            case ChargeStep() | DischargeStep() | CurrentStep():
                way, written = direction(step), self._amperes(written_current(step), self.source.key(path))
                current = amounts.spell(abs(written.value) * way, written.dimension)
                cv = None if step.cv is None else self._volts(step.cv)
                return Current(current=current, cv=cv, ends=self._ends(step, way, path))
            case EisStep() | GeisStep():
                return self._spectrum(step, path)
        raise TypeError(step)

    def _sweeps(self, step: SweepStep, path: KeyPath) -> tuple[Step, ...]:
        for end in self._ends(step, 0, path):
            if end.then is not Then.FAULT:
                self.remarks.impossible(end.place, f'{self.remarks.other} ends no sweep by "{end.value}"', _COPY)
        corners = [self._volts(corner) for corner in step.sweep if isinstance(corner, Quantity)]
        if len(corners) < len(step.sweep):
            place = self.source.key((*path, "sweep"))
            self.remarks.impossible(place, f"{self.remarks.other} sweeps from no voltage that is measured first", _COPY)
        most = self._amperes(step.max_current)

        def along(way: list[Quantity]) -> tuple[Step, ...]:
            moves = [(start, stop) for start, stop in pairwise(way) if start != stop]
            return tuple(Sweep(start=start, stop=stop, rate=step.rate, most=most) for start, stop in moves)

        first, again = along(corners), along([*corners[-1:], *corners[1:]])
        return first if step.cycles == 1 or not again else (*first, Loop(passes=step.cycles - 1, body=again))

    def _spectrum(self, step: EisStep | GeisStep, path: KeyPath) -> Spectrum:
        table, verb = (step.eis, "eis") if isinstance(step, EisStep) else (step.geis, "geis")
        for end in self._ends(step, 0, path):
            self.remarks.dropped(end.place, f'{self.remarks.other} ends no spectrum by "{end.value}"')
        size, bias = table.amplitude.size, table.bias
        of_current = isinstance(table, GeisTable)
        peak = amounts.of_float(self.scale.amperes(size), Dimension.CURRENT) if of_current else size
        if table.amplitude.kind == "rms":
            peak = amounts.spell(amounts.root(2 * peak.value**2), peak.dimension)
            reason = f'"{table.amplitude}" is written as its peak, {peak}'
            self.remarks.note(self.source.key((*path, verb, "amplitude")), reason)
        around = None
        if isinstance(bias, Quantity) and (bias.value or not of_current):
            around = self._amperes(bias) if of_current else self._volts(bias)
        limit = table.max_current if isinstance(table, EisTable) else None
        most = None if limit is None else self._amperes(limit)
        return Spectrum(
            start=table.from_, stop=table.to, peak=peak, per_decade=table.per_decade, bias=around, most=most
        )

    # -- ends ------------------------------------------------------------------------------------------------------

    def _ends(self, step: Lasting, way: int, path: KeyPath) -> tuple[End, ...]:
        ends = []
        for index, ending in enumerate(step.until):
            place = self.source.value((*path, "until", index))
            signed = isinstance(step, CurrentStep) and _compares_a_sign(ending.when)
            end = None if signed else self._end(ending.when, ending.then, way, place)
            if end is not None:
                ends.append(end)
            elif ending.then.then is Then.FAULT or isinstance(step, RestStep):
                self.remarks.dropped(place, f'{self.remarks.other} ends no step by "{ending.when.text}"')
            else:
                reason = f'{self.remarks.other} ends no step by "{ending.when.text}"'
                self.remarks.impossible(place, reason, "Export a copy that ends by a voltage, a current or a time.")
        if step.timeout is not None:
            follow, place = step.timeout.then, self.source.value((*path, "timeout"))
            ends.append(End(plan.Quantity.TIME, True, step.timeout.when, follow.then, follow.label, place))
        return tuple(ends)

    def _end(self, condition: Condition, follow: Follow, way: int, place: Place) -> End | None:
        match condition.tree:
            case Shorthand(value=value) if value.dimension in _COMMON:
                measured = _COMMON[value.dimension]
                upward = way > 0 if measured is plan.Quantity.VOLTAGE else measured is not plan.Quantity.CURRENT
            case Comparison(quantity=measured, operator=operator, value=Quantity() as value, hold=None) if measured in {
                *_COMMON.values(),
                plan.Quantity.CV_TIME,
            }:
                upward = operator in {plan.Operator.GE, plan.Operator.GT}
            case _:
                return None
        return End(measured, upward, self._common(value, place), follow.then, follow.label, place)

    # -- amounts ---------------------------------------------------------------------------------------------------

    def _common(self, value: Quantity, place: Place) -> Quantity:
        match _COMMON[value.dimension]:
            case plan.Quantity.VOLTAGE:
                return self._volts(value)
            case plan.Quantity.CURRENT:
                return self._amperes(value, place)
            case plan.Quantity.CAPACITY:
                return amounts.of_float(self.scale.coulombs(value), Dimension.CHARGE)
        return value

    def _volts(self, voltage: Quantity) -> Quantity:
        if voltage.reference is None:
            return voltage
        return amounts.of_float(self.scale.volts(voltage), Dimension.VOLTAGE)

    def _amperes(self, current: Quantity, place: Place | None = None) -> Quantity:
        """Keep rates and currents, and convert what refers to an area or a mass."""
        if current.dimension in {Dimension.RATE, Dimension.CURRENT}:
            return current
        if current.cycle is not None:
            nominal = amounts.spell(current.value, Dimension.RATE)
            reason = (
                f'{self.remarks.other} has no capacity of a cycle: "{current}" is left as {nominal} of the nominal one'
            )
            self.remarks.dropped(place, reason, "See that the capacity there is the one that was measured.")
            return nominal
        return amounts.of_float(self.scale.amperes(current), Dimension.CURRENT)


def _on(base: Base, step: Step) -> Step:
    """Give a step, or every step of a loop, what each of them says."""
    if isinstance(step, Loop):
        return replace(step, place=base.place, body=tuple(_on(base, inner) for inner in step.body))
    return replace(step, name=base.name, place=base.place, record=base.record)


def _compares_a_sign(condition: Condition) -> bool:
    """Whether a condition of a current with a sign speaks of that, and not of the magnitude."""
    tree = condition.tree
    return isinstance(tree, Comparison) and tree.quantity is plan.Quantity.CURRENT and not tree.magnitude
