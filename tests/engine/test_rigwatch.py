"""The rig watch on rigs with hidden parameters: what is wrong is caught in time, and what is healthy is left alone."""

import math
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from benchmarks.false_alarms import Alarm, Breathing, Life, soak
from labctl.config import Config, load
from labctl.engine.run import Run
from labctl.engine.station import age_limit
from labctl.plan import Disagreement
from labctl.reading import RunState
from labctl.sim.rig import ScrewRig
from labctl.sim.schedule import Kind, Scheduled
from tests.stations import CONFIG, Lab, laboratory

FAST, SLOW = 0.1, 1.0
HELD = {"wall_friction": 0.4}
"""The wall holds 377 N: the sides do not feel each other."""


def held(seed: int, period: float = FAST, **given: float) -> Life:
    """Return a rig at 2.5 MPa that has been held for a while."""
    life = Life(seed, period, **HELD | given)
    life.orders = life.orders[:1]
    life.live(Random(seed).uniform(300.0, 400.0))
    assert not life.alarms, f"seed {seed}: {life.alarms}"
    return life


def first_alarm(life: Life, within: float) -> tuple[float, Alarm]:
    """Return after how many s the guard says what."""
    began = life.beat.time
    while not life.alarms and life.beat.time < began + within:
        life.advance()
    assert life.alarms, f"seed {life.seed}: nothing within {within:g} s"
    return life.alarms[0].time - began, life.alarms[0]


class Resting(Breathing):
    """A cell that is not cycled."""

    def advance_to(self, time: float) -> None:
        """Do nothing."""


def slip(life: Life) -> None:
    share = Random(life.seed).uniform(0.1, 0.9)
    life.rig.slip(share * life.rig.indicated("negative") / life.parameters.stiffness)


def crack(life: Life) -> None:
    """Let the pellet settle a little."""
    life.rig.slip(0.05 * life.rig.indicated("negative") / life.parameters.stiffness)


def release(life: Life) -> None:
    life.rig.release_friction()


@pytest.mark.parametrize("hurt", [slip, crack, release])
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_force_that_jumps_is_caught_within_half_a_second(seed: int, hurt: Callable[[Life], None]) -> None:
    life = held(seed)
    hurt(life)
    time, alarm = first_alarm(life, 1.0)
    assert time <= 0.5
    assert alarm.quantity == "jump.negative"


def test_a_jump_at_polls_of_a_second_is_caught_at_the_second_poll() -> None:
    life = held(5, SLOW)
    slip(life)
    time, alarm = first_alarm(life, 5.0)
    assert time <= 3.0
    assert alarm.quantity == "jump.negative"


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_a_sensor_whose_noise_has_gone_is_stuck(seed: int) -> None:
    life = held(seed, SLOW)
    life.live(1000.0)  # until its noise is known
    assert not life.gauges["negative"].quiet
    life.gauges["negative"].stuck = life.board.gauges["negative_force_newton"].value
    time, alarm = first_alarm(life, 600.0)
    assert alarm.quantity == "stuck.negative"
    assert time < 300.0


@pytest.mark.parametrize("seed", [5, 6, 23, 26, 35, 45])
def test_a_sensor_without_noise_is_tested_with_a_small_move_within_ten_minutes(seed: int) -> None:
    life = held(seed, SLOW)
    assert life.gauges["negative"].quiet
    turns, before = life.drive.turns, life.rig.indicated("negative")
    life.gauges["negative"].stuck = life.board.gauges["negative_force_newton"].value
    _, alarm = first_alarm(life, 600.0)
    assert alarm.quantity == "stuck.negative"
    assert "turned by" in alarm.sentence
    assert 0 < life.drive.turns - turns < 120
    assert life.rig.indicated("negative") == pytest.approx(before, rel=0.2), "at most a degree of play beyond"


@pytest.mark.parametrize("seed", [6, 35])
def test_a_stuck_sensor_is_found_within_one_commanded_move(seed: int) -> None:
    life = held(seed, SLOW)
    life.gauges["negative"].stuck = life.board.gauges["negative_force_newton"].value
    life.order(3.5e6)
    time, alarm = first_alarm(life, 60.0)
    assert alarm.quantity == "stuck.negative"
    assert time < 30.0
    assert life.rig.indicated("negative") < 1.25 * 3.5e6 * life.rig.area


@pytest.mark.parametrize("seed", [1, 5, 8])
def test_a_spring_whose_coils_touch_is_told_from_one_that_is_compressed(seed: int) -> None:
    """The stack slips in its die, so that the screw compresses the spring."""
    for bottoms in (False, True):
        life = Life(seed, SLOW, wall_friction=0.05, spring_stiffness=5e4, train_stiffness=2e5)
        life.orders = life.orders[:1]
        life.live(600.0)
        assert not life.alarms
        if bottoms:
            life.rig.bottom_spring()
        life.order(3.0e6)
        life.live(900.0)
        assert {alarm.quantity for alarm in life.alarms} == ({"spring.positive"} if bottoms else set())


def test_more_than_the_wall_can_hold_is_a_disagreement() -> None:
    life = held(8, SLOW)
    life.limits = replace(life.limits, disagreement=Disagreement(wall=150.0))
    life.guard = life.new_guard()
    time, alarm = first_alarm(life, 100.0)
    assert alarm.quantity == "disagreement.wall"
    assert 60.0 <= time <= 63.0
    assert alarm.sentence.endswith("and the wall holds 150 N.")


