"""A run whose process dies while the host executes it: how it is found, and that it goes on where it was."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import pytest

from labctl.clock import VirtualClock
from labctl.engine.journal import Journal
from labctl.engine.ledger import Counts
from labctl.engine.outage import END, GO_ON, Found, objections
from labctl.engine.position import Hosted, Position, Seen, Surroundings, newest
from labctl.engine.run import Run
from labctl.instrument import digest_of
from labctl.plan import Bound, Limits, Outage, OutagePolicy
from labctl.reading import RunState
from tests.engine.lives import Process, World, plan_for, tear, without_safe_state

CYCLES = """
[[step]]
repeat = 3
counts = "cycle"
do = [
  { charge = "C/2", until = "10 min" },
  { rest = "3 min" },
  { discharge = "C/2", until = ["2.2 V", "8 min"], timeout = "2 h" },
]
at = [ { cycles = [2], after = "rest", do = [ { rest = "90 s", name = "hooked" } ] } ]
[[step]]
if = "voltage > 1 V"
do = [ { rest = "2 min" } ]
"""
CHARGE_IN, TEST_TIME, STEP_COUNT, STEP_ID, CYCLE = 8, 1, 4, 5, 3
ONE_POLL = 1.6e-6
"""Ah at C/2 in ten seconds: what is driven and not counted between the last row and a death, or counted late."""


async def whole(folder: Path, steps: str) -> World:
    world = World(folder, "A3")
    outcome = await Process(world).live(plan_for(world, steps))
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED
    return world


async def go_on(clock: VirtualClock, run: Run, after: float = 20.0) -> None:
    """A person who says, now and then, that the run is to go on."""
    while True:
        await clock.sleep(after)
        if run.paused:
            run.resume("ana")


def executed(world: World) -> list[tuple[object, object]]:
    """Step id and verb of every execution that was not a pause, joined where the same step went on after one."""
    begun = [
        record["data"] for _, record in world.entries() if isinstance(record, dict) and record["kind"] == "step.started"
    ]
    ends = {
        r["data"]["step_count"]: r["data"]
        for _, r in world.entries()
        if isinstance(r, dict) and r["kind"] == "step.ended"
    }
    done: list[tuple[object, object]] = []
    for data in begun:
        if data["verb"] == "pause" or data["verb"] == "end":
            continue
        end = ends.get(data["step_count"], {})
        if "then" in end:
            done.append((data["step_id"], data["cycle_count"]))
    return done


def found_event(world: World) -> list[str]:
    return [str(r["message"]) for _, r in world.entries() if isinstance(r, dict) and r["kind"] == "run.found"]


async def test_twenty_deaths_of_a_run_that_waits_for_a_person_each_time(tmp_path: Path) -> None:
    seed = Random().randrange(10**6)
    print(f"seed {seed}")
    random = Random(seed)
    healthy = await whole(tmp_path / "whole", CYCLES)
    end = healthy.bench.time
    for number in range(20):
        world = World(tmp_path / str(number), "A3")
        plan = plan_for(world, CYCLES)
        at = random.uniform(1.0, end - 5.0)
        await Process(world, flush_every=random.choice([0.1, 1.0, 5.0])).live(plan, dies_at=at)
        if random.random() < 0.5:
            tear(world, random)
        away = random.choice([1.0, 100.0])
        outcome = await Process(world).live(plan, words=go_on, away=away)
        assert outcome is not None, (seed, number, at)
        assert outcome.state is RunState.COMPLETED, (seed, number, at, outcome)
        assert executed(world) == executed(healthy), (seed, number, at)
        rows = world.rows()
        for column in (TEST_TIME, STEP_COUNT, CHARGE_IN, CYCLE):
            assert [row[column] for row in rows] == sorted(row[column] or 0.0 for row in rows), (seed, number, at)
        charged = [row[CHARGE_IN] or 0.0 for row in (rows[-1], healthy.rows()[-1])]
        assert charged[0] == pytest.approx(charged[1], abs=6 * ONE_POLL), (seed, number, at)


async def test_a_death_in_mid_charge_is_found_told_and_carried(tmp_path: Path) -> None:
    steps = '[[step]]\ncharge = "C/2"\nuntil = "30 min"\nrecord = { interval = "10 s" }\n'
    healthy = await whole(tmp_path / "whole", steps)
    world = World(tmp_path / "torn", "A3")
    plan = plan_for(world, steps)
    await Process(world, flush_every=0.1).live(plan, dies_at=600.0)
    voltage = world.bench.cell.voltage
    outcome = await Process(world).live(plan, words=go_on, away=100.0)
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED
    (words,) = found_event(world)
    assert words.startswith('Its process died. Under way was "charge C/2". The cell sat 100 s; it reads ')
    assert words.endswith('It waits at open circuit, its pressure frozen: its protocol says "wait".')
    rows, whole_rows = without_safe_state(world.rows()), without_safe_state(healthy.rows())
    assert rows[-1][CHARGE_IN] == pytest.approx(whole_rows[-1][CHARGE_IN], rel=2e-2)
    assert rows[-1][2] == pytest.approx(1800.0, abs=2.0), "the time of the step goes on where it was"
    assert rows[-1][TEST_TIME] == pytest.approx(1800.0 + 100.0 + 20.0, abs=15.0), "that of the test has passed"
    assert voltage > 0.0


async def test_a_cell_that_is_as_it_was_goes_on_by_itself(tmp_path: Path) -> None:
    steps = '[[step]]\nrest = "20 min"\n[[step]]\ncharge = "C/5"\nuntil = "10 min"\n'
    head_policy = OutagePolicy.RESUME
    world = World(tmp_path, "A3")
    plan = replace(plan_for(world, steps), outage=Outage(head_policy))
    await Process(world, flush_every=0.1).live(plan, dies_at=600.0)
    outcome = await Process(world).live(plan, away=60.0)
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED
    (words,) = found_event(world)
    assert words.endswith("It goes on.")
    counts = [r["data"]["verb"] for _, r in world.entries() if isinstance(r, dict) and r["kind"] == "step.started"]
    assert counts == ["rest", "rest", "charge", "end"]


async def test_a_plan_may_end_there(tmp_path: Path) -> None:
    world = World(tmp_path, "A3")
    plan = replace(plan_for(world, CYCLES), outage=Outage(OutagePolicy.SAFE))
    await Process(world, flush_every=0.1).live(plan, dies_at=300.0)
    outcome = await Process(world).live(plan)
    assert outcome is not None
    assert outcome.state is RunState.LOST
    assert world.bench.cell.current == 0.0


class Says:
    """A person who is asked after an outage."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.asked = ""

    async def ask(self, prompt: object, output_state: str) -> str:
        self.asked = str(getattr(prompt, "text", ""))
        return self.answer


