"""A rehearsal is the run, as far as it looks as often; and what is left of a run is enough to know it by."""

import asyncio
import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.cli.app import run
from labctl.engine.operator import DeclaredOperator
from labctl.lab.abilities import abilities
from labctl.lab.experiment import Experiment, conduct
from labctl.lab.laboratory import Pace
from labctl.plan import Plan
from labctl.protocol import bind, load
from labctl.reading import COLUMNS, Event, Reading, RunState
from labctl.record.queries import Queries, SpanRow
from labctl.record.schema import connect
from labctl.rehearse import DISCLAIMER, Rehearsal, Rehearsing, rehearse
from labctl.rehearse.curves import MOST, TRACED, Curves
from labctl.rehearse.keeper import Keeper, Point
from labctl.rehearse.picture import save_picture
from labctl.rehearse.rhythm import period_of
from tests.stations import CONFIG, HEAD, ROOT, repository_config

Numbered = TypeVar("Numbered", bound=SpanRow)
WANG = ROOT / "protocols" / "wang-2023" / "cccv.toml"
PRESSED = (
    HEAD
    + """
[[step]]
pressure = { negative = "1 MPa", ramp = "0.1 MPa/s", control = "force" }
until = "stable within 5 % for 10 s"
timeout = "20 min"
[[step]]
repeat = 2
counts = "cycle"
do = [
  { charge = "C/2", until = "20 min" },
  { rest = "90 s" },
  { discharge = "C/2", until = "90 s" },
]
"""
)
Labctl = Callable[..., tuple[int, str, str]]


def plan_for(station: str, file: Path, **inputs: str) -> Plan:
    return bind(load(file), abilities(repository_config(), station), None, inputs)


def rehearsed(plan: Plan, station: str, **options: float | bool) -> Rehearsal:
    return asyncio.run(rehearse(plan, repository_config(), station, **options))  # type: ignore[arg-type]


@pytest.fixture
def pressed(tmp_path: Path) -> Path:
    file = tmp_path / "pressed.toml"
    file.write_text(PRESSED)
    return file


@pytest.fixture
def labctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Labctl:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LABCTL_CONFIG", str(CONFIG))

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["labctl", *arguments])
        status = run()
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call


def simulated(plan: Plan, station: str, folder: Path) -> Path:
    """Run a plan for real, as `labctl run --simulate` does; return its database."""
    database = folder / "lab.db"
    pace = Pace(in_memory=True, speed=None, seed=1)
    experiment = Experiment(repository_config(), CONFIG, station, plan, pace, database, DeclaredOperator())
    assert asyncio.run(conduct(experiment, lambda _: None)).state is RunState.COMPLETED
    return database


MEASURED = (
    HEAD
    + """
[[step]]
charge = "C/2"
until = "40 min"
[[step]]
repeat = 4
counts = "cycle"
do = [ { charge = "C/2", until = "10 min" }, { discharge = "C/2", until = "8 min" } ]
[[step]]
charge = "C(measured, cycle = 4)/2"
until = "20 min"
"""
)


@pytest.mark.parametrize("options", [{}, {"boundaries": True}], ids=["whole", "boundaries"])
def test_a_rate_by_a_measured_capacity_is_rehearsed(options: dict[str, bool], tmp_path: Path) -> None:
    file = tmp_path / "measured.toml"
    file.write_text(MEASURED)
    rehearsal = rehearsed(plan_for("A3", file), "A3", **options)
    assert rehearsal.outcome.state is RunState.COMPLETED, rehearsal.outcome
    rate, driven = rehearsal.cycles[-1].discharging_capacity_ah, rehearsal.kept[-2].extremes("current_ampere")
    assert rate is not None
    assert driven is not None
    assert driven[1] == pytest.approx(rate / 2.0, rel=0.01)


def _later(row: Numbered, events: int) -> Numbered:
    """Return a row of a run that has told so many events before its first step."""
    assert row.first_seq is not None
    assert row.last_seq is not None
    return replace(row, first_seq=row.first_seq + events, last_seq=row.last_seq + events)


