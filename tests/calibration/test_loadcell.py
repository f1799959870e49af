"""A load cell against known forces: the line, what it leaves, and what remains uncertain when it is corrected."""

import math

import pytest

from labctl.calibration.loadcell import Load, LoadCellFit, fit_load_cell
from labctl.calibration.loads import LoadProcedure, load_points
from labctl.errors import CalibrationFailed, ProtocolError
from labctl.protocol.load import fill
from labctl.protocol.source import parse

FORCES = (0.0, 50.0, 100.0, 150.0, 200.0)


def loads(offset: float = 0.3, gain: float = 1.01, gap: float = 0.0, scatter: float = 0.0) -> list[Load]:
    """Two series up and down; readings down are `gap` higher, those of the second series `scatter`."""
    return [
        Load(
            series, level, way, force, offset + gain * force + (gap if way == "down" else 0.0) + scatter * (series - 1)
        )
        for series in (1, 2)
        for way in ("up", "down")
        for level, force in enumerate(FORCES, 1)
    ]


def test_offset_and_gain_are_found_and_corrected() -> None:
    fit = fit_load_cell(loads(), 0.001)
    assert (fit.offset, fit.gain) == pytest.approx((0.3, 1.01))
    assert fit.force(0.3 + 1.01 * 120.0) == pytest.approx(120.0)
    assert (fit.non_linearity, fit.hysteresis, fit.repeatability) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)
    assert fit.certificate.half_width(200.0) == pytest.approx(0.2)  # the reference's own 0.1 %, at 95 %


def test_hysteresis_repeatability_and_non_linearity_are_told_apart() -> None:
    assert fit_load_cell(loads(gap=0.4), 0.0).hysteresis == pytest.approx(0.4)
    fit = fit_load_cell(loads(scatter=0.2), 0.0)
    assert fit.repeatability == pytest.approx(0.2 / math.sqrt(2.0))
    assert fit.freedom == 10
    bent = [
        Load(1, level, way, force, force + 1e-5 * force**2)
        for way in ("up", "down")
        for level, force in enumerate(FORCES, 1)
    ]
    fit = fit_load_cell(bent, 0.0)
    assert fit.non_linearity == pytest.approx(0.05)  # a parabola's, of 0.4 N at 200 N
    assert (fit.freedom, fit.repeatability) == (0, 0.0)


def test_forces_that_are_never_twice_the_same_are_levels_all_the_same() -> None:
    nearly = [
        Load(
            each.series,
            each.level,
            each.direction,
            each.reference + each.series / 7,
            each.reading + 1.01 * each.series / 7,
        )
        for each in loads(gap=0.4)
    ]
    fit = fit_load_cell(nearly, 0.0)
    assert fit.freedom == 10
    assert (fit.hysteresis, fit.repeatability) == pytest.approx((0.4, 0.0), abs=1e-9)


def test_the_uncertainty_of_the_reference_is_not_averaged() -> None:
    one, many = fit_load_cell(loads(), 0.01), fit_load_cell(loads() * 20, 0.01)
    assert one.certificate.half_width(100.0) == pytest.approx(many.certificate.half_width(100.0))


def test_too_few_or_falling_readings_are_refused() -> None:
    with pytest.raises(CalibrationFailed, match="2 different forces"):
        fit_load_cell([load for load in loads() if load.reference in FORCES[:2]], 0.0)
    with pytest.raises(CalibrationFailed, match="do not rise"):
        fit_load_cell(loads(gain=-1.0), 0.0)


def test_the_protocol_asks_up_and_down_and_its_answers_become_loads() -> None:
    text = LoadProcedure("A1", "positive", (0.0, 20.0, 40.0), 2, 0.001, 1.0).text()
    protocol = fill(parse("p.toml", text, ProtocolError), {})
    steps = protocol.file.step
    assert len(steps) == 12
    assert [step.name for step in steps[:4]] == ["load up 1 1", "load up 1 2", "load up 1 3", "load down 1 3"]
    assert "put about 40 N" in getattr(steps[3], "prompt", "")
    assert "the reference (±0.1 %) tell?" in getattr(steps[3], "prompt", "")
    assert getattr(steps[3], "quantity", None) == "force", "a number without its unit is asked for again"
    names = {1: "load up 1 2", 2: "load down 1 2", 3: "rest"}
    found = load_points(names, {1: 19.6, 2: 20.1, 3: 1.0}, {1: [9.0] * 20 + [19.8] * 5, 2: [20.3], 3: [1.0]})
    assert found == [Load(1, 2, "up", 19.6, pytest.approx(19.8)), Load(1, 2, "down", 20.1, 20.3)]


def test_a_fit_is_plain_data() -> None:
    assert LoadCellFit(0.1, 1.0, 0.1, 0.1, 0.1, 4, 0.001, (0.0, 200.0)).certificate.gain == pytest.approx(0.001 / 0.95)
