"""The table is whole, rows are judged by their bounds alone, and the command says what came of it."""

import json
import sys
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from labctl.cli.app import run
from labctl.cli.reproduce import _chosen
from labctl.engine.run import Outcome
from labctl.plan import Plan
from labctl.reading import RunState
from labctl.record.queries import CycleRow
from labctl.rehearse import Rehearsal
from labctl.rehearse.curves import Curves
from labctl.reproduce import Basis, Row, Set, Verdict, acceptance, judge, prepare
from labctl.reproduce.perform import laboratory
from tests.stations import ROOT

Labctl = Callable[..., tuple[int, str, str]]
PAPERS = {"doerrer-2021", "lee-2022", "ma-2024", "wang-2024", "wang-2023"}
EXPERIMENTS = {
    *("lee-eval", "lee-composition", "lee-eis", "lee-cccv-pellet", "lee-cccv-film"),
    *("doe-sym-2.5", "doe-sym-10", "doe-sym-50", "doe-asym", "doe-asym-thick", "doe-lto", "doe-cond"),
    *("ma-0.2C-200", "ma-0.5C-400", "ma-eis", "ma-dc", "wjacs-6", "wne-4000"),
}


@pytest.fixture
def labctl(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Labctl:
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["labctl", *arguments])
        status = run()
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call


def cycle(count: int, charged: float, discharged: float, *, complete: bool = True) -> CycleRow:
    """A cycle of these capacities in Ah."""
    return CycleRow(0, 1, 2, 2, 0.0, 1.0, charged, discharged, charged, discharged, 2.5, 4.3, count,
                    discharged / charged, 0.9 * discharged / charged, complete)  # fmt: skip


@cache
def pellet() -> Set:
    [each] = [each for each in acceptance() if each.id == "lee-cccv-pellet"]
    return each


@cache
def plan() -> Plan:
    return prepare(pellet()).plan


def rehearsed(*cycles: CycleRow, state: RunState = RunState.COMPLETED) -> Rehearsal:
    outcome = Outcome(state, "")
    return Rehearsal(plan(), "press", 1, 0.0, outcome, 0.0, 0, 0, (), cycles, (), Curves(), ())


def judged(row: Row, *runs: Rehearsal) -> tuple[Verdict, float | None]:
    """Judge a row by the first run, against the second."""
    each = pellet().model_copy(update={"row": (row,)})
    [one] = judge(each, dict(zip((each.id, "other"), runs, strict=False)))
    return one.verdict, one.run


def row(measure: str, **keys: object) -> Row:
    return Row.model_validate({"id": "a", "says": "a", "where": "b", "basis": "held out", "measure": measure, **keys})


def test_the_table_has_every_experiment_of_the_papers() -> None:
    ids = [each.id for each in acceptance()]
    assert len(ids) == len(set(ids))
    assert set(ids) >= EXPERIMENTS
    assert {each.paper for each in acceptance()} == PAPERS
    for each in acceptance():
        assert each.protocol.startswith(f"{each.paper}/")
        assert (ROOT / "protocols" / each.protocol).is_file()
        assert (ROOT / "cells" / f"{each.cell}.toml").is_file()
        assert each.station in laboratory().stations
        assert len({one.id for one in each.row}) == len(each.row)
        compared = {one.against for one in each.row} - {""}
        assert compared <= {other.id for other in acceptance() if other.paper == each.paper}


def test_every_simulated_cell_of_the_table_was_calibrated_to_something_but_where_that_is_said_of_none() -> None:
    calibrated = {
        each.simulation.cell.preset for each in acceptance() for one in each.row if one.basis is Basis.CALIBRATED
    }
    used = {each.simulation.cell.preset for each in acceptance()}
    assert used - calibrated == {"nmc83-lto"}


@given(st.floats(0.5, 1.5), st.integers(1, 40))
def test_a_row_is_met_within_its_tolerance_and_no_further(factor: float, percent: int) -> None:
    mass = plan().cell.active_mass
    assert mass is not None
    measured = rehearsed(cycle(1, 1e-3, 100.0 * factor * mass))
    asked = row("discharge capacity", paper="100 mAh/g", tolerance=f"{percent} %")
    verdict, value = judged(asked, measured)
    assert value == pytest.approx(360000.0 * factor)
    if abs(abs(factor - 1.0) - percent / 100.0) > 1e-9:
        assert (verdict is Verdict.MET) == (abs(factor - 1.0) < percent / 100.0)