@pytest.mark.parametrize("station", ["A1", "A3"])
def test_looking_as_often_it_is_the_run_to_the_last_bit(
    station: str, pressed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    plan = plan_for("A3", WANG, cycles="2") if station == "A3" else plan_for("A1", pressed)
    rehearsal = rehearsed(plan, station, poll=0.0)
    database = simulated(plan, station, tmp_path)
    with Queries(database) as queries:
        run_id = queries.runs()[0].id
        events = queries.events(run_id)
        readings = queries.readings(run_id)
        told = sum(event.kind.startswith("calibration.") for event in events)  # of which a rehearsal knows nothing
        assert [_later(step, told) for step in rehearsal.steps] == queries.steps(run_id)
        assert [_later(cycle, told) for cycle in rehearsal.cycles] == queries.cycles(run_id)
    assert rehearsal.duration == events[-1].test_time_second
    assert rehearsal.readings == len(readings)
    connect(tmp_path / "empty.db").close()
    grown = database.stat().st_size - (tmp_path / "empty.db").stat().st_size
    assert rehearsal.size == pytest.approx(grown, rel=0.1, abs=8192)


def test_looking_less_often_it_says_nearly_the_same() -> None:
    plan = plan_for("A3", WANG, cycles="3")
    often, rarely = rehearsed(plan, "A3", poll=0.0), rehearsed(plan, "A3")
    assert rarely.poll == 10.0
    assert rarely.duration == pytest.approx(often.duration, abs=10.0 * len(often.steps))
    assert rarely.readings == pytest.approx(often.readings, rel=0.03)
    assert rarely.size == pytest.approx(often.size, rel=0.03)
    for one, other in zip(rarely.cycles, often.cycles, strict=True):
        assert one.charging_capacity_ah == pytest.approx(other.charging_capacity_ah, rel=1e-3)
        assert one.discharging_capacity_ah == pytest.approx(other.discharging_capacity_ah, rel=1e-3)
        assert one.coulombic_efficiency == pytest.approx(other.coulombic_efficiency, abs=1e-3)
    for name in ("voltage_volt", "current_ampere"):
        assert rarely.extremes(name) == pytest.approx(often.extremes(name), rel=1e-3)
    assert rarely.curves.times[-1] == pytest.approx(often.curves.times[-1], abs=100.0)


def test_of_boundaries_it_learns_what_lies_between() -> None:
    plan = plan_for("A3", WANG, cycles="6")
    whole, outline = rehearsed(plan, "A3"), rehearsed(plan, "A3", boundaries=True)
    assert [cycle.row_count for cycle in outline.cycles] == [4, 4, 4, 4, 4, 5]  # the safe state is told, too
    assert outline.readings == pytest.approx(whole.readings, rel=0.05)
    assert outline.size == pytest.approx(whole.size, rel=0.05)
    for one, other in zip(outline.cycles, whole.cycles, strict=True):
        assert one.discharging_capacity_ah == other.discharging_capacity_ah


def test_a_program_in_the_instrument_is_followed_from_afar() -> None:
    plan = plan_for("A4", WANG, cycles="5")
    often, rarely = rehearsed(plan, "A4", poll=0.0), rehearsed(plan, "A4", boundaries=True)
    assert rarely.outcome.state is RunState.COMPLETED
    assert rarely.duration == pytest.approx(often.duration, abs=10.0)
    assert rarely.readings == pytest.approx(often.readings, rel=0.03)
    for one, other in zip(rarely.cycles, often.cycles, strict=True):
        assert one.charging_capacity_ah == pytest.approx(other.charging_capacity_ah, rel=1e-6)
        assert one.discharging_capacity_ah == pytest.approx(other.discharging_capacity_ah, rel=2e-3)


def test_the_same_seed_is_the_same_rehearsal(pressed: Path) -> None:
    plan = plan_for("A1", pressed)
    first, same, other = (rehearsed(plan, "A1", seed=seed) for seed in (1, 1, 2))
    assert (first.steps, first.cycles, first.curves.lows) == (same.steps, same.cycles, same.curves.lows)
    assert first.steps != other.steps


def test_pressures_are_told_with_their_extremes(pressed: Path) -> None:
    rehearsal = rehearsed(plan_for("A1", pressed), "A1")
    extremes = rehearsal.extremes("negative_pressure_pa")
    assert extremes is not None
    assert extremes[0] < 0.1e6
    assert 0.95e6 < extremes[1] < 1.1e6
    assert set(rehearsal.measured()) == set(TRACED)


def test_a_short_step_is_looked_at_as_in_a_real_run_and_no_row_falls_between_two_looks() -> None:
    rest = next(step for step in plan_for("A3", WANG).steps() if step.verb == "charge")
    assert period_of(rest, expected=20.0, longest=10.0) == 0.2
    assert period_of(rest, expected=7000.0, longest=10.0) == 10.0
    assert period_of(rest, expected=7000.0, longest=7.0) == 60.0 / 9.0
    press = next(step for step in plan_for("A3", WANG).steps() if step.verb == "prompt")
    assert period_of(press, expected=7000.0, longest=10.0) == 0.0


# -- what is kept ----------------------------------------------------------------------------------------------------


def row(time: float, **values: float | None) -> Reading:
    fixed: dict[str, float | None] = dict.fromkeys(COLUMNS[:12], 0.0)
    return Reading(tuple(({**fixed, "test_time_second": time, "step_count": 1.0} | values).get(n) for n in COLUMNS))


def begun(keeper: Keeper, count: int = 1) -> None:
    data = {"step_count": count, "step_id": 1, "name": "charge", "verb": "charge", "cycle_count": 1}
    keeper(Event("step.started", 0.0, 0.0, "", data=data))


VALUES = st.one_of(st.none(), st.floats(-10.0, 10.0))
Seen = tuple[float | None, float | None, float | None]


@given(st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=60))
def test_a_step_keeps_its_first_last_and_extreme_rows(
    values: list[tuple[float | None, float | None, float | None]],
) -> None:
    keeper = Keeper(plan_for("A3", WANG), 1.0, lambda: 1.0)
    begun(keeper)
    rows = []
    for number, (voltage, low, high) in enumerate(values):
        if low is not None and high is not None:
            low, high = min(low, high), max(low, high)
        pressure = {"negative_pressure_pa_min": low, "negative_pressure_pa_max": high}
        rows.append(row(float(number), voltage_volt=voltage, cycle_count=1.0, **pressure))
        keeper(rows[-1])
    (step,) = keeper.steps
    assert step.span is not None
    assert (step.span.first, step.span.last) == (rows[0].values, rows[-1].values)
    voltages = [voltage for voltage, _, _ in values if voltage is not None]
    assert step.extremes("voltage_volt") == ((min(voltages), max(voltages)) if voltages else None)
    both = [(min(low, high), max(low, high)) for _, low, high in values if low is not None and high is not None]
    expected = (min(low for low, _ in both), max(high for _, high in both)) if both else None
    assert step.extremes("negative_pressure_pa") == expected
    assert all(kept in rows for kept in [*step.lowest.values(), *step.highest.values()])


