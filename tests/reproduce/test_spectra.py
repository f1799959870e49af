"""Numbers read from a spectrum: exact on a circuit that is known, whatever stands around its arc."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.rehearse import Rehearsal
from labctl.rehearse.keeper import KeptStep, Point
from labctl.reproduce import Verdict
from labctl.reproduce.spectra import arc, intercept

from .test_reproduce import judged, plan, rehearsed, row

FREQUENCIES = [10.0 ** (6 - k / 10) for k in range(71)]


def circuit(ohmic: float, width: float, time: float = 1e-3, leads: float = 1e-6, tail: float = 1.0) -> list[Point]:
    """Leads, a resistance, an arc and a capacitor in series."""
    points = []
    for frequency in FREQUENCIES:
        rate = 2j * math.pi * frequency
        z = rate * leads + ohmic + width / (1.0 + rate * time) + (1.0 / (rate * tail) if math.isfinite(tail) else 0.0)
        points.append(Point(frequency, z.real, z.imag))
    return points


@given(st.floats(1.0, 300.0), st.floats(20.0, 2000.0), st.sampled_from([1e-4, 1e-3, 1e-2]))
def test_arc_and_intercept_are_those_of_the_circuit(ohmic: float, width: float, time: float) -> None:
    spectrum = circuit(ohmic, width, time)
    for told in (spectrum, spectrum[::-1]):
        assert intercept(told) == pytest.approx(ohmic, abs=0.01 * width)
        assert arc(told) == pytest.approx(width, rel=0.02)


def test_leads_do_not_count() -> None:
    with_leads, without = circuit(50.0, 0.0, leads=2e-6, tail=4e-6), circuit(50.0, 0.0, leads=0.0, tail=4e-6)
    assert intercept(with_leads) == pytest.approx(50.0, rel=1e-12)
    assert intercept(without) == 50.0, "its first point is capacitive already"


def test_what_is_not_there_is_not_read() -> None:
    assert intercept(()) is None
    assert arc(()) is None
    assert intercept([Point(1e6, 50.0, 6.0), Point(1e5, 50.0, 0.6)]) is None, "all of it is inductive"
    blocking = circuit(50.0, 0.0, tail=4e-6)
    assert arc(blocking) is None, "a tail that only rises is no arc"


def test_noise_on_a_tail_makes_no_arc() -> None:
    noisy = [
        replace(point, imaginary=point.imaginary * (1.0 + 0.1 * (-1) ** k))
        for k, point in enumerate(circuit(50.0, 0.0, leads=0.0, tail=4e-6))
    ]
    assert arc(noisy) is None


def measured(*spectra: list[Point], thickness: float | None = None) -> Rehearsal:
    """A run with a step for each spectrum, on a cell of 1 cm2."""
    kept = tuple(KeptStep(n, n, "", "eis", 0, spectrum=spectrum) for n, spectrum in enumerate(spectra, 1))
    bound = replace(plan().cell, positive_area=1e-4, stack_thickness=thickness)
    return replace(rehearsed(), kept=kept, plan=replace(plan(), cell=bound))


def test_a_row_names_its_spectrum() -> None:
    run = measured(circuit(50.0, 500.0), [], circuit(50.0, 600.0))
    arcs = {"paper": "0.6 kOhm cm2", "tolerance": "2 %"}
    assert judged(row("width of the arc", **arcs), run)[0] is Verdict.MISSED
    verdict, value = judged(row("width of the arc", spectrum=2, **arcs), run)
    assert verdict is Verdict.MET
    assert value == pytest.approx(600.0 * 1e-4, rel=0.02)
    assert judged(row("width of the arc", spectrum=3, **arcs), run) == (Verdict.NOT_REACHED, None)
    rise = row("rise of the arc", spectrum=2, at_least="110 %")
    assert judged(rise, run)[1] == pytest.approx(1.2, rel=0.01)


def test_conductivity_is_thickness_by_resistance_and_area() -> None:
    spectra = [circuit(each, 0.0, tail=4e-6) for each in (100.0, 60.0, 50.0, 55.0)]
    run = measured(*spectra, thickness=1.5e-3)
    asked = row("conductivity", spectrum=3, paper="3 mS/cm", tolerance="0.001 %")
    verdict, value = judged(asked, run)
    assert verdict is Verdict.MET
    assert value == pytest.approx(0.3, rel=1e-9)
    rise = row("least rise of conductivity", spectrum=3, at_least="100 %")
    verdict, value = judged(rise, run)
    assert verdict is Verdict.MET
    assert value == pytest.approx(1.2, rel=1e-9)
    assert judged(row("least rise of conductivity", spectrum=4, at_least="100 %"), run)[0] is Verdict.MISSED
    assert judged(row("least rise of conductivity", spectrum=5, at_least="100 %"), run)[0] is Verdict.NOT_REACHED
    assert judged(asked, measured(*spectra))[0] is Verdict.NOT_REACHED, "nobody says how thick it is"
