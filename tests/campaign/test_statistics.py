"""What is reported of a campaign: means and sample standard deviations over cells, never over what differs in kind."""

import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.campaign.statistics import Group, Spread, groups, spread
from labctl.cells.shelf import Shelf
from labctl.record.queries import Queries
from tests.cells.recorded import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.close()


def found(lab: Lab, *varied: str) -> list[Group]:
    with Queries(lab.database) as queries:
        return groups(queries, "c", varied, Shelf.read(lab.cells))


def test_spread_is_of_the_sample() -> None:
    assert spread([]) == Spread(0, None, None)
    assert spread([None, 2.0]) == Spread(1, 2.0, None)
    assert spread([1.0, 2.0, 3.0, None]) == Spread(3, 2.0, 1.0)


def test_cells_are_grouped_by_what_is_varied(lab: Lab) -> None:
    for cell, rate in (("a", "C/10"), ("b", "C/10"), ("c", "C/5")):
        lab.run(cell, range(1, 4), campaign="c", inputs={"rate": rate, "cycles": "3"})
    lab.run("d", range(1, 4), campaign="other", inputs={"rate": "C/10"})
    lab.run("e", range(1, 4), inputs={"rate": "C/10"})
    first, second = found(lab, "rate")
    assert (first.values, first.cells, first.simulated) == ((("rate", "C/10"),), ("a", "b"), False)
    assert (second.values, second.cells) == ((("rate", "C/5"),), ("c",))
    assert [cycle.cycle for cycle in first.cycles] == [1, 2, 3]
    with Queries(lab.database) as queries:
        capacities = [queries.cycles(run)[0].discharging_capacity_ah for run in (1, 2)]
    known = [ah for ah in capacities if ah is not None]
    assert len(set(known)) == 2
    assert first.cycles[0].capacity_ah == Spread(2, statistics.fmean(known), statistics.stdev(known))
    assert first.cycles[0].specific_mah_per_gram.mean == pytest.approx(statistics.fmean(known) / 1.1e-5)
    assert second.cycles[0].capacity_ah.standard_deviation is None


def test_a_cell_that_went_on_counts_once(lab: Lab) -> None:
    first = lab.run("a", range(1, 3), campaign="c")
    lab.run("a", range(3, 5), campaign="c", continues=first)
    lab.run("b", range(1, 4), campaign="c", state="failed")
    (group,) = found(lab)
    assert group.cells == ("a", "b")
    assert [(cycle.cycle, cycle.capacity_ah.n) for cycle in group.cycles] == [(1, 2), (2, 2), (3, 1), (4, 1)]


def test_simulated_runs_are_never_averaged_with_real_ones(lab: Lab) -> None:
    lab.run("a", range(1, 3), campaign="c")
    lab.run("b", range(1, 3), campaign="c", simulated=True)
    assert [(group.cells, group.simulated) for group in found(lab)] == [(("a",), False), (("b",), True)]


def test_each_cell_has_its_own_mass(lab: Lab) -> None:
    lab.run("a", range(1, 2), campaign="c")
    Shelf.read(lab.cells).add("a", {}, {"active_mass": "22 mg"})
    (group,) = found(lab)
    (cycle,) = group.cycles
    assert cycle.capacity_ah.mean is not None
    assert cycle.specific_mah_per_gram.mean == pytest.approx(cycle.capacity_ah.mean / 2.2e-5)