@pytest.mark.parametrize(("answer", "state"), [(GO_ON, RunState.COMPLETED), (END, RunState.STOPPED)])
async def test_a_plan_may_ask(tmp_path: Path, answer: str, state: RunState) -> None:
    world = World(tmp_path, "A3")
    plan = replace(plan_for(world, CYCLES), outage=Outage(OutagePolicy.ASK))
    await Process(world, flush_every=0.1).live(plan, dies_at=300.0)
    person = Says(answer)
    outcome = await Process(world).live(plan, operator=person)
    assert outcome is not None
    assert outcome.state is state
    assert person.asked.endswith("Go on with the run, or end it?")


async def test_what_a_person_paused_stays_paused(tmp_path: Path) -> None:
    async def pause(clock: VirtualClock, run: Run) -> None:
        await clock.sleep_until(300.25)
        run.pause("ana")

    async def look(clock: VirtualClock, run: Run, seen: list[bool]) -> None:
        await clock.sleep(900.0)
        seen.append(run.paused)
        run.stop("ana")

    world = World(tmp_path, "A3")
    plan = replace(plan_for(world, CYCLES), outage=Outage(OutagePolicy.RESUME))
    for life, dies in ((pause, 400.0), (None, 600.0)):
        await Process(world, flush_every=0.1).live(plan, dies_at=dies, words=life)
    seen: list[bool] = []
    await Process(world).live(plan, words=partial(look, seen=seen))
    assert seen == [True]
    assert all("it was paused by ana" in words for words in found_event(world))


async def test_a_stop_is_not_undone_by_a_death(tmp_path: Path) -> None:
    async def stop(clock: VirtualClock, run: Run) -> None:
        await clock.sleep_until(300.25)
        run.stop("ana", "enough")

    world = World(tmp_path, "A3")
    plan = plan_for(world, CYCLES)
    await Process(world, flush_every=0.001).live(plan, dies_at=300.252, words=stop)
    journal = Journal.open(world.folder, world.run)
    position = newest(journal.read)
    journal.close()
    assert position is not None
    assert position.ending is not None
    assert (position.ending.state, position.ending.who) == (RunState.STOPPED, "ana")


