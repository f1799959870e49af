"""A side that a person presses: asked, typed, confirmed by the load cell, and never waited for without end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.clock import VirtualClock
from labctl.config import Config, load
from labctl.engine.hands import MOST_OVER
from labctl.engine.run import Outcome, Run
from labctl.lab.assemble import assemble, memory_links
from labctl.link import OPERATOR, BaseLink, open_link
from labctl.plan import Prompt
from labctl.reading import RunState
from labctl.registry import Driver
from labctl.sim.faults import silence
from tests.engine.lives import Process, World, plan_for
from tests.laboratory import EPOCH
from tests.stations import HEAD, Breakage, Lab, laboratory, plan_of

BENCH = """
schema = "1"
[station.W1.cycler]
driver = "keithley-2450"
address = "sim://"
[station.W1.load_cell.negative]
driver = "mark10"
address = "sim://"
capacity = "500 N"
[station.W1.hand_tool.negative]
driver = "torque-wrench"
address = "sim://"
lowest = "0.05 N m"
highest = "1 N m"
screw = "8 mm"
self_locking = true
[station.W1.limits]
voltage = ["0 V", "5 V"]
current = "100 mA"
pressure.negative = ["0 MPa", "3 MPa"]
[station.P1.cycler]
driver = "keithley-2450"
address = "sim://"
[station.P1.load_cell.negative]
driver = "mark10"
address = "sim://"
capacity = "60 kN"
[station.P1.load_cell.positive]
driver = "mark10"
address = "sim://"
capacity = "60 kN"
[station.P1.hand_tool.negative]
driver = "press"
address = "sim://"
lowest = "1 kN"
highest = "60 kN"
self_locking = true
[station.P1.limits]
voltage = ["0 V", "5 V"]
current = "100 mA"
pressure.negative = ["0 MPa", "600 MPa"]
pressure.positive = ["0 MPa", "600 MPa"]
[station.P1.simulation.rig]
kind = "press"
force = "0 N"
"""
RAMP = """
[[step]]
for = { level = ["50 MPa", "100 MPa", "500 MPa"] }
do = [
  { pressure = { negative = "{level}", positive = "{level}" }, until = "stable within 3 % for 60 s", timeout = "1 h" },
  { prompt = "How thick is the stack at {level}?", quantity = "length", simulated = "1.02 mm" },
  { rest = "5 min" },
]
"""
TIGHTEN = """
[[step]]
pressure = { negative = "2.5 MPa", control = "gap" }
until = "stable within 2 % for 60 s"
timeout = "1 h"
"""
LOOSEN = """
[[step]]
pressure = { negative = "0 MPa" }
until = "pressure.negative <= 0.02 MPa"
timeout = "1 h"
"""
TORQUE = """
[[step]]
torque = { negative = "0.3 N m" }
timeout = "1 h"
"""
AREA = 7.853981634e-05
WANTED = 2.5e6 * AREA


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    path = tmp_path_factory.mktemp("hands") / "config.toml"
    path.write_text(BENCH)
    return load(path)


def asked_and_shown(lab: Lab) -> list[tuple[float, float]]:
    return [(event.data["asked"], event.data["shown"]) for event in lab.events if event.kind == "hand.applied"]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_person_reaches_the_pressure_that_the_load_cell_confirms(config: Config, seed: int) -> None:
    async with laboratory("W1", seed=seed, config=config) as lab:
        outcome = await lab.run(TIGHTEN + LOOSEN)
        assert outcome.state is RunState.COMPLETED, outcome
        first, *_ = applied = asked_and_shown(lab)
        assert first[0] == pytest.approx(0.2 * 8e-3 * WANTED)
        assert all(shown == pytest.approx(asked, rel=0.1) for asked, shown in applied)
        ended = next(event for event in lab.events if event.kind == "step.ended")
        row = max((row for row in lab.rows if _when(row) <= ended.test_time_second), key=_when)
        assert row["negative_pressure_pa"] == pytest.approx(2.5e6, rel=0.021)
        assert lab.bench.rig.force("negative") < 2.0
        told = [event.message for event in lab.events if event.kind == "hand.applied"]
        assert "by the textbook K = 0.2 of a dry screw" in told[0]


def _when(row: dict[str, float | None]) -> float:
    time = row["test_time_second"]
    assert time is not None
    return time


async def test_a_torque_is_done_when_it_was_typed(config: Config) -> None:
    async with laboratory("W1", config=config) as lab:
        outcome = await lab.run(TORQUE)
        assert outcome.state is RunState.COMPLETED
        assert len(asked_and_shown(lab)) == 1
        assert lab.bench.rig.torque(+1) == pytest.approx(0.3, rel=0.1)
        ended = next(event for event in lab.events if event.kind == "step.ended")
        assert ended.data["reason"] == "done by hand"


async def test_a_unit_that_is_no_torque_is_asked_again(config: Config) -> None:
    wrong = [b"2.8 lbf in\n", b"31\n"]
    breakage = Breakage("hand_tool.negative", lambda reply: wrong.pop(0) if wrong else reply, active=True)
    async with laboratory("W1", config=config, breakages=(breakage,)) as lab:
        outcome = await lab.run(TIGHTEN)
        assert outcome.state is RunState.COMPLETED
        assert not wrong
        assert all(0.2 < shown < 0.5 for _, shown in asked_and_shown(lab))


async def test_nobody_answers(config: Config) -> None:
    breakage = Breakage("hand_tool.negative", silence, active=True)
    async with laboratory("W1", config=config, breakages=(breakage,)) as lab:
        began = lab.clock.now()
        outcome = await lab.run(TIGHTEN.replace("1 h", "10 min"))
        assert outcome.state is RunState.FAILED
        assert "10 min" in outcome.reason
        assert lab.clock.now() - began == pytest.approx(600.0, abs=10.0)
        assert not asked_and_shown(lab)


async def test_a_press_goes_up_level_by_level_and_the_thickness_is_asked_for(config: Config) -> None:
    async with laboratory("P1", config=config) as lab:
        head = HEAD.replace('["0 MPa", "4 MPa"]', '["0 MPa", "600 MPa"]')
        outcome = await lab.run(plan_of(RAMP, lab.assembly, head))
        assert outcome.state is RunState.COMPLETED, outcome
        firsts = [50e6, 100e6, 500e6]
        asked = [asked for asked, _ in asked_and_shown(lab)]
        assert all(any(each == pytest.approx(level * AREA) for each in asked) for level in firsts)
        answers = [event.data for event in lab.events if event.kind == "operator.answered"]
        assert [(data["answer"], data["value"]) for data in answers] == [("1.02 mm", 1.02e-3)] * 3
        last = lab.rows[-3]
        assert last["negative_pressure_pa"] == pytest.approx(500e6, rel=0.03)
        assert last["positive_pressure_pa"] == pytest.approx(500e6, rel=0.03)
        assert lab.bench.rig.force("negative") == pytest.approx(500e6 * AREA, rel=0.03), "nobody let it go"


class Muddled:
    """Types one thing after the other."""

    def __init__(self, *types: str) -> None:
        self.asked: list[str] = []
        self._types = list(types)

    async def ask(self, prompt: Prompt, output_state: str) -> str:
        self.asked.append(prompt.text)
        return self._types.pop(0)


async def test_a_quantity_that_was_asked_for_is_asked_again_until_it_is_one(config: Config) -> None:
    operator = Muddled("thin", "1.02", "1.02 kN", "1.02 mm")
    async with laboratory("W1", config=config) as lab:
        outcome = await lab.run('[[step]]\nprompt = "How thick is it?"\nquantity = "length"\n', operator)
        assert outcome.state is RunState.COMPLETED
        (answered,) = (event.data for event in lab.events if event.kind == "operator.answered")
        assert answered["value"] == 1.02e-3
        assert operator.asked[0] == "How thick is it?"
        assert "has no unit" in operator.asked[2]
        assert "is a force, not a length" in operator.asked[3]
        assert all(text.endswith("How thick is it?") for text in operator.asked)


# -- a person at "operator://" -----------------------------------------------------------------------------------------


class Person:
    """Turns the bench's screw when asked, some time later, and types what is wished.

    Attributes:
        asked: every question; `withdrawn` counts those that were taken back before they were answered.
    """

    def __init__(self, takes: float, turns: float, types: str = "0.31 N m") -> None:
        self.lab: Lab | None = None
        self.asked: list[str] = []
        self.states: list[str] = []
        self.withdrawn = 0
        self._takes, self._turns, self._types = takes, turns, types

    async def ask(self, prompt: Prompt, output_state: str) -> str:
        assert self.lab is not None
        self.asked.append(prompt.text)
        self.states.append(output_state)
        try:
            await self.lab.clock.sleep(self._takes)
        except BaseException:
            self.withdrawn += 1
            raise
        self.lab.bench.advance_to(self.lab.clock.now())
        self.lab.bench.rig.turn_to(self._turns)
        return self._types


async def with_person(
    config: Config, person: Person, steps: str, meanwhile: "Callable[[Lab, Run], object] | None" = None
) -> tuple[Lab, Outcome]:
    clock = VirtualClock(EPOCH)
    make, bench = memory_links(config, "W1", clock, 1)

    def link(instrument: str, driver: Driver, address: str) -> BaseLink:
        if instrument.startswith("hand_tool"):
            return open_link(OPERATOR, driver.wire, f"W1/{instrument}", clock)
        return make(instrument, driver, address)

    assembly = assemble(config, "W1", clock, link)
    await assembly.station.connect()
    person.lab = lab = Lab(assembly, bench, clock)
    outcome = await lab.run(steps, person, meanwhile)
    await assembly.close()
    return lab, outcome


async def test_the_operator_is_asked_with_an_open_circuit(config: Config) -> None:
    person = Person(takes=120.0, turns=0.99)
    lab, outcome = await with_person(config, person, TIGHTEN)
    assert outcome.state is RunState.COMPLETED, outcome
    (question,), (state,) = person.asked, person.states
    assert "Tighten the screw of the negative side slowly to 0.314 N m (2.5 MPa on 10 mm = 196.3 N" in question
    assert state == "open circuit"
    ((asked, shown),) = asked_and_shown(lab)
    assert asked == pytest.approx(0.3142, rel=1e-3)
    assert shown == 0.31
    open_circuit = [row for row in lab.rows if row["test_time_second"] and row["test_time_second"] < 100.0]
    assert all(row["current_ampere"] == 0.0 for row in open_circuit)


async def test_what_the_load_cell_shows_before_anybody_typed_ends_nothing(config: Config) -> None:
    person = Person(takes=1200.0, turns=0.99)

    async def by_itself(lab: Lab, _run: Run) -> None:
        await lab.clock.sleep(60.0)
        lab.bench.advance_to(lab.clock.now())
        lab.bench.rig.turn_to(0.99)

    steps = TIGHTEN.replace("stable within 2 % for 60 s", "pressure.negative >= 2 MPa")
    lab, outcome = await with_person(config, person, steps, by_itself)
    assert outcome.state is RunState.COMPLETED
    ended = next(event for event in lab.events if event.kind == "step.ended")
    assert ended.test_time_second >= 1200.0


async def test_an_overshoot_trips(config: Config) -> None:
    person = Person(takes=60.0, turns=2.0)
    lab, outcome = await with_person(config, person, TIGHTEN)
    assert outcome.state is RunState.TRIPPED
    assert "pressure.negative is" in outcome.reason
    assert "above the limit of 3 MPa" in outcome.reason
    reading = await lab.assembly.station.instruments.cycler.read()
    assert not reading.output


async def test_a_load_cell_that_does_not_see_what_is_pressed_asks_for_no_more(config: Config) -> None:
    person = Person(takes=60.0, turns=0.4)
    lab, outcome = await with_person(config, person, TIGHTEN)
    assert outcome.state is RunState.FAILED
    force = lab.bench.rig.force("negative")
    assert 0.0 < force < WANTED / MOST_OVER, "by it the wrench should show far more"
    assert len(person.asked) == 1


async def test_a_load_cell_that_does_not_confirm_is_a_fault(config: Config) -> None:
    person = Person(takes=60.0, turns=0.9)
    _, outcome = await with_person(config, person, TIGHTEN)
    assert outcome.state is RunState.FAILED
    assert len(person.asked) == 6, "asked to go on, but not for ever"
    assert "the load cell shows" in person.asked[-1]


async def test_nobody_at_the_terminal(config: Config) -> None:
    person = Person(takes=1e9, turns=0.0)
    _, outcome = await with_person(config, person, TIGHTEN)
    assert outcome.state is RunState.FAILED
    assert "1 h" in outcome.reason
    assert person.withdrawn == 1


async def test_a_pause_withdraws_the_question_and_it_is_asked_again(config: Config) -> None:
    person = Person(takes=300.0, turns=0.99)

    async def pause(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(100.0)
        run.pause("ana")
        await lab.clock.sleep(1000.0)
        assert person.withdrawn == 1
        assert len(person.asked) == 1
        run.resume("ana")

    lab, outcome = await with_person(config, person, TIGHTEN, pause)
    assert outcome.state is RunState.COMPLETED
    assert len(person.asked) == 2
    assert len(asked_and_shown(lab)) == 1


async def test_a_skip_withdraws_the_question(config: Config) -> None:
    person = Person(takes=300.0, turns=0.99)

    async def skip(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(100.0)
        run.skip("ana")

    _, outcome = await with_person(config, person, TIGHTEN, skip)
    assert outcome.state is RunState.COMPLETED
    assert person.withdrawn == 1


async def test_nobody_is_asked_outside_a_run(config: Config) -> None:
    person = Person(takes=10.0, turns=0.99)
    lab, _ = await with_person(config, person, TORQUE)
    with pytest.raises(Exception, match="nobody is asked outside a run"):
        await lab.assembly.station.instruments.tools["negative"].apply(0.3, "negative", "x", release=False)


async def test_a_run_that_comes_back_asks_again(config: Config, tmp_path: Path) -> None:
    world = World(tmp_path, "W1", config)
    steps = TIGHTEN.replace('timeout = "1 h"', 'timeout = "2 h"') + '[[step]]\nrest = "1 min"\n'
    process = Process(world)
    process.assembly.links["hand_tool.negative"]._receive = lambda data: b""  # type: ignore[attr-defined]
    await process.live(plan_for(world, steps), dies_at=300.0)
    assert world.bench.rig.force("negative") == 0.0

    async def go_on(clock: VirtualClock, run: Run) -> None:
        while True:
            await clock.sleep(20.0)
            if run.paused:
                run.resume("ana")

    outcome = await Process(world).live(plan_for(world, steps), words=go_on)
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED
    kinds = [record["kind"] for _, record in world.entries() if isinstance(record, dict)]
    assert "hand.applied" in kinds
