"""What `labctl show RUN --spectra` makes of the spectra of a stack that a person pressed and measured."""

from io import StringIO

import pytest
from rich.console import Console

from labctl.cli.spectra import conductivity_table
from labctl.record.queries import PointRow

CELL = {"kind": "blocking", "positive_area": 1e-4, "stack_thickness": 2e-3}


def spectrum(step: int, ohm: float) -> list[PointRow]:
    """Inductive, then a capacitor behind a resistance."""
    found = [(1e6, 0.5 * ohm, 5.0), (1e5, ohm, 0.0), (1e3, ohm, -10.0), (1.0, ohm, -1e4)]
    return [PointRow(step, 0, float(n), *point) for n, point in enumerate(found)]


def told(cell: dict[str, object], answered: dict[int, str], pressures: dict[int, float]) -> list[list[str]]:
    table = conductivity_table([*spectrum(4, 50.0), *spectrum(8, 25.0)], cell, answered, pressures)
    if table is None:
        return []
    out = StringIO()
    Console(file=out, width=100).print(table)
    return [line.split() for line in out.getvalue().splitlines() if line.strip()[:1].isdigit()]


def test_conductivity_is_of_the_thickness_that_was_typed_last_before_the_spectrum() -> None:
    answered = {2: "holds", 3: "1.5 mm", 7: "1400 um", 9: "9 mm"}
    assert told(CELL, answered, {4: 50e6}) == [
        ["4", "50", "1.5", "50", "3"],  # 1.5 mm / (50 Ω · 1 cm²) = 3 mS/cm
        ["8", "–", "1.4", "25", "5.6"],
    ]


@pytest.mark.parametrize(
    ("cell", "rows"),
    [
        (CELL, [["4", "–", "2", "50", "4"], ["8", "–", "2", "25", "8"]]),
        (CELL | {"stack_thickness": None}, []),
        (CELL | {"positive_area": None}, []),
        (CELL | {"kind": "full"}, []),
    ],
)
def test_without_an_answer_it_is_the_cells_own_or_nothing(cell: dict[str, object], rows: list[list[str]]) -> None:
    assert told(cell, {}, {}) == rows
