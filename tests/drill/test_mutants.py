"""Every mistake that is made on purpose is found by the laboratory of a stored seed, which the product passes."""

import pytest

from labctl.drill.generate import generate
from labctl.drill.search import judge
from tests.drill.mutants import MUTANTS, Mutant

HOURS = 0.25


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.apply.__name__)
async def test_a_mutant_is_found(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    case = generate(mutant.seed, HOURS)
    mutant.apply(monkeypatch)
    found = await judge(case, patience=1.0)
    assert mutant.promise in found.broken
    monkeypatch.undo()
    healthy = await judge(case)
    assert not healthy.breaches


def test_there_are_enough_of_them() -> None:
    assert len({mutant.apply for mutant in MUTANTS}) >= 12