def test_memory_grows_with_steps_not_with_rows() -> None:
    keeper = Keeper(plan_for("A3", WANG), 1.0, lambda: 1.0)
    begun(keeper)
    for number in range(20_000):
        keeper(row(float(number), voltage_volt=math.sin(number), current_ampere=math.cos(number)))
    (step,) = keeper.steps
    kept = {id(row) for row in [*step.lowest.values(), *step.highest.values()]}
    assert len(kept) <= 2 * len(TRACED)
    assert len(keeper.curves.times) <= MOST
    assert step.row().row_count == 20_000


@given(st.lists(st.floats(0.1, 500.0), min_size=1, max_size=300), st.integers(0, 299))
def test_a_curve_loses_no_spike(gaps: list[float], spike: int) -> None:
    spike %= len(gaps)
    curves, most, time, seen = Curves(most=16), 16, 0.0, []
    for number, gap in enumerate(gaps):
        time += gap
        seen.append((time, 100.0 if number == spike else math.sin(number)))
        curves.add(row(time, voltage_volt=seen[-1][1]).values)
    assert len(curves.times) <= most
    assert max(curves.highs["voltage_volt"]) == 100.0
    assert min(curves.lows["voltage_volt"]) == min(value for _, value in seen)
    assert curves.times == sorted(curves.times)
    edges = [*curves.times[1:], math.inf]
    for begin, end, low, high in zip(
        curves.times, edges, curves.lows["voltage_volt"], curves.highs["voltage_volt"], strict=True
    ):
        inside = [value for time, value in seen if begin <= time < end]
        assert (low, high) == (min(inside), max(inside))
    assert not curves.measured("negative_pressure_pa")
    assert curves.measured("voltage_volt")


# -- ends ------------------------------------------------------------------------------------------------------------


def test_what_trips_is_told_with_its_time(tmp_path: Path, labctl: Labctl) -> None:
    """A cell in a locked gap breathes beyond the limit of its pressure."""
    file = tmp_path / "trips.toml"
    head = HEAD.replace('["0 MPa", "4 MPa"]', '["0 MPa", "1 MPa"]')
    assert head != HEAD
    file.write_text(
        head
        + """
[[step]]
pressure = { negative = "0.95 MPa", ramp = "0.1 MPa/s", control = "gap" }
until = "stable within 5 % for 10 s"
timeout = "20 min"
[[step]]
charge = "C/2"
until = "4.3 V"
"""
    )
    rehearsal = rehearsed(plan_for("A1", file), "A1")
    assert rehearsal.outcome.state is RunState.TRIPPED
    tripped = next(event for event in rehearsal.trouble if event.kind == "guard.tripped")
    assert tripped.data["quantity"] == "pressure.negative"
    extremes = rehearsal.extremes("negative_pressure_pa")
    assert extremes is not None
    assert 1.0e6 < extremes[1] < 1.01e6
    status, out, _ = labctl("check", str(file), "--station", "A1", "--rehearse")
    assert status == 5
    assert "End: tripped after " in out
    assert "alarm at " in out
    assert tripped.message in out


