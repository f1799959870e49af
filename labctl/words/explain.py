"""`explain`: a protocol as numbered prose, with what it is done to, what limits it and what is recorded."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from labctl.literal import literal
from labctl.plan import Plan
from labctl.protocol.load import LoadedCell, Protocol
from labctl.protocol.model import Outage, RunLimits
from labctl.protocol.scale import Scale, merge
from labctl.words.cell import notes
from labctl.words.steps import recording
from labctl.words.tree import paragraphs
from labctl.words.values import Values, as_written, listed, printed

_OUTAGE = {
    "wait": "it waits, at open circuit, until a person lets it go on",
    "resume": "it goes on by itself where cell, rig and room are as they were, and else waits for a person",
    "ask": "it waits, and asks whether to go on",
    "safe": "it ends",
}


def explain(protocol: Protocol, plan: Plan, cell: LoadedCell | None = None, *, expand: bool = False) -> str:
    """Return a protocol in prose.

    Args:
        protocol: as it was loaded, its inputs set.
        plan: the same bound, for what values are on the cell and what bounds a step that names no end.
        cell: the cell file that it was bound with.
        expand: unroll every `for`.
    """
    values = Values(Scale(plan.cell))
    steps = paragraphs(protocol.file.step, plan.body, values, expand=expand)
    numbered = [line for number, each in enumerate(steps, 1) for line in each.lines(str(number))]
    return "\n".join([*_head(protocol, plan, cell, values), "", *numbered]) + "\n"


def _head(protocol: Protocol, plan: Plan, cell: LoadedCell | None, values: Values) -> Iterator[str]:
    file = protocol.file
    yield file.protocol.title or file.protocol.name
    if file.protocol.doi:
        yield f"doi:{file.protocol.doi}"
    yield ""
    yield f"Cell. {' '.join(notes(merge(file.cell, cell.file.cell if cell else None), plan.cell))}"
    yield f"Limits. {' '.join(_limits(file.limits, values))}"
    if cell is not None and cell.file.limits.model_fields_set:
        yield f"Limits of this cell, which narrow these: {as_written(cell.file.limits)}."
    yield f"Recording. A reading {recording(file.record)}."
    if protocol.inputs:
        yield f"Inputs. {listed(f'{name} = {value}' for name, value in protocol.inputs)}."
    if plan.unknown:
        yield f"Not given by the source, so chosen by the author: {listed(plan.unknown)}."
    if file.attached_from:
        yield f"Files. {' '.join(_files(file.attached_from))}"
    yield f"Outage. If the program that runs this dies, {_outage(file.outage)}."
    yield f"Hash. {plan.hash}"


def _files(attached_from: Mapping[str, str]) -> Iterator[str]:
    """Say where the protocols lay that it runs and that were found by name."""
    for attached, path in attached_from.items():
        yield f'"{PurePosixPath(attached).parent.as_posix().removeprefix("@")}" is {literal(path)}.'


def _limits(limits: RunLimits, values: Values) -> Iterator[str]:
    low, high = limits.voltage
    yield f"The voltage stays between {values.voltage(low)} and {values.voltage(high)}."
    most = f"the charge of a step below {values.of(limits.capacity)}"
    yield f"The current stays below {values.of(limits.current)}, {most}."
    if limits.temperature is not None:
        yield f"The temperature stays between {listed(map(printed, limits.temperature))}."
    for side in ("negative", "positive"):
        span = getattr(limits.pressure, side)
        if span is not None:
            yield f"The pressure of the {side} side stays between {listed(map(values.pressure, span))}."
    if limits.torque is not None:
        yield f"The torque stays below {printed(limits.torque)}."
    if limits.rate.model_fields_set:
        yield f"No faster than: {as_written(limits.rate)}."


def _outage(outage: Outage) -> str:
    gap = "" if outage.max_gap is None else f"; longer than {printed(outage.max_gap)} no cell may have sat for that"
    return f"{_OUTAGE[outage.policy]}{gap}"
