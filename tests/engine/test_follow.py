"""Programs in the cycler: half here, half there, one numbering; what ends them, and what is known of them meanwhile."""

from collections.abc import Iterator
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest

from drivers.simulated_cycler.driver import SimulatedCycler
from labctl.config import Config, load
from labctl.engine.run import Outcome, Run
from labctl.errors import LimitTripped, StepFailed
from labctl.plan import Plan
from labctl.program import ProgramState
from labctl.reading import AUXILIARIES, RunState, Severity
from labctl.sim.faults import silence
from tests.stations import CONFIG, HEAD, Breakage, Lab, laboratory, plan_of

A_LOOK = 3e-9
"""Ah: what flows in the 10 ms between two looks of the instrument, by which the host's count at a pause may differ."""
A_POLL = 2.1e-7
"""Ah: what flows at C/3 in the second by which the host may see the end of a step late."""
KEITHLEY = 'driver    = "keithley-2450"\naddress   = "sim://"\npoll      = "1 s"\nfour_wire = true\n'
PROGRAMMABLE = 'driver  = "simulated-cycler"\naddress = "sim://"\nchannel = 1\npoll = "1 s"\n'


@cache
def programmable() -> Config:
    """Station A1 of the repository, with its rig and bath, at a cycler that executes programs."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_text(CONFIG.read_text().replace(KEITHLEY, PROGRAMMABLE, 1))
        return load(path)


def cycler_of(lab: Lab) -> SimulatedCycler:
    return cast("SimulatedCycler", lab.assembly.station.instruments.cycler)


def host_driven(lab: Lab) -> None:
    """Let the cycler accept no program: the same instrument, cell and rig, driven step by step."""
    cycler_of(lab).compile = lambda nodes, limits: None  # type: ignore[method-assign]


def steps_of(lab: Lab) -> list[tuple[object, ...]]:
    """What was executed: count, id, verb, cycle and the reason of the end."""
    begun = [event.data for event in lab.events if event.kind == "step.started"]
    reasons = {event.data["step_count"]: event.data["reason"] for event in lab.events if event.kind == "step.ended"}
    names = ("step_count", "step_id", "verb", "cycle_count")
    return [(*(data[name] for name in names), reasons.get(data["step_count"])) for data in begun]


def programs(lab: Lab) -> int:
    """How many programs ran."""
    told = [event.data.get("following") for event in lab.events if event.kind == "run.position"]
    return len({following["token"] for following in told if following is not None})


def charges(lab: Lab, by: str) -> dict[float, tuple[float, float]]:
    """Charge in and out of each cycle or step, Ah."""
    found = {}
    for key, group in groupby(lab.rows, lambda row: row[by]):
        rows = list(group)
        names = ("charging_capacity_ah", "discharging_capacity_ah")
        found[key or 0.0] = tuple((rows[-1][name] or 0.0) - (rows[0][name] or 0.0) for name in names)
    return cast("dict[float, tuple[float, float]]", found)


def assert_in_order(lab: Lab) -> None:
    """Rows in the order of time, counts that only grow, every step begun and ended with a row."""
    for before, after in pairwise(lab.rows):
        for name in ("test_time_second", "step_count", "cycle_count"):
            assert (after[name] or 0) >= (before[name] or 0), (name, before, after)
        for name in ("charging_capacity_ah", "discharging_capacity_ah"):
            assert (after[name] or 0.0) >= (before[name] or 0.0) - A_LOOK, (name, before, after)
    counts = [data[0] for data in steps_of(lab)]
    assert counts == list(range(1, len(counts) + 1))


MIXED = """
[[step]]
pressure = { negative = "2.5 MPa", ramp = "0.1 MPa/s" }
until = "stable within 2 % for 60 s"
timeout = "20 min"
[[step]]
charge = "C/3"
until = "3.9 V"
timeout = "9 h"
[[step]]
pressure = { negative = "3 MPa", ramp = "0.1 MPa/s" }
until = "stable within 2 % for 60 s"
timeout = "20 min"
[[step]]
repeat = 3
counts = "cycle"
do = [
  { discharge = "C/3", until = ["2.8 V", "15 min"], timeout = "9 h" },
  { charge = "C/3", cv = "3.9 V", until = ["C/20", "12 min"], timeout = "9 h" },
  { rest = "6 min" },
]
at = [ { cycles = "every 2", after = "charge", do = [
  { prompt = "Look.", answers = ["ok"], simulated = "ok" }, { rest = "2 min" } ] } ]
