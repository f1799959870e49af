"""The cycler: can it tell the voltages and currents apart that the protocol speaks of?"""

from collections.abc import Iterator

from labctl.errors import Finding, Place
from labctl.lint.subject import Subject
from labctl.plan import ConstantCurrent, ConstantVoltage, Quantity, Rest, Stable, Step
from labctl.protocol.ends import compares
from labctl.protocol.findings import humane

LEAST_STEPS = 3
"""Steps of its resolution that a difference must have to be told from noise."""


def resolved(subject: Subject) -> Iterator[Finding]:
    """Compare every voltage and current that is to be told apart with the cycler's resolution."""
    station = subject.station
    if station is None:
        return
    for finest, unit, differences in (
        (station.voltage_resolution, "V", _voltages),
        (station.current_resolution, "A", _currents),
    ):
        if finest is None:
            continue
        for step in subject.plan.steps():
            for place, asked in differences(subject, step):
                if asked < LEAST_STEPS * finest:
                    yield subject.finding(
                        "resolution",
                        place,
                        f"{humane(asked, unit)} cannot be told from noise: the cycler of station {station.name} has"
                        f" steps of {humane(finest, unit)}",
                        "Choose a coarser value, or a station with a finer cycler.",
                    )


def _voltages(subject: Subject, step: Step) -> Iterator[tuple[Place, float]]:
    """Yield deltas of record rules, and the band in which a rest is stable."""
    if step.record.voltage is not None:
        yield subject.of_record(step, "voltage"), step.record.voltage
    for index, end in enumerate(step.ends):
        if isinstance(step.action, Rest) and isinstance(end.condition, Stable):
            yield subject.of_end(step, index), end.condition.within


def _currents(subject: Subject, step: Step) -> Iterator[tuple[Place, float]]:
    """Yield driven currents, and those that end a step."""
    if isinstance(step.action, ConstantCurrent):
        yield subject.of_step(step, step.verb), abs(step.action.current)
    if isinstance(step.action, ConstantCurrent | ConstantVoltage):
        for index, end in enumerate(step.ends):
            for compare in compares(end.condition):
                if compare.quantity is Quantity.CURRENT and compare.value != 0.0:
                    yield subject.of_end(step, index), abs(compare.value)


RULES = (resolved,)
