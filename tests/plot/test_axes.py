"""Ticks stand at 1-2-5 steps, within the axis, at most as many as asked for, and say exactly what they stand for."""

import itertools
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.plot.axes import Axis, ticks


@pytest.mark.parametrize(
    ("unit", "low", "high", "most", "labels", "shown"),
    [
        ("V", 3.0, 4.25, 7, "3.0 3.2 3.4 3.6 3.8 4.0 4.2", "V"),
        ("V", 0.0, 0.3, 4, "0.0 0.1 0.2 0.3", "V"),
        ("A", -0.0007921, 0.0007921, 5, "-0.5 0.0 0.5", "mA"),
        ("Pa", 0.0, 2.5e6, 6, "0.0 0.5 1.0 1.5 2.0 2.5", "MPa"),
        ("Pa", 1.9e5, 2.1e5, 3, "0.19 0.20 0.21", "MPa"),
        ("mAh/g", 0.0, 200.0, 5, "0 50 100 150 200", "mAh/g"),
        ("%", 99.1, 99.9, 5, "99.2 99.4 99.6 99.8", "%"),
        ("", 0.0, 4000.0, 5, "0 1000 2000 3000 4000", ""),
        ("Ω", 0.0, 25e6, 3, "0 10 20", "MΩ"),
        ("mAh", 0.0, 3e6, 4, "0 1 2 3", "1e6 mAh"),
        ("s", 0.0, 90.0, 7, "0 15 30 45 60 75 90", "s"),
        ("s", 0.0, 5400.0, 7, "0 15 30 45 60 75 90", "min"),
        ("s", 0.0, 7200.0, 5, "0.0 0.5 1.0 1.5 2.0", "h"),
        ("s", 0.0, 86400.0, 5, "0 6 12 18 24", "h"),
        ("s", 0.0, 31 * 86400.0, 7, "0 5 10 15 20 25 30", "d"),
        ("s", 1e-3, 5e-3, 5, "0.001 0.002 0.003 0.004 0.005", "s"),
    ],
)
def test_labels(unit: str, low: float, high: float, most: int, labels: str, shown: str) -> None:
    found = ticks(Axis("", unit), low, high, most)
    assert (" ".join(found.labels), found.unit) == (labels, shown)


units = st.sampled_from(["V", "A", "Pa", "s", "%", "mAh/g", ""])


@given(units, st.floats(-1e12, 1e12), st.floats(1e-9, 1e12), st.integers(1, 20))
def test_ticks_stand_within_the_axis_at_equal_good_steps(unit: str, low: float, span: float, most: int) -> None:
    high = low + max(span, 1e-9 * abs(low))
    found = ticks(Axis("", unit), low, high, most)
    slack = 1e-6 * (high - low)
    assert len(found.places) <= most
    assert all(low - slack <= place <= high + slack for place in found.places)
    assert len(set(found.labels)) == len(found.labels)
    exact = [Decimal(label) for label in found.labels]
    steps = {b - a for a, b in itertools.pairwise(exact)}
    assert len(steps) <= 1
    for step in steps:
        digits = step.normalize().as_tuple().digits
        assert digits in {(1,), (2,), (5,)} or (unit == "s" and step in {3, 6, 12, 15, 24, 30, 48, 60})


@given(units, st.floats(-1e300, 1e300), st.floats(1e-12, 1e300))
def test_no_label_has_noise(unit: str, low: float, span: float) -> None:
    high = low + max(span, 1e-9 * abs(low))
    for label in ticks(Axis("", unit), low, min(high, 1e301), 6).labels:
        assert re.fullmatch(r"-?\d+(\.\d+)?", label)
        assert label not in {"-0", "-0.0"}


@given(units, st.floats(0.0, 1e9), st.floats(1e-6, 1e9))
def test_a_label_is_its_place(unit: str, low: float, span: float) -> None:
    found = ticks(Axis("", unit), low, low + max(span, 1e-6 * low), 8)
    for place, label in zip(found.places, found.labels, strict=True):
        assert place == pytest.approx(float(label) * found.factor, rel=1e-12, abs=1e-300)
        assert float(found.say(place)) == float(label)
