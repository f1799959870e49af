"""A cell's life across runs: cycles numbered through, its mass now, and raw data that no correction touches."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from labctl.cells.correct import correct
from labctl.cells.history import history, last_cycle, summaries
from labctl.cells.mass import ActiveMass, active_mass
from labctl.cells.shelf import Shelf
from labctl.record.queries import Queries
from labctl.record.schema import connect
from tests.cells.recorded import AREA, Lab

NOON = 1_795_262_400.0


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.close()


def numbers(lab: Lab, cell: str) -> list[list[int]]:
    with Queries(lab.database) as queries:
        return [[past.number(cycle) for cycle in past.cycles] for past in history(queries, cell)]


def test_cycles_are_numbered_through_whether_runs_count_anew_or_go_on(lab: Lab) -> None:
    first = lab.run("a", range(1, 4))
    lab.run("b", range(1, 9))
    second = lab.run("a", range(4, 6), continues=first)
    lab.run("a", range(1, 3))
    lab.run("a", range(0))
    assert numbers(lab, "a") == [[1, 2, 3], [4, 5], [6, 7], []]
    with Queries(lab.database) as queries:
        assert last_cycle(queries, queries.run(first)) == 3
        assert last_cycle(queries, queries.run(second)) == 5


def test_a_run_without_cycles_ends_where_the_one_did_that_it_continued(lab: Lab) -> None:
    first = lab.run("a", range(1, 4))
    second = lab.run("a", range(0), continues=first)
    third = lab.run("a", range(0), continues=second)
    alone = lab.run("a", range(0))
    with Queries(lab.database) as queries:
        assert [last_cycle(queries, queries.run(run)) for run in (second, third, alone)] == [3, 3, 0]


def test_simulated_runs_do_not_age_a_cell(lab: Lab) -> None:
    lab.run("a", range(1, 100), simulated=True)
    lab.run("a", range(1, 4))
    lab.run("a", range(1, 50), simulated=True)
    assert [each[:1] + each[-1:] for each in numbers(lab, "a")] == [[1, 99], [1, 3], [100, 148]]
    lab.run("only simulated", range(1, 3), simulated=True)
    with Queries(lab.database) as queries:
        found = summaries(queries)
    assert (found["a"].runs, found["a"].cycles, found["a"].simulated) == (1, 3, False)
    assert (found["only simulated"].cycles, found["only simulated"].simulated) == (2, True)


def test_a_summary_is_the_cell_now(lab: Lab) -> None:
    lab.run("a", range(1, 4))
    lab.run("a", range(1, 3), state="failed")  # its second cycle is not complete
    lab.run("a", range(0))
    with Queries(lab.database) as queries:
        (found,) = summaries(queries).values()
        (whole, _) = queries.cycles(2)
    assert (found.name, found.runs, found.cycles, found.last.id) == ("a", 3, 5, 3)
    assert found.end is not None
    assert (found.end.cycles, found.end.last_complete) == (2, 1)
    assert found.end.discharging_capacity_ah == whole.discharging_capacity_ah


def test_a_run_that_is_not_a_cells_is_in_no_history(lab: Lab) -> None:
    lab.run("", range(1, 3))
    with Queries(lab.database) as queries:
        assert summaries(queries) == {}


def mass(lab: Lab, run: str) -> ActiveMass:
    with Queries(lab.database) as queries:
        return active_mass(queries.run(run), Shelf.read(lab.cells))


def test_the_mass_is_that_of_the_file_now_else_that_of_the_run(lab: Lab) -> None:
    run = lab.run("a", range(1, 3))
    assert mass(lab, run) == ActiveMass(1.1e-5, 1.1e-5)
    cell = Shelf.read(lab.cells).add("a", {}, {})
    assert mass(lab, run) == ActiveMass(1.1e-5, 1.1e-5)
    corrected = correct(cell, "active_loading", "14 mg/cm2", who="anna", unix=NOON)
    assert mass(lab, run).kilogram == pytest.approx(0.14 * AREA)  # the run knows the area
    correct(corrected, "active_mass", "14.2 mg", who="anna", unix=NOON)
    found = mass(lab, run)
    assert (found.kilogram, found.began_with, found.file) == (1.42e-5, 1.1e-5, str(lab.cells / "a.toml"))
    assert found.since is not None
    assert found.since.timestamp() == NOON


@pytest.mark.parametrize("name", ["a", "other"])
def test_a_broken_cell_file_is_told_and_not_guessed_around(lab: Lab, name: str) -> None:
    run = lab.run("a", range(1, 3))
    lab.cells.mkdir()
    text = 'schema = "1"\n[cell]\nname = "a"\nbore = "wide"\n' if name == "other" else "?"
    (lab.cells / f"{name}.toml").write_text(text)
    found = mass(lab, run)
    assert (found.kilogram, found.file) == (1.1e-5, None)
    assert found.trouble.startswith(str(lab.cells / f"{name}.toml"))


def test_a_correction_changes_no_byte_of_what_was_recorded(lab: Lab) -> None:
    run = lab.run("a", range(1, 3))
    cell = Shelf.read(lab.cells).add("a", {}, {"active_mass": "11 mg"})

    def stored() -> list[str]:
        with closing(connect(lab.database)) as database:
            return list(database.iterdump())

    before, was = stored(), mass(lab, run).kilogram
    correct(cell, "active_mass", "14.2 mg", who="anna", unix=NOON)
    assert mass(lab, run).kilogram != was
    assert stored() == before
    assert any(line.startswith('INSERT INTO "readings"') for line in before)