[[step]]
repeat = 1
counts = "cycle"
do = [ { discharge = "C/3", until = ["2.6 V", "30 min"], timeout = "9 h" },
       { prompt = "Is it warm?", answers = ["yes"], simulated = "yes" },
       { charge = "C/3", until = "3.9 V", timeout = "9 h" } ]
"""


async def test_half_here_half_there_is_the_same_experiment() -> None:
    async with laboratory(config=programmable()) as host:
        host_driven(host)
        assert (await host.run(MIXED)).state is RunState.COMPLETED
    async with laboratory(config=programmable()) as lab:
        assert (await lab.run(MIXED)).state is RunState.COMPLETED
    assert programs(host) == 0
    assert programs(lab) == 1 + (1 + 3) + 1 + 2, "passes without a hook are one, those with one are three"
    assert steps_of(lab) == steps_of(host)
    assert_in_order(lab)
    there, here = charges(lab, "cycle_count"), charges(host, "cycle_count")
    assert there.keys() == here.keys()
    for cycle in range(1, 5):
        assert there[cycle] == pytest.approx(here[cycle], rel=1e-3, abs=2 * A_POLL)
    resting = [row for row in lab.rows if row["step_id"] == 6 and (row["step_time_second"] or 0.0) > 180.0]
    assert resting
    for row in resting:
        assert row["negative_pressure_pa"] == pytest.approx(3e6, rel=0.02), "pressure control goes on"


async def test_a_cycler_that_executes_no_programs_is_asked_for_none() -> None:
    async with laboratory() as lab:
        await lab.run('[[step]]\nrest = "5 min"\n')
    assert programs(lab) == 0


ENDS = {
    "break": '{ when = "3.3 V", then = "break" }',
    "end": '{ when = "3.3 V", then = "end" }',
    "fault": '"3.3 V", { when = "5 min", then = "fault: too long" }',
}


@pytest.mark.parametrize("then", ENDS)
async def test_an_end_that_leaves_the_program_leaves_the_plan_alike(then: str) -> None:
    steps = f"""
[[step]]
repeat = 3
counts = "cycle"
do = [ {{ charge = "C/3", until = "4 V", timeout = "9 h" }},
       {{ discharge = "C/3", until = [{ENDS[then]}], timeout = "9 h" }} ]
