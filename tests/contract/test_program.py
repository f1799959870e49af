"""What every cycler must do that executes programs: keep them unaltered, alone, recorded once, and under control."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import cast

import pytest

from labctl.errors import InstrumentError
from labctl.instrument import Executes, Role
from labctl.plan import (
    Bound,
    Branch,
    Compare,
    ConstantCurrent,
    ConstantVoltage,
    End,
    ForEach,
    Hook,
    Limits,
    Loop,
    Node,
    Not,
    Operator,
    Quantity,
    RecordRule,
    Rest,
    Stable,
    Step,
    Temperature,
    Then,
)
from labctl.program import Kept, Program, ProgrammableCycler, ProgramRecord, ProgramState
from labctl.sim.faults import silence
from labctl.sim.source import Open
from tests.contract.operations import CURRENT, HIGH, HOUR, LOW, MOST, WINDOW, charged, is_safe
from tests.contract.stand import Stand

ROLE = Role.CYCLER
NEEDS = "start_program"
"""Only drivers that take programs."""
LIMITS = Limits(voltage=Bound(WINDOW.low, WINDOW.high), current=MOST, capacity=20.0)


def when(quantity: Quantity, value: float, operator: Operator = Operator.GE, then: Then = Then.NEXT) -> End:
    return End(Compare(quantity, operator, value), f"{quantity} {operator} {value:g}", then)


CHARGE = Step(
    11, "charge", "up", ConstantCurrent(CURRENT, HIGH), (when(Quantity.VOLTAGE, HIGH), when(Quantity.TIME, 900.0))
)
REST = Step(12, "rest", "wait", Rest(), (when(Quantity.TIME, 120.0),), record=RecordRule(interval=30.0))
DISCHARGE = Step(
    13,
    "discharge",
    "down",
    ConstantCurrent(-CURRENT, LOW),
    (when(Quantity.VOLTAGE, LOW, Operator.LE), when(Quantity.CAPACITY, 0.25)),
)
CYCLE = Loop(1, "cycling", 30, True, (CHARGE, REST, DISCHARGE))
LONG = Step(21, "charge", "long", ConstantCurrent(CURRENT, HIGH, cv=True), (when(Quantity.TIME, 40 * HOUR),))


def cycler_of(stand: Stand) -> ProgrammableCycler:
    return cast("ProgrammableCycler", stand.instrument)


def compiled(stand: Stand, *nodes: Node, limits: Limits = LIMITS) -> Program:
    program = cycler_of(stand).compile(nodes, limits)
    assert program is not None
    return program


async def started(stand: Stand, *nodes: Node, token: str = "run-1", limits: Limits = LIMITS) -> Program:
    """Start a program on a cell that was charged a little by the host."""
    await charged(stand)
    program = compiled(stand, *nodes, limits=limits)
    await cycler_of(stand).start_program(program, token)
    return program


async def records(stand: Stand, program: Program, after: int = 0) -> list[ProgramRecord]:
    got: list[ProgramRecord] = []
    while page := await cycler_of(stand).program_records(program, after + len(got)):
        got += page
    return got


async def state(stand: Stand) -> ProgramState:
    return (await cycler_of(stand).program_status()).state


async def followed(stand: Stand, program: Program) -> list[ProgramRecord]:
    """Follow to the end, asking every ten minutes."""
    got: list[ProgramRecord] = []
    while await state(stand) is ProgramState.RUNNING:
        await stand.clock.sleep(600.0)
        got += await records(stand, program, len(got))
    return got


def current_of(stand: Stand) -> float:
    return stand.look().cell.current


# -- compile -----------------------------------------------------------------------------------------------------------


def test_it_is_what_the_engine_looks_for(stand: Stand) -> None:
    assert isinstance(stand.instrument, ProgrammableCycler)
    assert stand.driver.features.steps is Executes.INSTRUMENT
    assert stand.driver.features.limits is Executes.INSTRUMENT


def test_what_it_keeps(stand: Stand) -> None:
    program = compiled(stand, CYCLE, ForEach(2, "sweep", ("a", "b"), ((CHARGE,), (DISCHARGE,))), REST)
    assert program.steps == (11, 12, 13, 11, 13, 12)
    assert program.counting == (True,)
    assert compiled(stand, CYCLE) == compiled(stand, CYCLE)
    hold = Step(14, "cv", "hold", ConstantVoltage(HIGH, CURRENT), (when(Quantity.CV_TIME, 60.0),))
    assert compiled(stand, hold).steps == (14,)


def with_end(end: End, record: RecordRule = RecordRule()) -> Step:  # noqa: B008 - frozen
    return Step(11, "charge", "up", ConstantCurrent(CURRENT, HIGH), (end, when(Quantity.TIME, 60.0)), record=record)


TIME = Compare(Quantity.TIME, Operator.GE, 1.0)
UNKEPT: dict[str, Sequence[Node]] = {
    "a condition on temperature": [with_end(when(Quantity.TEMPERATURE, 30.0))],
    "a condition on pressure": [with_end(when(Quantity.PRESSURE_NEGATIVE, 1e6))],
    "the cycle": [with_end(when(Quantity.CYCLE, 3.0))],
    "the time of the run": [with_end(when(Quantity.TEST_TIME, 3.0))],
    "a condition that must last": [with_end(End(Compare(Quantity.VOLTAGE, Operator.GE, 4.0, hold=10.0), ""))],
    "stability": [Step(12, "rest", "wait", Rest(), (End(Stable(1e-3, False, 60.0), ""),))],
    "a negation": [with_end(End(Not(TIME), ""))],
    "a jump": [with_end(End(TIME, "", Then.GOTO, label="up"))],
    "a break of nothing": [with_end(End(TIME, "", Then.BREAK))],
    "a record rule on pressure": [with_end(when(Quantity.TIME, 2.0), RecordRule(pressure=1e4))],
    "a record rule on temperature": [with_end(when(Quantity.TIME, 2.0), RecordRule(temperature=1.0))],
    "another verb": [Step(9, "temperature", "warm", Temperature(40.0, "cell"), (when(Quantity.TIME, 2.0),))],
    "a hook": [Loop(1, "cycling", 3, True, (CHARGE,), (Hook((2,), None, "up", (REST,)),))],
    "a branch": [Branch(1, TIME, "time >= 1 s", (REST,))],
    "a step without end": [Step(9, "rest", "wait", Rest())],
    "more current than the limits": [
        Step(9, "charge", "up", ConstantCurrent(2 * MOST, HIGH), (when(Quantity.TIME, 2.0),))
    ],
}


@pytest.mark.parametrize("nodes", UNKEPT.values(), ids=UNKEPT.keys())
def test_what_it_cannot_keep_unaltered_it_does_not_take(stand: Stand, nodes: Sequence[Node]) -> None:
    """A cycler may come to keep more than this; then its driver's own tests say so, and these are skipped for it."""
    assert cycler_of(stand).compile(nodes, LIMITS) is None
    assert cycler_of(stand).compile([CHARGE, *nodes], LIMITS) is None