def test_every_measure_is_taken_from_complete_cycles() -> None:
    run = rehearsed(cycle(1, 2e-3, 1e-3), cycle(2, 1e-3, 0.99e-3), cycle(3, 1e-3, 0.9e-3, complete=False))
    area = run.plan.cell.positive_area
    assert area is not None
    exact: dict[str, object] = {"tolerance": "0.0001 %"}
    assert judged(row("coulombic efficiency", paper="50 %", **exact), run)[0] is Verdict.MET
    assert judged(row("energy efficiency", paper="45 %", **exact), run)[0] is Verdict.MET
    assert judged(row("retention", cycle=2, paper="99 %", **exact), run)[0] is Verdict.MET
    assert judged(row("retention", cycle=3, paper="90 %", **exact), run) == (Verdict.NOT_REACHED, None)
    assert judged(row("least coulombic efficiency", cycle=2, at_least="49 %"), run)[0] is Verdict.MET
    assert judged(row("least coulombic efficiency", cycle=2, at_least="51 %"), run)[0] is Verdict.MISSED
    assert (
        judged(row("least coulombic efficiency", reference=2, cycle=3, at_least="1 %"), run)[0] is Verdict.NOT_REACHED
    )
    assert judged(row("charge capacity", at_most="10 mAh/cm2"), run)[1] == pytest.approx(2e-3 * 3600.0 / area)
    assert judged(row("complete cycles", count=2), run)[0] is Verdict.MET
    assert judged(row("complete cycles", count=3), run)[0] is Verdict.MISSED
    assert judged(row("end", state="completed"), run)[0] is Verdict.MET
    assert judged(row("end", state="failed"), rehearsed(state=RunState.TRIPPED))[0] is Verdict.MET


def test_a_row_against_another_set_is_their_ratio_and_not_reached_without_it() -> None:
    asked = row("discharge capacity", against="other", paper="50 %", tolerance="1 %")
    run, other = rehearsed(cycle(1, 1e-3, 1e-3)), rehearsed(cycle(1, 1e-3, 2e-3))
    assert judged(asked, run, other) == (Verdict.MET, 0.5)
    assert judged(asked, run) == (Verdict.NOT_REACHED, None)
    assert judged(asked, run, rehearsed(cycle(1, 1e-3, 0.0))) == (Verdict.NOT_REACHED, None)


@pytest.mark.parametrize(
    ("measure", "keys", "reason"),
    [
        ("end", {"at_least": "3 %"}, "the end is compared with a state"),
        ("complete cycles", {"paper": "3 %", "tolerance": "1 %"}, "complete cycles are compared with a count"),
        ("retention", {"paper": "3 %"}, "compares with one of paper"),
        ("retention", {}, "compares with one of paper"),
        ("retention", {"at_least": "3 %", "at_most": "4 %"}, "compares with one of paper"),
        ("retention", {"at_least": "3 %", "cannot": "no instrument"}, "has nothing to compare"),
    ],
)
def test_a_row_that_says_too_little_or_too_much_is_none(measure: str, keys: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        row(measure, **keys)


def test_how_a_run_ends_is_judged_of_whole_runs() -> None:
    keys = {"id": "a", "paper": "a", "protocol": "a", "cell": "a", "station": "press"}
    with pytest.raises(ValidationError, match="never quick"):
        Set.model_validate({**keys, "quick": {"cycles": 1}, "row": (row("complete cycles", count=6),)})


def test_the_simulated_cell_is_as_large_as_the_one_of_the_protocol() -> None:
    [slurry] = [each for each in acceptance() if each.id == "ma-slurry-100"]
    cell = prepare(slurry).config.station("press").simulation.cell
    assert cell.preset == "lno-lto"
    assert cell.loading == pytest.approx(0.17)
    assert cell.diameter == pytest.approx(9e-3)
    assert laboratory().station("press").simulation.cell.diameter is None, "the laboratory itself stays as it is"


def test_a_set_that_is_compared_runs_with_the_one_that_asks() -> None:
    assert [each.id for each in _chosen("doerrer-2021", ["doe-asym"])] == ["doe-sym-2.5", "doe-asym"]


def test_paper_stands_beside_run(labctl: Labctl) -> None:
    status, out, err = labctl("reproduce", "lee-2022", "--only", "lee-composition", "--json")
    assert status == 0, err
    told = json.loads(out)
    assert "proves software, not chemistry" in told["notice"]
    [only] = told["sets"]
    assert only["state"] == "completed"
    [one] = only["rows"]
    assert (one["paper"], one["unit"], one["basis"]) == (94.9, "mAh/g", "held out")
    assert one["run"] == pytest.approx(105.0, abs=1.0)
    assert one["verdict"] == "missed", "a row that the simulator does not meet is shown as such, and is no failure"


def test_what_cannot_run_says_why(labctl: Labctl) -> None:
    status, out, _ = labctl("reproduce", "doerrer-2021", "--only", "doe-eis")
    assert status == 0
    assert "needs a simulated cell of polycrystals" in " ".join(out.split())
    assert "cannot run: 1" in out
    assert "This proves software, not chemistry" in out


def test_a_calibrated_row_that_is_missed_is_told_by_the_exit_status(
    labctl: Labctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    [each] = [each for each in acceptance() if each.id == "doe-sym-50"]
    wrong = each.row[1].model_copy(update={"count": 7})
    changed = each.model_copy(update={"row": (wrong,)})
    monkeypatch.setattr("labctl.reproduce.acceptance", lambda: (changed,))
    status, out, _ = labctl("reproduce", "doerrer-2021")
    assert status == 1
    assert "calibrated: 1 missed" in out


def test_unknown_papers_and_sets_are_refused_with_those_that_there_are(labctl: Labctl) -> None:
    status, _, err = labctl("reproduce", "wang")
    assert status == 2
    assert "doerrer-2021, lee-2022, ma-2024, wang-2024, wang-2023" in " ".join(err.split())
    status, _, err = labctl("reproduce", "wang-2024", "--only", "wne-4000")
    assert status == 2
    assert "it has wjacs-6" in " ".join(err.split())
