"""The bench couples cell, rig and room on its grid, stops at its parts' events, and its sensors are pure in time."""

import math
import random
from itertools import pairwise

import pytest
from pydantic import ValidationError

from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.cell import Open, VoltageSource
from labctl.sim.presets import CellChoice
from labctl.sim.rig import PressParameters, RigParameters
from labctl.sim.sensor import Sensor, gaussian


def test_the_defaults_are_a_fresh_cell_in_a_loose_rig_at_ambient() -> None:
    bench = Bench.of(BenchParameters(), seed=1)
    assert (bench.time, bench.rig.angle, bench.rig.force("negative")) == (0.0, 0.0, 0.0)
    assert bench.cell.limiting is None
    assert bench.room.cell == 23.0


def test_time_does_not_run_back_and_the_same_instant_changes_nothing() -> None:
    bench = Bench.of(BenchParameters(), seed=1)
    bench.cell.drive(VoltageSource(4.3, 1e-3))
    bench.advance_to(25.0)
    before = (bench.cell.voltage, bench.cell.charge, bench.room.bath)
    bench.advance_to(25.0)
    assert (bench.cell.voltage, bench.cell.charge, bench.room.bath) == before
    with pytest.raises(ValueError, match="lab time runs forward"):
        bench.advance_to(24.0)


def test_pressure_acts_on_the_cell_at_the_next_coupling() -> None:
    bench = Bench.of(BenchParameters(rig=RigParameters(wall_friction=0.0, spring_stiffness=1e9)), seed=1)
    bench.cell.drive(VoltageSource(4.3, 1e-4))
    bench.advance_to(15.0)
    bench.rig.turn_to(2.0)
    loose = bench.cell.voltage
    bench.advance_to(19.999)
    assert bench.cell.voltage == pytest.approx(loose, abs=1e-3)
    bench.advance_to(20.0)
    assert bench.cell.voltage < loose - 10e-3


def test_breathing_shows_between_couplings() -> None:
    bench = Bench.of(BenchParameters(rig=RigParameters(creep=())), seed=1)
    bench.rig.turn_to(1.0)
    bench.cell.drive(VoltageSource(4.3, 1e-3))
    forces = []
    for second in range(1, 40):
        bench.advance_to(float(second))
        forces.append(bench.rig.force("negative"))
    steps = [b - a for a, b in pairwise(forces)]
    assert min(steps) > 0.0
    assert max(steps) == pytest.approx(min(steps), rel=1e-3)


class Servo:
    """Turns the screw at 0.1 rad/s from 3 s on, and opens the circuit at 12.5 s."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.now = bench.time
        self.asked: list[float] = []

    def next_event(self) -> float:
        return next((t for t in (3.0, 12.5) if t > self.now), math.inf)

    def advance_to(self, time: float) -> None:
        assert time <= self.next_event()
        self.now = time
        self.asked.append(time)
        self.bench.rig.turn_to(0.1 * max(0.0, time - 3.0))
        if time == 12.5:
            self.bench.cell.drive(Open())


def test_the_bench_stops_at_the_events_of_its_parts() -> None:
    bench = Bench.of(BenchParameters(), seed=1)
    servo = Servo(bench)
    bench.attach(servo)
    bench.cell.drive(VoltageSource(4.3, 1e-3))
    bench.advance_to(30.0)
    assert servo.asked == [3.0, 10.0, 12.5, 20.0, 30.0]
    assert bench.cell.charge == pytest.approx(12.5e-3, rel=1e-9)
    assert bench.rig.angle == pytest.approx(2.7)


def test_a_part_that_never_passes_its_event_is_named_instead_of_hanging() -> None:
    class Stuck:
        def __repr__(self) -> str:
            return "the stuck servo"

        def next_event(self) -> float:
            return 3.0

        def advance_to(self, time: float) -> None:
            pass

    bench = Bench.of(BenchParameters(), seed=1)
    bench.attach(Stuck())
    with pytest.raises(RuntimeError, match=r"the stuck servo stands still at its event of 3\.0 s"):
        bench.advance_to(5.0)


def test_a_sensor_has_its_errors_and_its_noise_belongs_to_the_instant() -> None:
    bench = Bench.of(BenchParameters(), seed=1)
    exact = bench.sensor("exact", offset=0.5, gain_error=0.01, drift_per_day=2.0)
    assert exact.read(100.0) == pytest.approx(101.5)
    noisy, twin = bench.sensor("a", noise=1.0), bench.sensor("a", noise=1.0)
    other = bench.sensor("b", noise=1.0)
    first = noisy.read(0.0)
    assert [noisy.read(0.0), twin.read(0.0)] == [first, first]
    assert other.read(0.0) != first
    bench.advance_to(43_200.0)
    assert exact.read(100.0) == pytest.approx(102.5)
    assert noisy.read(0.0) != first


def test_noise_does_not_depend_on_the_order_of_calls() -> None:
    now = [0.0]
    sensor = Sensor(lambda: now[0], 7, "force", noise=1.0)

    def at(instants: list[float]) -> dict[float, float]:
        values = {}
        for now[0] in instants:
            values[now[0]] = sensor.read(3.0)
        return values

    instants = [0.1 * k for k in range(500)]
    shuffled = random.Random(1).sample(instants, len(instants))
    assert at(instants) == at(shuffled)


def test_noise_is_normal() -> None:
    draws = [gaussian(1, "x", 0.01 * k) for k in range(20_000)]
    mean = sum(draws) / len(draws)
    assert mean == pytest.approx(0.0, abs=0.03)
    assert sum(d * d for d in draws) / len(draws) == pytest.approx(1.0, abs=0.03)
    assert sum(abs(d) < 1.0 for d in draws) / len(draws) == pytest.approx(0.6827, abs=0.01)
    assert abs(sum(a * b for a, b in pairwise(draws))) / len(draws) < 0.03


def test_parameters_come_from_a_table_with_units() -> None:
    parameters = BenchParameters.model_validate(
        {
            "cell": {"preset": "lno-lto", "diameter": "9 mm", "loading": "17 mg/cm2"},
            "rig": {"train_stiffness": "1e7 N/m", "spring_preload": "15.7 N"},
            "room": {"ambient": "25 degC", "cell_time": "5 min"},
        }
    )
    assert parameters.cell == CellChoice(preset="lno-lto", diameter=9e-3, loading=0.17)
    assert parameters.rig == RigParameters(train_stiffness=1e7)
    assert parameters.room.cell_time == 300.0
    press = BenchParameters.model_validate({"rig": {"kind": "press", "force": "59.7 kN"}})
    assert press.rig == PressParameters(kind="press", force=59.7e3)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (
            {"cell": {"preset": "nmc"}},
            'no simulated cell "nmc"; there are lnmo-bare-liin, lnmo-liin, lno-lto, nmc721-liin, ',
        ),
        ({"rig": {"kind": "vice"}}, 'of kind "screw" .the default. or "press"'),
        ({"rig": {"bore": "10 V"}}, "is a voltage, not a length"),
        ({"rig": {"bore": 10}}, "is a bare number where a length belongs"),
        ({"rig": {"train_stifness": "1e6 N/m"}}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_table_is_refused_with_what_is_allowed(table: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        BenchParameters.model_validate(table)
