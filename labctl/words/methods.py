"""The experimental paragraph of a paper: what a protocol does or a run did, and by what it can be repeated."""

from collections.abc import Iterator
from dataclasses import dataclass

from labctl.plan import BoundCell
from labctl.protocol.findings import humane
from labctl.protocol.load import Protocol
from labctl.protocol.model import Cell
from labctl.protocol.scale import Scale
from labctl.protocol.verbs import ForStep, IfStep, Lasting, Named, RepeatStep
from labctl.words.cell import materials
from labctl.words.conditions import spoken
from labctl.words.ends import left
from labctl.words.steps import deed, recording, verb_of
from labctl.words.tree import often, part_in_words, times, values_of
from labctl.words.values import Values, listed, sentence

_ROLES = {
    "cycler": "cycler",
    "load_cell.negative": "load cell of the negative side",
    "load_cell.positive": "load cell of the positive side",
    "pressure_rig.negative": "pressure rig of the negative side",
    "pressure_rig.positive": "pressure rig of the positive side",
    "thermostat": "thermostat",
}


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument as it identified itself."""

    role: str
    identity: str
    driver: str
    simulated: bool
    calibrations: tuple[str, ...] = ()
    """What the run quotes of them, in words."""


@dataclass(frozen=True, slots=True)
class Used:
    """What a recorded run was made with, and what became of it.

    Attributes:
        began, ended: dates in words, UTC; empty where they are not known.
        cycles: complete ones.
        state: its named end; `reason` what was told of it.
        commit: of which commit the file of the protocol was; empty where git did not know it.
    """

    run: str
    station: str
    instruments: tuple[Instrument, ...]
    software: str
    simulated: bool
    began: str
    ended: str
    cycles: int
    state: str
    reason: str
    commit: str = ""


def methods(protocol: Protocol, cell: Cell, bound: BoundCell, digest: str, used: Used | None) -> str:
    """Return the paragraph, in the past tense.

    Args:
        protocol: with the inputs that were used.
        cell: what it was done to; `bound` the same in SI.
        digest: the hash of the protocol, as it was recorded.
        used: None: nothing was recorded yet, and the paragraph says what is missing.
    """
    values = Values(Scale(bound))
    simulated = used is not None and used.simulated
    said = ["SIMULATED, not measured:"] if simulated else []
    said += [part for part in (materials(cell), _mass(bound)) if part]
    said += [sentence(each) for each in _told(protocol.file.step, values)]
    said.append(f"A reading was recorded {recording(protocol.file.record, past=True)}.")
    said += _made_with(used) if used else ["[Instruments and their calibrations are known once a run is recorded.]"]
    commit = f" ({used.commit})" if used is not None and used.commit else ""
    said.append(f"{_cited(protocol)}{commit}, SHA-256 of its meaning {digest}.")
    return " ".join(said) + "\n"


def _mass(bound: BoundCell) -> str:
    if bound.active_mass is None:
        return ""
    called = f"Cell {bound.name}" if bound.name else "The positive electrode"
    rate = "" if bound.one_c is None else f"; 1C was {humane(bound.one_c, 'A')}"
    return f"{called} held {humane(bound.active_mass * 1e3, 'g')} of active material{rate}."


def _told(steps: tuple[Named, ...], values: Values) -> Iterator[str]:
    for step in steps:
        match step:
            case RepeatStep(part=str(part)):
                yield f"{part_in_words(part)} was done: {_joined(step.do, values)}"
            case RepeatStep():
                yield f"the following was done {often(step.repeat)}: {_joined(step.do, values)}"
                for hook in step.at:
                    yield f"{times(hook)}, {_joined(hook.do, values)}"
            case ForStep():
                first = f"the following was done with {values_of(step)}"
                here = ", given here for the first" if len(step.do) > 1 else ""
                yield f"{first}{here}: {_joined(step.do[0], values)}"
            case IfStep():
                otherwise = f"; otherwise, {_joined(step.otherwise, values)}" if step.otherwise else ""
                yield f"if {spoken(step.when, values, past=True)}, {_joined(step.do, values)}{otherwise}"
            case _:
                yield deed(step, values, past=True)
                yield from left(step, verb_of(step), values) if isinstance(step, Lasting) else ()


def _joined(steps: tuple[Named, ...], values: Values) -> str:
    return "; ".join(_told(steps, values))


def _made_with(used: Used) -> list[str]:
    every = [
        f"{_role(one.role)}{' (simulated)' if one.simulated else ''} {one.identity}, driver {one.driver}"
        for one in used.instruments
    ]
    period = " to ".join(part for part in (used.began, used.ended) if part)
    count = f"{used.cycles} complete cycle{'' if used.cycles == 1 else 's'}"
    end = "" if used.state == "completed" else f", and ended as {used.state} ({used.reason})"
    return [
        f"Instruments of station {used.station}: {'; '.join(every)}.",
        *_calibrated(used),
        f"labctl {used.software} controlled and recorded this: run {used.run} of {period} UTC, {count}{end}.",
    ]


def _calibrated(used: Used) -> list[str]:
    """Say which calibrations stood for the instruments, and that those of the others are not known."""
    stood = [calibration for one in used.instruments for calibration in one.calibrations]
    known = [f"Calibrations: {'; '.join(stood)}."] if stood else []
    rest = [_role(one.role) for one in used.instruments if not one.calibrations]
    missing = [f"[Calibrations that labctl does not know: those of the {listed(rest)}; add them.]"] if rest else []
    return known + missing


def _role(role: str) -> str:
    return _ROLES.get(role, role)


def _cited(protocol: Protocol) -> str:
    head = protocol.file.protocol
    after = f", after doi:{head.doi}" if head.doi else ""
    inputs = f", with {listed(f'{name} = {value}' for name, value in protocol.inputs)}" if protocol.inputs else ""
    return f'Protocol "{head.name}"{after}{inputs}'