def test_what_fails_leaves_with_one(tmp_path: Path, labctl: Labctl) -> None:
    file = tmp_path / "fails.toml"
    file.write_text(HEAD + '[[step]]\ncharge = "C/2"\nuntil = "4.3 V"\ntimeout = "10 min"\n')
    status, out, _ = labctl("check", str(file), "--station", "A1", "--rehearse", "--json")
    assert status == 1
    rehearsal = json.loads(out)["rehearsal"]
    assert rehearsal["state"] == "failed"
    assert rehearsal["notice"] == DISCLAIMER
    assert rehearsal["simulated"] is True


def test_it_can_be_stopped_and_tells_what_there_is() -> None:
    async def stop_soon(rehearsing: Rehearsing) -> None:
        while rehearsing.run.progress.cycle < 2:  # noqa: ASYNC110 - as a painter looks
            await asyncio.sleep(0)
        assert 0.0 < rehearsing.fraction < 0.5
        rehearsing.run.stop()

    async def stopped() -> Rehearsal:
        tasks: list[asyncio.Task[None]] = []
        plan = plan_for("A3", WANG, cycles="4000")
        return await rehearse(
            plan,
            repository_config(),
            "A3",
            started=lambda rehearsing: tasks.append(asyncio.create_task(stop_soon(rehearsing))),
        )

    rehearsal = asyncio.run(stopped())
    assert rehearsal.outcome.state is RunState.STOPPED
    assert [cycle.complete for cycle in rehearsal.cycles] == [True, False]


# -- command ---------------------------------------------------------------------------------------------------------


def test_the_command_tells_and_draws(tmp_path: Path, labctl: Labctl) -> None:
    picture = tmp_path / "wang.png"
    arguments = ("check", str(WANG), "--station", "A3", "--rehearse", "--set", "cycles=2", "--png", str(picture))
    status, out, _ = labctl(*arguments)
    assert status == 7, "the figures of this paper do not close"
    assert DISCLAIMER in out
    for words in ("End: completed after 3 h", "readings", "MB", "CE/%", "voltage"):
        assert words in out
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert not (tmp_path / "data").exists()  # nothing is stored


def test_a_picture_shows_pressures_where_they_are_measured(pressed: Path, tmp_path: Path) -> None:
    from matplotlib.image import imread

    rehearsal = rehearsed(plan_for("A1", pressed), "A1")
    save_picture(rehearsal, tmp_path / "pressed.png")
    height, width, _ = imread(tmp_path / "pressed.png").shape
    assert (width, height) == (900, 1040)


def test_a_picture_that_cannot_be_written_is_a_sentence(tmp_path: Path, labctl: Labctl) -> None:
    arguments = ("check", str(WANG), "--station", "A3", "--rehearse", "--set", "cycles=1")
    status, _, err = labctl(*arguments, "--png", str(tmp_path / "no" / "folder.png"))
    assert status == 1
    assert "cannot be written" in err


def test_what_is_invalid_is_not_rehearsed(tmp_path: Path, labctl: Labctl) -> None:
    file = tmp_path / "invalid.toml"
    file.write_text(HEAD + '[[step]]\ncharge = "100 A"\nuntil = "4.3 V"\n')
    status, out, err = labctl("check", str(file), "--station", "A1", "--rehearse")
    assert status == 3
    assert "invalid.toml:" in err
    assert DISCLAIMER not in out


def test_usage(labctl: Labctl) -> None:
    for arguments in (
        ("check", str(WANG), "--rehearse"),
        ("check", str(WANG), str(WANG), "--rehearse", "--station", "A3"),
        ("check", str(WANG), "--png", "x.png"),
        ("check", str(WANG), "--station", "A3", "--rehearse", "--poll", "-1"),
    ):
        assert labctl(*arguments)[0] == 2


def test_a_picture_shows_spectra_where_there_are_some(pressed: Path, tmp_path: Path) -> None:
    from matplotlib.image import imread

    rehearsal = rehearsed(plan_for("A1", pressed), "A1")
    points = [Point(10.0 ** (3 - k), 50.0 + 10.0 * k, -20.0) for k in range(5)]
    rehearsal.kept[-1].spectrum.extend(points)
    save_picture(rehearsal, tmp_path / "spectra.png")
    height, width, _ = imread(tmp_path / "spectra.png").shape
    assert (width, height) == (900, 1300)