async def test_a_death_before_the_first_step(tmp_path: Path) -> None:
    world = World(tmp_path, "A3")
    plan = plan_for(world, CYCLES)
    process = Process(world, flush_every=0.001)
    await process.live(plan, dies_at=0.002)
    outcome = await Process(world).live(plan, words=go_on)
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED


# -- what speaks against going on by itself ----------------------------------------------------------------------------

RULE = Outage(OutagePolicy.RESUME, 600.0)
LIMITS = Limits(Bound(2.0, 4.4), 1e-3, 10.0, Bound(10.0, 60.0), Bound(0.0, 5e6))
BEFORE = Seen(0.0, 100.0, 3.8, 1e-3, 25.0, (("negative", 2.5e6),))
NOW = Seen(60.0, 160.0, 3.7, 0.0, 25.5, (("negative", 2.4e6),))
CYCLER = ("cycler", "KEITHLEY 2450 (serial 1, firmware 1.7)")
WHERE = Position(
    (0,),
    (),
    1,
    3,
    Counts(),
    Surroundings(25.0),
    hosted=Hosted(1, resistance=100.0, seen=BEFORE),
    identities=(("cycler", digest_of(CYCLER[1])),),
)


def against(now: Seen = NOW, away: float | None = 60.0, hosted: Hosted | None = None, rule: Outage = RULE) -> list[str]:
    where = WHERE if hosted is None else replace(WHERE, hosted=hosted)
    return list(objections(rule, where, Found(away, now, (CYCLER,)), LIMITS))


def test_an_instrument_that_is_another_one_speaks_against_it() -> None:
    another = ("cycler", "KEITHLEY 2450 (serial 2, firmware 1.7)")
    (only,) = objections(RULE, WHERE, Found(60.0, NOW, (another,)), LIMITS)
    assert only == f"cycler is another instrument than before: {another[1]}"
    (only,) = objections(RULE, WHERE, Found(60.0, NOW), LIMITS)
    assert only == "cycler is not there any more"
    old = replace(WHERE, identities=())  # of a journal that a version before wrote
    assert list(objections(RULE, old, Found(60.0, NOW, (another,)), LIMITS)) == []


def test_nothing_speaks_against_a_station_that_is_as_it_was() -> None:
    assert against() == []


@pytest.mark.parametrize(
    ("now", "away", "words"),
    [
        (replace(NOW, voltage=3.7205), 60.0, "its voltage is 3.72 V, not within 20 mV of 3.7 V"),
        (replace(NOW, voltage=3.6795), 60.0, "not within 20 mV"),
        (replace(NOW, voltage=None), 60.0, "its voltage is not known"),
        (NOW, 601.0, "the cell sat 10 min, longer than 10 min"),
        (NOW, None, "a clock was set"),
        (replace(NOW, celsius=27.1), 60.0, "its temperature is 27.1 °C, and 25.0 °C was kept"),
        (replace(NOW, celsius=None), 60.0, "its temperature is not known"),
        (replace(NOW, pressures=(("negative", 2.2e6),)), 60.0, "the pressure of the negative side is 2.2 MPa"),
        (replace(NOW, pressures=()), 60.0, "the pressure of the negative side is not known"),
    ],
)
def test_each_thing_that_is_not_as_it_was_speaks_against_it(now: Seen, away: float | None, words: str) -> None:
    (only,) = against(now, away)
    assert words in only


def test_a_current_whose_jump_is_not_known_speaks_against_it() -> None:
    (only,) = against(hosted=Hosted(1, seen=BEFORE))
    assert "not known" in only
    resting = replace(BEFORE, current=0.0, voltage=3.7)
    assert against(hosted=Hosted(1, seen=resting)) == []


def test_a_pause_and_every_other_policy_speak_against_it() -> None:
    assert WHERE.hosted is not None
    assert against(hosted=replace(WHERE.hosted, paused_by="ana")) == ["it was paused by ana"]
    for policy in (OutagePolicy.WAIT, OutagePolicy.ASK, OutagePolicy.SAFE):
        assert against(rule=Outage(policy)) == [f'its protocol says "{policy}"']