def test_compiling_speaks_with_nobody(stand: Stand) -> None:
    compiled(stand, CYCLE)
    assert stand.messages == 0


# -- executing ---------------------------------------------------------------------------------------------------------


async def test_a_program_comes_to_its_end_with_every_step_in_its_records(stand: Stand) -> None:
    program = await started(stand, CYCLE)
    got = await followed(stand, program)
    assert await state(stand) is ProgramState.DONE
    assert is_safe(stand)
    assert [record.number for record in got] == [*range(1, len(got) + 1)]
    ends = [record for record in got if record.kept is Kept.END]
    assert [record.step for record in ends] == [11, 12, 13] * 30
    assert [record.cycle for record in ends] == [1 + k // 3 for k in range(90)]
    assert [record.step_count for record in ends] == [*range(1, 91)]
    starts = [record for record in got if record.kept is Kept.START]
    assert [record.step_count for record in starts] == [*range(1, 91)]
    assert [round(record.current, 7) for record in starts] == [CURRENT, 0.0, -CURRENT] * 30
    assert ends[0].end == 1, "the second end, its time"
    assert ends[0].step_time == 900.0
    assert sum(record.kept is Kept.SAMPLE for record in got) == 30 * 3, "after 30, 60 and 90 s of each rest"
    assert ends[2].charge_out == pytest.approx(0.25, abs=2e-5)
    assert all(a.time <= b.time and a.charge_in <= b.charge_in for a, b in pairwise(got))


async def test_the_last_record_is_the_truth_of_the_cell(stand: Stand) -> None:
    program = await started(stand, Loop(1, "cycling", 3, True, (CHARGE, REST, DISCHARGE)))
    before = stand.look().cell.charge
    last = (await followed(stand, program))[-1]
    assert last.charge_in - last.charge_out == pytest.approx(stand.look().cell.charge - before, abs=1e-6)


async def test_pages_in_any_pieces_are_the_same_records(stand: Stand) -> None:
    program = await started(stand, CYCLE)
    at_once = await followed(stand, program)
    assert await records(stand, program) == at_once
    for after in (0, 1, 57, len(at_once) - 1, len(at_once)):
        page = await cycler_of(stand).program_records(program, after)
        assert [*page] == at_once[after : after + len(page)]
        assert bool(page) == (after < len(at_once))


async def test_it_goes_on_while_nobody_is_connected(stand: Stand) -> None:
    program = await started(stand, CYCLE, token="mine")
    other = Stand(stand.driver.name)
    await started(other, CYCLE, token="mine")
    undisturbed = await followed(other, program)
    got: list[ProgramRecord] = []
    while await state(stand) is ProgramState.RUNNING:
        await stand.link.close()
        await stand.unpolled(4321.0)
        stand.link, stand.instrument = stand.open()
        cycler_of(stand).expect_program("mine")
        await stand.instrument.connect()
        got += await records(stand, program, len(got))
    assert got == undisturbed, "none lost, none doubled"


async def test_it_goes_on_through_trouble_on_the_line(stand: Stand) -> None:
    program = await started(stand, CYCLE)
    for _ in range(5):
        stand.break_replies(silence, range(1, 3))
        with suppress(InstrumentError):
            await stand.cycler.read()
        stand.mend()
        assert await state(stand) is ProgramState.RUNNING
        await stand.clock.sleep(300.0)
    got = await followed(stand, program)
    assert [record.step for record in got if record.kept is Kept.END] == [11, 12, 13] * 30


# -- commands ----------------------------------------------------------------------------------------------------------


async def test_a_pause_opens_the_circuit_and_is_no_time_of_the_step(stand: Stand) -> None:
    program = await started(stand, CHARGE)
    await stand.clock.sleep(300.0)
    await cycler_of(stand).pause_program()
    assert await state(stand) is ProgramState.PAUSED
    assert current_of(stand) == 0.0
    await stand.unpolled(HOUR)
    assert current_of(stand) == 0.0
    await cycler_of(stand).resume_program()
    await stand.clock.sleep(1.0)
    assert current_of(stand) == CURRENT
    await stand.clock.sleep(HOUR)
    last = (await records(stand, program))[-1]
    assert (last.kept, last.end) == (Kept.END, 1)
    assert last.step_time == pytest.approx(900.0, abs=0.1)
    assert last.time == pytest.approx(900.0 + HOUR, abs=0.2)
    assert last.charge_in == pytest.approx(900.0 * CURRENT, rel=1e-3)


async def test_a_step_is_skipped(stand: Stand) -> None:
    program = await started(stand, LONG, REST)
    await stand.clock.sleep(100.0)
    await cycler_of(stand).skip_program_step()
    await stand.clock.sleep(60.0)
    assert current_of(stand) == 0.0
    got = await records(stand, program)
    assert [(r.step, r.kept) for r in got if r.kept is not Kept.SAMPLE] == [
        (21, Kept.START),
        (21, Kept.END),
        (12, Kept.START),
    ]
    await stand.clock.sleep(100.0)
    assert await state(stand) is ProgramState.DONE


async def test_its_own_limit_opens_the_circuit_while_nobody_looks(stand: Stand) -> None:
    limits = Limits(voltage=LIMITS.voltage, current=MOST, capacity=0.5)
    program = await started(stand, LONG, limits=limits)
    await stand.unpolled(30 * HOUR)
    assert isinstance(stand.look().cell.source, Open)
    status = await cycler_of(stand).program_status()
    assert status.state is ProgramState.TRIPPED
    assert "charge" in status.reason
    last = (await records(stand, program))[-1]
    assert (last.kept, last.end) == (Kept.END, None)
    assert last.charge_in == pytest.approx(0.5, rel=1e-3)
    with pytest.raises(InstrumentError):
        await stand.cycler.drive(CURRENT, HIGH)
    assert is_safe(stand), "it stays tripped"


async def test_after_a_trip_a_new_run_may_begin(stand: Stand) -> None:
    await started(stand, LONG, limits=Limits(voltage=LIMITS.voltage, current=MOST, capacity=0.5))
    await stand.unpolled(30 * HOUR)
    await stand.instrument.safe_state()
    await stand.cycler.arm(WINDOW, MOST)
    await stand.cycler.drive(-CURRENT, LOW)
    await stand.clock.sleep(1.0)
    assert current_of(stand) == -CURRENT


@pytest.mark.parametrize("how", ["safe_state", "off"])
async def test_safe_state_and_off_stop_it(stand: Stand, how: str) -> None:
    program = await started(stand, LONG)
    await stand.clock.sleep(60.0)
    await (stand.instrument.safe_state() if how == "safe_state" else stand.cycler.off())
    assert await state(stand) in (ProgramState.STOPPED, ProgramState.NONE)
    assert is_safe(stand)
    await stand.unpolled(HOUR)
    assert is_safe(stand)
    if await state(stand) is ProgramState.STOPPED:
        last = (await records(stand, program))[-1]
        assert (last.kept, last.end) == (Kept.END, None)


async def test_safe_state_stops_it_after_trouble_on_the_line(stand: Stand) -> None:
    await started(stand, LONG)
    stand.cut = True
    with pytest.raises(InstrumentError):
        await stand.instrument.safe_state()
    stand.cut = False
    await stand.instrument.safe_state()
    assert is_safe(stand)


# -- whose program it is -----------------------------------------------------------------------------------------------


async def test_the_expected_program_survives_connect(stand: Stand) -> None:
    await started(stand, LONG, token="mine")
    await stand.clock.sleep(60.0)
    _, stand.instrument = stand.open()
    cycler_of(stand).expect_program("mine")
    await stand.instrument.connect()
    status = await cycler_of(stand).program_status()
    assert (status.token, status.state) == ("mine", ProgramState.RUNNING)
    assert current_of(stand) > 0.0


@pytest.mark.parametrize("expected", [None, "mine"])
async def test_a_foreign_program_is_stopped_by_connect(stand: Stand, expected: str | None) -> None:
    await started(stand, LONG, token="foreign")
    await stand.clock.sleep(60.0)
    _, stand.instrument = stand.open()
    if expected is not None:
        cycler_of(stand).expect_program(expected)
    await stand.instrument.connect()
    assert await state(stand) is not ProgramState.RUNNING
    assert is_safe(stand)


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
async def test_a_start_whose_reply_is_lost_leaves_nothing_unknown(stand: Stand, lasting: bool) -> None:
    """Either it was started and is known, or it is stopped as soon as the instrument can be reached again."""
    await stand.instrument.connect()
    await stand.cycler.arm(WINDOW, MOST)
    program = compiled(stand, LONG)
    stand.break_replies(silence, ())
    await cycler_of(stand).start_program(program, "run-1")
    exchanges = stand.messages
    for number in range(1, exchanges + 1):
        stand = Stand(stand.driver.name)
        await stand.instrument.connect()
        await stand.cycler.arm(WINDOW, MOST)
        stand.break_replies(silence, range(number, 10_000) if lasting else (number,))
        with suppress(InstrumentError):
            await cycler_of(stand).start_program(program, "run-1")
            assert not lasting
            assert await state(stand) is ProgramState.RUNNING
            continue
        stand.mend()
        await stand.cycler.read()
        assert await state(stand) is not ProgramState.RUNNING
        assert is_safe(stand)
