"""A cell in words: as notes, or as the materials of a paper."""

from collections.abc import Iterator

from labctl.plan import BoundCell
from labctl.protocol.findings import humane
from labctl.protocol.model import Cell, Electrode, Stack
from labctl.words.values import as_written, listed, printed, sentence

_DETAILS = {
    "active_loading": "{} of active material",
    "stated_loading": "{} as stated",
    "active_mass": "{} of active material",
    "diameter": "diameter {}",
    "one_c": "1C defined as {}",
    "theoretical": "at most {}",
    "potential": "{}",
    "areal_capacity": "{}",
    "li_thickness": "{} of lithium",
    "in_thickness": "{} of indium",
}


def notes(cell: Cell, bound: BoundCell) -> Iterator[str]:
    """Yield what is known of a cell, a sentence each, and what its values are in A and V."""
    bore = "" if cell.bore is None else f" in a die with a bore of {printed(cell.bore)}"
    called = f' "{bound.name}"' if bound.name else ""
    yield f"A {bound.kind} cell{called}{bore}."
    for side, electrode in (("Positive", cell.positive), ("Negative", cell.negative)):
        said = [*([electrode.material] if electrode.material else []), *details(electrode)]
        if said:
            yield f"{side} electrode: {', '.join(said)}."
    if cell.stack is not None:
        yield f"Between the electrodes: {', '.join(stack(cell.stack))}."
    if bound.active_mass is not None:
        yield f"Active mass of the positive electrode: {humane(bound.active_mass * 1e3, 'g')}."
    if bound.one_c is not None:
        yield f"1C is {humane(bound.one_c, 'A')}."
    potential = bound.negative_potential
    if potential == 0:
        yield "Voltages at the terminals are voltages vs Li."
    elif potential is not None:
        yield f"A voltage vs Li is {humane(potential, 'V')} more than that at the terminals."


def materials(cell: Cell) -> str:
    """Say in one sentence what a cell was made of; empty where its file names no material."""
    said = []
    for side, electrode in (("positive", cell.positive), ("negative", cell.negative)):
        if electrode.material:
            known = ", ".join(details(electrode))
            said.append(f"the {side} electrode was {electrode.material}{f' ({known})' if known else ''}")
    if cell.stack is not None:
        said.insert(0, f"{', '.join(stack(cell.stack))}, was measured between electrodes that block it")
    bore = "" if cell.bore is None else f", in a die with a bore of {printed(cell.bore)}"
    return f"{sentence(listed(said))[:-1]}{bore}." if said else ""


def stack(between: Stack) -> list[str]:
    """Return what is said of what a blocking cell measures, its material first."""
    forms = {"thickness": "{} thick", "diameter": "diameter {}", "mass": "{}"}
    given = {key: getattr(between, key) for key in forms}
    known = [form.format(printed(given[key])) for key, form in forms.items() if given[key] is not None]
    return [between.material or "a stack", *known]


def details(electrode: Electrode) -> list[str]:
    """Return what is said of an electrode besides its material."""
    written = {key: getattr(electrode, key) for key in electrode.model_fields_set - {"material"}}
    known = [form.format(printed(written[key])) for key, form in _DETAILS.items() if written.get(key) is not None]
    others = sorted(written.keys() - _DETAILS.keys())
    return known + [f"{key.replace('_', ' ')} {as_written(written[key])}" for key in others]