[[step]]
rest = "5 min"
"""
    outcomes: list[Outcome] = []
    done: list[list[tuple[object, ...]]] = []
    for prepare in (host_driven, lambda lab: None):
        async with laboratory(config=programmable()) as lab:
            prepare(lab)
            outcomes.append(await lab.run(steps))
        done.append(steps_of(lab))
    assert done[0] == done[1]
    assert outcomes[0].state is outcomes[1].state
    assert outcomes[0].reason == outcomes[1].reason
    assert len(done[1]) == {"break": 4, "end": 3, "fault": 3}[then]


CHARGE = '[[step]]\ncharge = "C/5"\nuntil = "2 h"\n'


async def test_a_guard_trip_stops_the_program_and_keeps_its_last_record() -> None:
    breakage = Breakage("load_cell.negative", silence)

    async def fail(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(90.0)
        breakage.active = True

    async with laboratory(breakages=(breakage,), config=programmable()) as lab:
        outcome = await lab.run(CHARGE, meanwhile=fail)
        status = await cycler_of(lab).program_status()
        assert lab.bench.cell.current == 0.0
    assert outcome.state is RunState.TRIPPED
    assert status.state is ProgramState.STOPPED
    trip = next(event for event in lab.events if event.kind == "guard.tripped")
    charged = [row for row in lab.rows if row["step_id"] == 1]
    assert len(charged) == status.records + 1, "its records, and the row that closes the step"
    assert charged[-1]["test_time_second"] == pytest.approx(trip.test_time_second, abs=1.0)
    assert steps_of(lab)[0][-1] == outcome.reason
    assert_in_order(lab)


async def test_the_instruments_own_limit_ends_the_run_as_tripped_in_its_words() -> None:
    async with laboratory(config=programmable()) as lab:
        head = HEAD.replace('"400 mAh/g"', '"5 mAh/g"')
        outcome = await lab.run(plan_of(CHARGE.replace("2 h", "10 h"), lab.assembly, head))
        assert lab.bench.cell.current == 0.0
    assert outcome.state is RunState.TRIPPED
    assert isinstance(outcome.error, LimitTripped)
    assert outcome.error.exit_code == 5
    assert outcome.reason.startswith("The cycler has tripped: charge of this step is")
    assert lab.events[-1].severity is Severity.ALARM


async def test_a_program_that_another_hand_stops_fails_the_run() -> None:
    async def meddle(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(600.0)
        await cycler_of(lab)._channel.tell("OFF")

    async with laboratory(config=programmable()) as lab:
        outcome = await lab.run(CHARGE, meanwhile=meddle)
    assert outcome.state is RunState.FAILED
    assert isinstance(outcome.error, StepFailed)
    assert "broken off, and not by this run (stopped)" in outcome.reason


async def test_a_program_that_is_gone_fails_the_run() -> None:
    async def meddle(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(600.0)
        await cycler_of(lab)._channel.tell("OFF")
        await cycler_of(lab)._channel.tell("ERASE")

    async with laboratory(config=programmable()) as lab:
        outcome = await lab.run(CHARGE, meanwhile=meddle)
    assert outcome.state is RunState.FAILED
    assert "not in the cycler any more" in outcome.reason


# -- the operator ---------------------------------------------------------------------------------------------------


def pausing(at: float, seconds: float, then: str = "resume"):  # type: ignore[no-untyped-def]
    async def meanwhile(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(at)
        run.pause("ana", "a look")
        await lab.clock.sleep(seconds / 2)
        assert lab.bench.cell.current == 0.0
        await lab.clock.sleep(seconds / 2)
        if then == "resume":
            run.resume("bo")
        else:
            run.stop("bo")

    return meanwhile


async def test_a_pause_opens_the_circuit_and_the_program_goes_on_with_the_rest_of_its_step() -> None:
    steps = '[[step]]\ncharge = "C/5"\nuntil = "1 h"\n[[step]]\nrest = "30 min"\n'
    async with laboratory(config=programmable()) as whole:
        await whole.run(steps)
    async with laboratory(config=programmable()) as lab:
        outcome = await lab.run(steps, meanwhile=pausing(1200.5, 600.0))
    assert outcome.state is RunState.COMPLETED
    assert programs(lab) == 1
    executed = [(step[1], step[2], step[4]) for step in steps_of(lab)]
    assert executed[:4] == [
        (1, "charge", "paused by ana"),
        (1, "pause", "resumed by bo"),
        (1, "charge", "1 h"),
        (2, "rest", "30 min"),
    ]
    assert_in_order(lab)
    one, parts = charges(whole, "step_count"), charges(lab, "step_count")
    assert parts[1.0][0] + parts[3.0][0] == pytest.approx(one[1.0][0], rel=1e-3)
    paused = [row for row in lab.rows if row["step_count"] == 2]
    assert len(paused) >= 10, "rows go on"
    assert {row["current_ampere"] for row in paused} == {0.0}
    rest = [row["step_time_second"] or 0.0 for row in lab.rows if row["step_count"] == 3]
    assert all(b - a > -0.011 for a, b in pairwise(rest)), "the instrument looks every 10 ms"
    assert rest[0] > 1190.0
    assert rest[-1] == 3600.0


async def test_a_stop_in_a_pause_ends_the_run() -> None:
    async with laboratory(config=programmable()) as lab:
        outcome = await lab.run(CHARGE, meanwhile=pausing(100.0, 60.0, "stop"))
    assert outcome.state is RunState.STOPPED
    assert "Stopped by bo" in outcome.reason


async def test_a_pause_at_the_instrument_is_seen_and_resumed_here() -> None:
    async def meddle(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(600.0)
        await cycler_of(lab)._channel.tell("PAUSE")
        await lab.clock.sleep(60.0)
        assert run.paused
        run.resume("ana")

    async with laboratory(config=programmable()) as lab:
        outcome = await lab.run(CHARGE, meanwhile=meddle)
    assert outcome.state is RunState.COMPLETED
    assert steps_of(lab)[0][-1] == "paused by somebody at the cycler"


async def test_a_skip_ends_the_step_and_the_program_goes_on() -> None:
    async def skip(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(600.5)
        run.skip("ana")

    steps = CHARGE + '[[step]]\nrest = "5 min"\n'
    async with laboratory(config=programmable()) as lab:
        outcome = await lab.run(steps, meanwhile=skip)
    assert outcome.state is RunState.COMPLETED
    assert [step[4] for step in steps_of(lab)[:2]] == ["skipped by ana", "5 min"]
    assert [event.data["who"] for event in lab.events if event.kind == "step.skipped"] == ["ana"]
    assert 600.0 < next(row for row in lab.rows if row["step_count"] == 2)["test_time_second"] < 603.0  # type: ignore[operator]


async def test_the_skip_of_the_last_step_completes_the_run() -> None:
    async def skip(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(600.5)
        run.skip("ana")

    async with laboratory(config=programmable()) as lab:
        assert (await lab.run(CHARGE, meanwhile=skip)).state is RunState.COMPLETED


async def test_a_revision_holds_from_the_next_segment_on() -> None:
    steps = '[[step]]\nrest = "{time}"\n[[step]]\nprompt = "Go on?"\nanswers = ["y"]\nsimulated = "y"\n'
    steps += '[[step]]\nrest = "{time}"\n'

    def plan(lab: Lab, time: str) -> Plan:
        return plan_of(steps.replace("{time}", time), lab.assembly)

    async def revise(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(60.0)
        run.revise(plan(lab, "20 min"), "ana", "longer")

    async with laboratory(config=programmable()) as lab:
        outcome = await lab.run(plan(lab, "10 min"), meanwhile=revise)
    assert outcome.state is RunState.COMPLETED
    assert [step[4] for step in steps_of(lab)[:3]] == ["10 min", "done", "20 min"]


# -- silence --------------------------------------------------------------------------------------------------------


def silent(breakage: Breakage, at: float, seconds: float):  # type: ignore[no-untyped-def]
    async def meanwhile(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(at)
        breakage.active = True
        await lab.clock.sleep(seconds)
        breakage.active = False

    return meanwhile


def of_cell(rows: list[dict[str, float | None]]) -> Iterator[tuple[float | None, ...]]:
    for row in rows:
        yield tuple(value for name, value in row.items() if not name.startswith(AUXILIARIES))


async def test_a_silent_cycler_ends_no_run_while_its_program_goes_on() -> None:
    steps = '[[step]]\ncharge = "C/5"\nuntil = "20 min"\n'
    async with laboratory(config=programmable()) as whole:
        await whole.run(steps)
    breakage = Breakage("cycler", silence)
    async with laboratory(breakages=(breakage,), config=programmable()) as lab:
        outcome = await lab.run(steps, meanwhile=silent(breakage, 200.5, 300.0))
    assert outcome.state is RunState.COMPLETED
    told = [event.kind for event in lab.events if event.kind.startswith(("instrument", "program"))]
    assert told == ["instrument.failed", "program.unreachable", "instrument.recovered", "program.reached"]
    assert next(e for e in lab.events if e.kind == "program.unreachable").severity is Severity.ALARM
    assert list(of_cell(lab.rows[:-1])) == list(of_cell(whole.rows[:-1]))
    at = {row["test_time_second"]: row for row in lab.rows if row["step_id"] == 1}
    assert at[180.0]["negative_force_newton"] is not None
    assert at[300.0]["negative_force_newton"] is None, "what is measured now is not told of then"
    assert at[600.0]["negative_force_newton"] is not None


async def test_a_cycler_silent_for_too_long_has_dropped_records_and_the_gap_is_told() -> None:
    breakage = Breakage("cycler", silence)
    steps = '[[step]]\nrest = "2 h"\nrecord = { interval = "0.1 s" }\n'
    async with laboratory("A4", breakages=(breakage,)) as lab:
        outcome = await lab.run(steps, meanwhile=silent(breakage, 60.0, 3000.0))
    assert outcome.state is RunState.FAILED
    gap = next(event for event in lab.events if event.kind == "program.gap")
    rows = sum(row["step_id"] == 1 for row in lab.rows)
    assert gap.data["first"] == rows, "one row more closes the step"
    assert gap.data["last"] > 9000
    assert str(gap.data["last"]) in outcome.reason