@pytest.mark.parametrize(
    ("gain", "calibrated", "contradicts"),
    [
        (0.2, False, True),
        (3.0, False, True),
        (0.6, True, True),
        (1.6, True, True),
        (1.0, False, False),
        (1.0, True, False),
    ],
)
def test_a_load_cell_that_shows_a_wrong_force_contradicts_the_torque_of_the_moving_screw(
    gain: float, *, calibrated: bool, contradicts: bool
) -> None:
    life = Life(9, FAST, **HELD, torque_scatter=0.0, torque_coefficient=0.2, torque_exponent=0.0, free_torque=0.0)
    life.orders = []
    lead, lever = life.parameters.lead, 0.2 * 8e-3

    def force_of(torque: float, tightens: bool) -> tuple[float, float, float]:
        force = torque / (lever if tightens else lever - lead / 3.1416)
        return 0.9 * force, force, 1.1 * force

    if calibrated:
        life.station.forces_of_torque["negative"] = force_of
    life.gauges["negative"].gain = gain
    life.turn(0.3, 0.02)
    life.live(300.0)
    if contradicts:
        assert life.alarms[0].quantity == "disagreement.torque"
        assert calibrated == ("by calibration" in life.alarms[0].sentence)
    else:
        assert not life.alarms


def test_a_zero_that_follows_the_temperature_more_than_it_may_is_warned_of() -> None:
    for excess in (0.8, 5.0):
        life = Life(10, SLOW, **HELD, train_stiffness=5e4)
        life.orders, life.breathing = [(60.0, 2.5e6), (300.0, None)], Resting(Random(10))
        life.room.due, life.room.goal = math.inf, 0.0
        allowed = (life.limits.disagreement.drift or 0.0) * life.gauges["negative"].capacity
        life.gauges["negative"].per_kelvin = excess * allowed
        life.live(1500.0)
        life.room.goal = 15.0
        life.live(4000.0)
        assert {alarm.quantity for alarm in life.alarms} == (set() if excess < 1.0 else {"drift.negative"})


def test_nothing_is_judged_while_a_person_has_the_rig_in_hand() -> None:
    life = held(11)
    life.guard.follow(life.limits, handled=True)
    slip(life)
    life.live(life.beat.time + 5.0)
    assert not life.alarms
    life.guard.follow(life.limits)
    life.live(life.beat.time + 10.0)
    assert not life.alarms
    slip(life)
    first_alarm(life, 1.0)


def test_healthy_rigs_alarm_nobody() -> None:
    """Few hours here; the thousand of `python -m benchmarks.false_alarms` stand in docs/explanation/safety.md."""
    done = soak(4.0, SLOW, 501)
    assert not done.sentences


async def test_a_load_cell_is_missed_sooner_than_a_cycler_that_may_be_busy() -> None:
    async with laboratory() as lab:
        named = lab.assembly.station.instruments.named()
        for instrument in named.values():
            instrument.poll_period = FAST
        ages = {name: age_limit(instrument) for name, instrument in named.items()}
        named["thermostat"].poll_period = 5.0
    assert (ages["load_cell.negative"], ages["pressure_rig.negative"], ages["cycler"]) == (0.5, 0.5, 2.0)
    assert age_limit(named["thermostat"]) == 25.0


# -- the whole station: circuit open and screw frozen, by the truth of the simulator ---------------------------------

CHARGE = """
[[step]]
pressure = { negative = "2.5 MPa", ramp = "0.2 MPa/s" }
until = "stable within 2 % for 10 s"
timeout = "10 min"
[[step]]
charge = "C/5"
until = "30 min"
"""
AT = 100.0


def fast(folder: Path) -> Config:
    """Return the laboratory of the repository with load cells and screw polled at 10 Hz."""
    first, *_ = CONFIG.read_text().partition("# -- A2")
    for driver in ('"mark10"\n', '"dynamixel-x"\n'):
        slow = first.split(f"= {driver}")
        first = f"= {driver}".join([slow[0], *(part.replace('"1 s"', '"0.1 s"', 1) for part in slow[1:])])
    path = folder / "config.toml"
    path.write_text(first)
    return load(path)


def slipping(rig: ScrewRig) -> None:
    rig.slip(1e-4)


@pytest.mark.parametrize(
    ("what", "quantity"),
    [
        (slipping, "jump.negative"),
        (ScrewRig.release_friction, "jump.negative"),
        (Kind.DISCONNECT, "negative_force_newton"),
        (Kind.STUCK, "stuck.negative"),
    ],
)
async def test_the_circuit_is_open_and_the_screw_frozen_within_a_second(
    what: Kind | Callable[[ScrewRig], None], quantity: str
) -> None:
    faults = (Scheduled("load_cell.negative", what, AT),) if isinstance(what, Kind) else ()
    currents: list[float] = []

    async def hurt(lab: Lab, run: Run) -> None:
        await lab.clock.sleep_until(AT)
        lab.bench.advance_to(AT)
        currents.append(lab.bench.cell.current)
        if not isinstance(what, Kind) and isinstance(lab.bench.rig, ScrewRig):
            what(lab.bench.rig)

    with tempfile.TemporaryDirectory() as folder:
        async with laboratory(config=fast(Path(folder)), faults=faults) as lab:
            outcome = await lab.run(CHARGE, meanwhile=hurt)
            opened, angle = lab.clock.now(), lab.bench.rig.angle
            assert lab.bench.cell.current == 0.0
            lab.bench.advance_to(lab.bench.time + 600.0)
            assert lab.bench.rig.angle == angle
            assert lab.bench.cell.current == 0.0
    assert outcome.state is RunState.TRIPPED, outcome.reason
    assert currents[0] > 1e-4
    (trip,) = [event for event in lab.events if event.kind == "guard.tripped"]
    assert trip.data["quantity"] == quantity
    assert opened - AT < (30.0 if what is Kind.STUCK else 1.0)
