"""Do the figures close? C-rate, loading, mass and area against what the source states, beyond rounding."""

from collections.abc import Iterator

from labctl.errors import Finding
from labctl.lint.rounding import Figure, differ, figure, scaled
from labctl.lint.subject import Subject
from labctl.protocol.model import Cell, Electrode
from labctl.quantity import Dimension, Quantity

_HOUR = Figure(3600.0)


def stated_values(subject: Subject) -> Iterator[Finding]:
    """Compare each pair of [cell] `stated` by what the source says of the cell: both to the area of the electrode."""
    cell = _as_stated(subject.cell)
    for one, other in cell.stated.items():
        place = subject.of_cell("stated", one.text)
        ours, theirs = areal(one, cell), areal(other, cell)
        if ours is None or theirs is None:
            lack = "one_c and active_loading (or active_mass and diameter)"
            reason = f'"{one}" and "{other}" cannot be compared: this cell lacks {lack}'
            yield subject.finding("not-comparable", place, reason, "Add to [cell.positive] what the source gives.")
            continue
        share = differ(ours, theirs)
        if share is not None:
            yield subject.finding(
                "not-closing",
                place,
                f'{_by(one, cell)} "{one}" is {scaled(other, ours.value / theirs.value)}, not "{other}":'
                f" {_percent(share)}{_one_c(one, other, ours.value / theirs.value)}",
                "Ask which of them was measured; a loading may be that of the composite, a diameter that of another"
                " electrode.",
            )


def mass_and_loading(subject: Subject) -> Iterator[Finding]:
    """Compare an active mass with loading and diameter where all three are given."""
    positive = subject.cell.positive
    mass, loading, diameter = positive.active_mass, positive.active_loading, positive.diameter
    if mass is None or loading is None or diameter is None:
        return
    product = figure(loading) * _disc(diameter)
    share = differ(product, figure(mass))
    if share is not None:
        yield subject.finding(
            "not-closing",
            subject.of_cell("positive", "active_mass"),
            f'"{loading}" on "{diameter}" is {scaled(mass, product.value / float(mass))}, not "{mass}":'
            f" {_percent(share)}",
            "The mass decides what 1C and mAh/g are: correct the one that was not measured, or leave it out.",
        )


def nominal_and_theoretical(subject: Subject) -> Iterator[Finding]:
    """Compare the charge of an hour at 1C with what the active material can hold."""
    one_c, theoretical = subject.cell.positive.one_c, subject.cell.positive.theoretical
    if one_c is None or theoretical is None:
        return
    share = differ(figure(one_c) * _HOUR, figure(theoretical))
    if share is not None and share > 0:
        yield subject.finding(
            "not-closing",
            subject.of_cell("positive", "one_c"),
            f'an hour at "{one_c}" is more than the {theoretical} that the material can hold: {_percent(share)}',
            "Check what the author calls 1C, and which mass it refers to: active material, never composite.",
        )


def electrodes_fit(subject: Subject) -> Iterator[Finding]:
    """Refuse to believe a host on the negative side that is smaller than what the positive one gives it."""
    negative = subject.cell.negative
    holds, gives = _held(negative), areal_capacity(subject.cell)
    if subject.cell.kind != "full" or holds is None or gives is None:
        return
    share = differ(holds, gives)
    if share is not None and share < 0:
        key = "areal_capacity" if negative.areal_capacity is not None else "active_loading"
        yield subject.finding(
            "n-p-ratio",
            subject.of_cell("negative", key),
            f"N/P is {holds.value / gives.value:.2f}: the negative electrode holds less than the positive one gives",
            "Lithium will be plated, or the negative electrode will end the charge: check both loadings.",
        )


def areal_capacity(cell: Cell) -> Figure | None:
    """Return what the positive electrode is said to hold, C/m²; by 1C for an hour where nothing else says."""
    held, density = _held(cell.positive), _of_rate(cell)
    return held if held is not None or density is None else density * _HOUR


def areal(quantity: Quantity, cell: Cell) -> Figure | None:
    """Return a current in A/m², or a capacity in C/m², of the positive electrode; None where the cell does not say."""
    value = figure(quantity)
    match quantity.dimension:
        case Dimension.CURRENT_DENSITY | Dimension.AREAL_CHARGE:
            return value
        case Dimension.RATE:
            density = _of_rate(cell)
            return None if density is None else value * density
        case Dimension.SPECIFIC_CURRENT | Dimension.SPECIFIC_CHARGE:
            loading = _loading(cell)
            return None if loading is None else value * loading
    diameter = cell.positive.diameter if cell.stack is None else cell.stack.diameter
    return None if diameter is None else value / _disc(diameter)


def _as_stated(cell: Cell) -> Cell:
    """Return the cell with the loading that the source gives, where the protocol is driven by another."""
    positive = cell.positive
    if positive.stated_loading is None:
        return cell
    said = positive.model_copy(update={"active_loading": positive.stated_loading, "active_mass": None})
    return cell.model_copy(update={"positive": said})


def _of_rate(cell: Cell) -> Figure | None:
    """Return the current density of 1C."""
    loading, one_c, diameter = _loading(cell), cell.positive.one_c, cell.positive.diameter
    if one_c is not None and loading is not None:
        return figure(one_c) * loading
    if cell.capacity is not None and diameter is not None:
        return figure(cell.capacity) / _HOUR / _disc(diameter)
    return None


def _loading(cell: Cell) -> Figure | None:
    """Return kg/m² of active material; as given, for a product with an area would bring in its rounding twice."""
    positive = cell.positive
    if positive.active_loading is not None:
        return figure(positive.active_loading)
    if positive.active_mass is not None and positive.diameter is not None:
        return figure(positive.active_mass) / _disc(positive.diameter)
    return None


def _held(electrode: Electrode) -> Figure | None:
    """Return C/m² that an electrode holds, as stated or by its loading."""
    if electrode.areal_capacity is not None:
        return figure(electrode.areal_capacity)
    if electrode.active_loading is None or electrode.theoretical is None:
        return None
    return figure(electrode.active_loading) * figure(electrode.theoretical)


def _disc(diameter: Quantity) -> Figure:
    across = figure(diameter)
    return Figure(0.7853981633974483) * across * across


def _by(quantity: Quantity, cell: Cell) -> str:
    """Say what a figure was converted by."""
    positive = cell.positive
    used = [positive.active_loading or positive.active_mass]
    if quantity.dimension is Dimension.RATE:
        used.insert(0, positive.one_c or cell.capacity)
    return f"by {' and '.join(str(each) for each in used if each is not None)}"


def _one_c(one: Quantity, other: Quantity, ratio: float) -> str:
    """Say what 1C is by either figure, where a rate is compared with a current density."""
    if one.dimension is not Dimension.RATE or other.dimension is not Dimension.CURRENT_DENSITY:
        return ""
    return f" (1C is {scaled(other, ratio / float(one))} by them and {scaled(other, 1 / float(one))} by this)"


def _percent(share: float) -> str:
    return f"{abs(share) * 100:.0f} % {'more' if share > 0 else 'less'}, beyond rounding"


RULES = (stated_values, mass_and_loading, nominal_and_theoretical, electrodes_fit)
