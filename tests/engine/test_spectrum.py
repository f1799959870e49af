"""A spectrum in a run: told point by point, begun anew where it was interrupted, and failed by name."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.engine.run import Outcome, Run
from labctl.plan import Bound, Impedance, Outage, OutagePolicy, Plan, Step
from labctl.reading import Event, RunState
from labctl.record.writer import Writer
from labctl.sim.cell import CurrentSource, Open
from labctl.sim.faults import Fault, Garbage, silence
from tests.engine.lives import Process, World, plan_for
from tests.engine.test_resume import go_on
from tests.laboratory import batches, new_run, started
from tests.stations import Breakage, Lab, laboratory, plan_of

FREQUENCIES = tuple(10.0 ** (5.0 - k / 2.0) for k in range(13))
"""100 kHz to 0.1 Hz: 53 s of looking at them."""
SPECTRUM = Impedance(FREQUENCIES, "voltage", 0.01, None, 1e-3, Bound(2.0, 4.4))
BEFORE, AFTER = '[[step]]\nrest = "1 min"\n', '[[step]]\nrest = "2 min"\n'
KIND = "impedance.point"


def with_spectrum(plan: Plan, *actions: Impedance) -> Plan:
    """Put spectra in place of the steps behind the first."""
    first, *others = plan.body
    body = [first]
    for other, action in zip(others, actions, strict=True):
        assert isinstance(other, Step)
        body.append(Step(other.id, "eis", "spectrum", action, record=other.record))
    return replace(plan, body=tuple(body))


def planned(lab: Lab, *actions: Impedance) -> Plan:
    return with_spectrum(plan_of(BEFORE + AFTER * len(actions), lab.assembly), *actions)


async def charged(lab: Lab) -> None:
    for source, seconds in ((CurrentSource(2.2e-3, 4.4), 1800.0), (Open(), 3600.0)):
        lab.bench.cell.drive(source)
        await lab.clock.sleep(seconds)
        lab.bench.advance_to(lab.clock.now())


def points(lab: Lab) -> list[Event]:
    return [event for event in lab.events if event.kind == KIND]


def asked(events: list[Event]) -> list[float]:
    return [event.data["frequency_hertz"] for event in events]


def reasons(lab: Lab) -> list[str]:
    return [event.data["reason"] for event in lab.events if event.kind == "step.ended"]


async def run(lab: Lab, *actions: Impedance, meanwhile: Callable[[Lab, Run], object] | None = None) -> Outcome:
    await charged(lab)
    return await lab.run(planned(lab, *(actions or (SPECTRUM,))), meanwhile=meanwhile)


def during(seconds: float, word: Callable[[Lab, Run], object]) -> Callable[[Lab, Run], object]:
    """Say a word so long after the first point."""

    async def meanwhile(lab: Lab, run: Run) -> None:
        while not points(lab):
            await lab.clock.sleep(0.5)
        await lab.clock.sleep(seconds)
        word(lab, run)

    return meanwhile


async def test_points_are_told_in_order_and_the_step_ends_by_itself() -> None:
    async with laboratory("A4") as lab:
        outcome = await run(lab)
    assert outcome.state is RunState.COMPLETED, outcome
    told = points(lab)
    assert asked(told) == list(FREQUENCIES)
    for event in told:
        value = complex(event.data["real_impedance_ohm"], event.data["imaginary_impedance_ohm"])
        true = lab.bench.cell.impedance(event.data["frequency_hertz"])
        assert abs(value - true) <= 0.01 * abs(true)
        assert event.data["step_count"] == 2
    times = [event.test_time_second for event in told]
    assert times == sorted(times)
    assert times[-1] - times[0] == pytest.approx(51.5, abs=2.0), "each when it came, not all at the end"
    assert reasons(lab)[1] == "its end is reached"
    assert "guard.warned" not in lab.kinds()


async def test_the_bias_and_the_mean_current_are_recorded_meanwhile() -> None:
    async with laboratory("A4") as lab:
        outcome = await run(lab, replace(SPECTRUM, of="current", amplitude=2e-5, bias=1e-4))
    assert outcome.state is RunState.COMPLETED, outcome
    rows = [row for row in lab.rows if row["step_id"] == 2]
    assert rows
    assert [row["current_ampere"] for row in rows[:-1]] == pytest.approx([1e-4] * (len(rows) - 1), rel=1e-3)
    seconds = rows[-1]["step_time_second"]
    assert seconds is not None
    charge = (rows[-1]["charging_capacity_ah"] or 0.0) - (rows[0]["charging_capacity_ah"] or 0.0)
    assert charge * 3600.0 == pytest.approx(1e-4 * seconds, rel=0.05)


async def test_two_spectra_are_told_apart() -> None:
    fast = replace(SPECTRUM, frequencies=(1e4, 1e3))
    async with laboratory("A4") as lab:
        outcome = await run(lab, fast, fast)
    assert outcome.state is RunState.COMPLETED, outcome
    assert [(e.data["step_count"], e.data["frequency_hertz"]) for e in points(lab)] == [
        (2, 1e4),
        (2, 1e3),
        (3, 1e4),
        (3, 1e3),
    ]


async def test_a_pause_begins_it_anew_under_another_step() -> None:
    opened: list[bool] = []

    async def meanwhile(lab: Lab, run: Run) -> None:
        while not points(lab):
            await lab.clock.sleep(0.5)
        await lab.clock.sleep(20.0)
        run.pause("ada")
        await lab.clock.sleep(60.0)
        opened.append(isinstance(lab.bench.cell.source, Open))
        run.resume("ada")

    async with laboratory("A4") as lab:
        outcome = await run(lab, meanwhile=meanwhile)
    assert outcome.state is RunState.COMPLETED, outcome
    assert opened == [True]
    told = points(lab)
    first, second = ([e for e in told if e.data["step_count"] == count] for count in (2, 4))
    assert 0 < len(first) < len(FREQUENCIES)
    assert asked(first) == list(FREQUENCIES[: len(first)])
    assert asked(second) == list(FREQUENCIES)
    assert len(told) == len(first) + len(second)


@pytest.mark.parametrize(
    ("word", "state", "reason"),
    [
        (lambda _lab, run: run.skip("ada"), RunState.COMPLETED, "skipped by ada"),
        (lambda _lab, run: run.stop("ada", "enough"), RunState.STOPPED, "Stopped by ada"),
    ],
    ids=["skip", "stop"],
)
async def test_words_end_it_with_the_circuit_open(
    word: Callable[[Lab, Run], object], state: RunState, reason: str
) -> None:
    async with laboratory("A4") as lab:
        outcome = await run(lab, meanwhile=during(5.0, word))
        assert outcome.state is state, outcome
        assert reason in reasons(lab)[1]
        assert 0 < len(points(lab)) < len(FREQUENCIES)
        assert isinstance(lab.bench.cell.source, Open)


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (lambda lab, _run: lab.bench.cell.open_circuit(), "could not be measured"),
        (lambda lab, _run: lab.bench.cell.short(3000.0), "beyond 0.001 A"),
    ],
    ids=["a broken wire", "a short"],
)
async def test_an_instrument_that_ends_it_early_fails_the_step_by_name(
    happens: Callable[[Lab, Run], object], said: str
) -> None:
    async with laboratory("A4") as lab:
        outcome = await run(lab, meanwhile=during(5.0, happens))
        assert isinstance(lab.bench.cell.source, Open)
    assert outcome.state is RunState.FAILED, outcome
    assert f"of {len(FREQUENCIES)} frequencies" in outcome.reason
    assert said in outcome.reason


async def test_a_wire_that_is_cut_trips_the_guard_and_the_output_opens_by_itself() -> None:
    cut = Breakage("cycler", silence)

    def happens(_lab: Lab, _run: Run) -> None:
        cut.active = True

    async with laboratory("A4", breakages=(cut,)) as lab:
        outcome = await run(lab, meanwhile=during(5.0, happens))
        assert outcome.state is RunState.TRIPPED, outcome
        await asyncio.wait_for(lab.clock.sleep(200.0), 5.0)
        lab.bench.advance_to(lab.clock.now())
        assert isinstance(lab.bench.cell.source, Open)
    assert 0 < len(points(lab)) < len(FREQUENCIES)


@pytest.mark.parametrize("fault", [silence, Garbage(b"3 READ? CV*0000\n")], ids=["silence", "garbage"])
async def test_points_that_cannot_be_read_fail_the_step(fault: Fault) -> None:
    """The guard sees nothing wrong: voltage and current are read as ever."""
    broken = Breakage("cycler", fault, only=b" SPECTRUM? ")

    def happens(_lab: Lab, _run: Run) -> None:
        broken.active = True

    async with laboratory("A4", breakages=(broken,)) as lab:
        outcome = await run(lab, meanwhile=during(5.0, happens))
        assert isinstance(lab.bench.cell.source, Open)
    assert outcome.state is RunState.FAILED, outcome
    assert outcome.reason.startswith("The points of the spectrum cannot be read. A4/cycler at sim://")
    assert 0 < len(points(lab)) < len(FREQUENCIES)


async def test_a_page_that_is_lost_is_asked_for_again() -> None:
    broken = Breakage("cycler", Garbage(b"\x07*\n"), only=b" SPECTRUM? ")

    async def meanwhile(lab: Lab, _run: Run) -> None:
        while True:
            await lab.clock.sleep(3.0)
            broken.active = len(points(lab)) > 0 and not broken.active

    async with laboratory("A4", breakages=(broken,)) as lab:
        outcome = await run(lab, meanwhile=meanwhile)
    assert outcome.state is RunState.COMPLETED, outcome
    assert asked(points(lab)) == list(FREQUENCIES)


async def test_a_cell_at_its_limit_is_not_measured() -> None:
    async with laboratory("A4") as lab:
        await charged(lab)
        narrow = replace(SPECTRUM, window=Bound(2.0, lab.bench.cell.voltage + 0.01))
        outcome = await lab.run(planned(lab, narrow))
        assert isinstance(lab.bench.cell.source, Open)
    assert outcome.state is RunState.FAILED
    assert "does not stay inside the limits of voltage" in outcome.reason
    assert not points(lab)


async def test_a_cycler_without_impedance_is_refused() -> None:
    async with laboratory("A1") as lab:
        outcome = await lab.run(planned(lab, SPECTRUM))
    assert outcome.state is RunState.FAILED
    assert "measures no impedance" in outcome.reason


@pytest.mark.parametrize("policy", [OutagePolicy.RESUME, OutagePolicy.WAIT])
async def test_a_death_begins_it_anew(tmp_path: Path, policy: OutagePolicy) -> None:
    world = World(tmp_path, "A4")
    plan = with_spectrum(plan_for(world, BEFORE + AFTER), replace(SPECTRUM, of="current", amplitude=2e-5, bias=0.0))
    plan = replace(plan, outage=Outage(policy))
    await Process(world, flush_every=0.1).live(plan, dies_at=100.0)
    assert not isinstance(world.bench.cell.source, Open)
    outcome = await Process(world).live(plan, words=go_on, away=30.0)
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED, outcome
    told = [
        (record["data"]["step_count"], record["data"]["frequency_hertz"])
        for _, record in world.entries()
        if isinstance(record, dict) and record["kind"] == KIND
    ]
    last = told[-1][0]
    assert [frequency for count, frequency in told if count == last] == list(FREQUENCIES)
    before = [frequency for count, frequency in told if count != last]
    assert 0 < len(before) < len(FREQUENCIES)
    assert before == list(FREQUENCIES[: len(before)])


async def test_the_view_of_spectra_holds_what_was_told(tmp_path: Path) -> None:
    async with laboratory("A4") as lab:
        await run(lab)
    name = new_run()
    writer = Writer(tmp_path / "lab.db")
    writer.apply(batches(name, [started(name), *lab.records[1:]], 50))
    writer.close()
    keys = ("step_count", "cycle_count", "frequency_hertz", "real_impedance_ohm", "imaginary_impedance_ohm")
    with closing(sqlite3.connect(tmp_path / "lab.db")) as database:
        found = database.execute(f"SELECT {', '.join(keys)} FROM spectra ORDER BY seq").fetchall()
    assert len(found) == len(FREQUENCIES)
    assert found == [tuple(event.data[key] for key in keys) for event in points(lab)]
