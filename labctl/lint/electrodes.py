"""The counter electrode and the window: does the potential hold that all voltages rest on, can the cell go there?"""

import re
from collections.abc import Iterator

from labctl.errors import Finding
from labctl.lint.figures import areal_capacity
from labctl.lint.subject import Subject
from labctl.plan import (
    ConstantCurrent,
    ConstantPower,
    ConstantResistance,
    ConstantVoltage,
    Impedance,
    MeasuredCurrent,
    Step,
    Sweep,
)
from labctl.protocol.findings import humane
from labctl.protocol.model import Electrode

FARADAY = 96485.33
"""C/mol."""
LITHIUM = 534.0 / 6.94e-3
"""mol/m³ of the metal: density over molar mass."""
INDIUM = 7310.0 / 114.82e-3
"""mol/m³ of the metal."""
PLATEAU_END = 1.0
"""Li:In up to which In and InLi coexist and hold 0.62 V vs Li; beyond it the potential falls."""

_LITHIUM = "lithium"
POTENTIALS = (
    (re.compile(r".*(\bIn\b(?![- ]situ)|\bInLi\b|Li-?In\b|Li[\d.]+In|[Ii]ndium)"), "Li-In", 0.62),
    (re.compile(r"[Ll]i(thium)?\b(?![-_.])"), _LITHIUM, 0.0),
    (re.compile(r".*(Li4Ti5O12|\bLTO\b)", re.IGNORECASE), "Li4Ti5O12", 1.55),
)
"""Material as it may be written -> what it is, V vs Li of its plateau."""
POTENTIAL_TOLERANCE = 0.05
"""V: 0.60 and 0.62 V are both written for Li-In."""

WINDOWS = (
    (re.compile(r".*(mn1\.5|\blnmo\b)", re.IGNORECASE), "a high-voltage spinel", (2.0, 5.3)),
    (re.compile(r".*(fepo4|\blfp\b)", re.IGNORECASE), "an iron phosphate", (2.0, 4.4)),
    (re.compile(r".*(lini|licoo2|\bnmc|\bncm|\bnca|\blno|\blco)", re.IGNORECASE), "a layered oxide", (2.0, 4.7)),
)
"""Material as it may be written -> what it is, V vs Li beyond which nobody drives it; the first that fits counts."""


def plateau(subject: Subject) -> Iterator[Finding]:
    """Look whether a Li-In electrode leaves its plateau, as assembled or once it is charged."""
    negative = subject.cell.negative
    ratio = li_in_ratio(negative)
    if ratio is None:
        return
    key = "li_in_ratio" if negative.li_in_ratio is not None else "li_thickness"
    charged = ratio + _given(subject)
    if ratio > PLATEAU_END:
        reason = f"Li:In is {ratio:.2f} as assembled"
    elif charged > PLATEAU_END:
        reason = f"Li:In is {ratio:.2f} as assembled and {charged:.2f} when the cell is charged"
    else:
        return
    yield subject.finding(
        "plateau",
        subject.of_cell("negative", key),
        f"{reason}: beyond {PLATEAU_END:g} it leaves the plateau on which 0.62 V vs Li rests",
        "Use less lithium or more indium; or measure against a reference, and say so.",
    )


def li_in_ratio(electrode: Electrode) -> float | None:
    """Return atoms of Li for each of In: as stated, or by the thicknesses of two foils of the same area."""
    if electrode.li_in_ratio is not None:
        return electrode.li_in_ratio
    if electrode.li_thickness is None or electrode.in_thickness is None:
        return None
    return float(electrode.li_thickness) * LITHIUM / (float(electrode.in_thickness) * INDIUM)


def counter_potential(subject: Subject) -> Iterator[Finding]:
    """Compare the potential of the counter electrode with that of its material."""
    negative = subject.cell.negative
    if negative.potential is None:
        return
    known = _known(negative.material)
    if known is not None and abs(float(negative.potential) - known[1]) > POTENTIAL_TOLERANCE:
        yield subject.finding(
            "counter-potential",
            subject.of_cell("negative", "potential"),
            f'the plateau of {known[0]} is at {known[1]:g} V vs Li, not at "{negative.potential}"',
            'Every "vs Li" of this file is converted by it: correct it, or say where it comes from.',
        )


def window(subject: Subject) -> Iterator[Finding]:
    """Look whether the cell is driven to where its positive electrode cannot go, as by a forgotten conversion."""
    potential = subject.plan.cell.negative_potential
    material = subject.cell.positive.material
    known = next(((name, span) for pattern, name, span in WINDOWS if pattern.match(material)), None)
    if potential is None or known is None or subject.cell.kind == "symmetric":
        return
    name, (low, high) = known
    told: set[float] = set()
    for step in subject.plan.steps():
        for terminal in _driven_to(step):
            if terminal in told or low <= terminal + potential <= high:
                continue
            told.add(terminal)
            yield subject.finding(
                "window",
                subject.of_step(step, _key_of_voltage(step)),
                f"{humane(terminal, 'V')} at the terminals is {humane(terminal + potential, 'V')} vs Li, where {name}"
                f" is not driven ({low:g} V to {high:g} V)",
                'If the source means it against lithium, write "vs Li" behind it.',
            )


def is_lithium(material: str) -> bool:
    """Whether an electrode is lithium metal."""
    return _known(material) == (_LITHIUM, 0.0)


def _known(material: str) -> tuple[str, float] | None:
    """Return what a counter electrode is and its plateau in V vs Li; None where its name says nothing."""
    return next(((name, usual) for pattern, name, usual in POTENTIALS if pattern.match(material)), None)


def _driven_to(step: Step) -> tuple[float, ...]:
    """Return the terminal voltages that a step drives the cell to, as far as the plan knows them."""
    match step.action:
        case ConstantVoltage(voltage=voltage, relative=None):
            return (voltage,)
        case (
            ConstantCurrent(voltage=voltage)
            | MeasuredCurrent(voltage=voltage)
            | ConstantPower(voltage=voltage)
            | ConstantResistance(voltage=voltage)
        ):
            return (voltage,)
        case Sweep(corners=corners):
            return tuple(corner for corner in corners if corner is not None)
        case Impedance(of="voltage", bias=float(bias)):
            return (bias,)
    return ()


def _key_of_voltage(step: Step) -> str:
    match step.action:
        case ConstantVoltage() | ConstantCurrent(cv=True) | MeasuredCurrent(cv=True):
            return "cv"
        case Sweep():
            return "sweep"
        case Impedance():
            return "eis"
    return "until"


def _given(subject: Subject) -> float:
    """Return by how much a full charge raises Li:In; 0 where the cell does not say how much indium there is."""
    indium, capacity = subject.cell.negative.in_thickness, areal_capacity(subject.cell)
    if indium is None or capacity is None or subject.cell.kind != "full":
        return 0.0
    return capacity.value / FARADAY / (float(indium) * INDIUM)


RULES = (plateau, counter_potential, window)
