"""Executing programs: leaping from event to event keeps exactly the records that a look every 10 ms would keep."""

import math
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated_cycler import records
from drivers.simulated_cycler.execution import Execution
from drivers.simulated_cycler.language import Listing, parse
from drivers.simulated_cycler.looks import LOOKS, look_at
from drivers.simulated_cycler.records import Entry
from labctl.program import Kept, ProgramState
from labctl.sim.bench import Bench
from labctl.sim.cell import Cell
from labctl.sim.presets import PRESETS
from labctl.sim.rig import Press, PressParameters
from labctl.sim.room import Room, RoomParameters
from tests.sim.cells import PLAIN

QUICK = replace(PLAIN, separator_resistance=1.0, slow_resistance=2.0, slow_time=5.0, exchange_current=5e-3)
"""10 C: at 0.1 A it is charged in a minute and a half."""


def bench_of(cell: Cell) -> Bench:
    """A bench that presses the cell as its constants ask."""
    bore = 10e-3
    press = Press(
        PressParameters(kind="press", force=cell.parameters.reference_pressure * math.pi * bore**2 / 4, bore=bore)
    )
    return Bench(1, cell, press, Room(RoomParameters()))


class Patient(Execution):
    """Looks every 10 ms, whatever is foreseen."""

    def _foresee(self) -> None:
        super()._foresee()
        self._due = max(look_at(self._cell.time), self._look_number + 1)
        self._event = min(self._due / LOOKS, self._cell.next_event())


def execute(
    kind: type[Execution], listing: Listing, seconds: float, begin: float = 0.0
) -> tuple[list[Entry], Execution, Bench]:
    bench = bench_of(Cell(QUICK))
    bench.advance_to(begin)
    kept: list[Entry] = []
    execution = kind(listing, bench.cell, kept.append)
    bench.attach(execution)
    bench.advance_to(begin + seconds)
    return kept, execution, bench


THRESHOLDS = {
    "V": st.floats(3.0, 4.3),
    "|I|": st.floats(0.001, 0.12),
    "I": st.floats(-0.1, 0.1),
    "P": st.floats(-0.4, 0.4),
    "|Q|": st.floats(0.01, 2.0),
    "Q": st.floats(-2.0, 2.0),
    "|E|": st.floats(0.1, 5.0),
    "T": st.floats(0.0, 12.0),
    "TCV": st.floats(0.0, 6.0),
}


@st.composite
def steps(draw: st.DrawFn, line: int) -> str:
    kind = draw(st.sampled_from(["CC", "CC", "CCCV", "CV", "REST"]))
    current = draw(st.floats(0.01, 0.1)) * draw(st.sampled_from([1, -1]))
    voltage = draw(st.floats(3.1, 4.2))
    head = {"REST": "REST", "CV": f"CV {voltage!r} {abs(current)!r}"}.get(kind, f"{kind} {current!r} {voltage!r}")
    clauses = [f"STEP {head}"]
    rule = [f"{name}={draw(st.floats(low, high))!r}" for name, low, high in draw(RULES)]
    if rule:
        clauses.append(" ".join(["RECORD", *rule]))
    if kind == "CC":
        clauses.append(f"END NEXT V{'>=' if current > 0 else '<='}{voltage!r}")
    for _ in range(draw(st.integers(0, 2))):
        tests = []
        for _ in range(draw(st.integers(1, 2))):
            name = draw(st.sampled_from(sorted(THRESHOLDS)))
            tests.append(f"{name}{draw(st.sampled_from(['>=', '<=', '>', '<']))}{draw(THRESHOLDS[name])!r}")
        gate = draw(st.sampled_from(["", "CV "]))
        clauses.append(f"END {draw(st.sampled_from(['NEXT', 'NEXT', 'EXIT']))} {gate}{' OR '.join(tests)}")
    return "; ".join([*clauses, "END NEXT T>=10.0"])


RULES = st.lists(
    st.sampled_from([("T", 0.2, 5.0), ("V", 0.005, 0.1), ("I", 0.002, 0.05), ("Q", 0.05, 1.0)]),
    max_size=2,
    unique_by=lambda rule: rule[0],
)


@st.composite
def programs(draw: st.DrawFn) -> Listing:
    body = [draw(steps(k)) for k in range(draw(st.integers(1, 3)))]
    capacity = draw(st.sampled_from(["inf", "0.9"]))
    return parse("\n".join([f"LIMIT 3.05 4.25 0.1 {capacity}", "LOOP 2 COUNT", *body, "ENDLOOP"]))


def in_short(entry: Entry) -> tuple[object, ...]:
    counters = (entry.number, entry.clock, entry.step_clock, entry.steps, entry.cycles, entry.step)
    return (*counters, entry.kept, entry.end)


@given(programs(), st.floats(0.0, 3.0))
@settings(max_examples=25)
def test_leaping_is_looking_every_ten_milliseconds(listing: Listing, begin: float) -> None:
    leapt, one, bench = execute(Execution, listing, 40.0, begin)
    looked, other, patient = execute(Patient, listing, 40.0, begin)
    assert [in_short(entry) for entry in leapt] == [in_short(entry) for entry in looked]
    assert (one.state, one.reason) == (other.state, other.reason)
    for mine, his in zip(leapt, looked, strict=True):
        assert (mine.voltage, mine.current) == pytest.approx((his.voltage, his.current), abs=1e-9)
        assert mine.counts == pytest.approx(his.counts, abs=1e-8)
    assert bench.cell.charge == pytest.approx(patient.cell.charge, abs=1e-8)


@given(programs(), st.lists(st.floats(0.0, 60.0), max_size=8))
@settings(max_examples=25)
def test_where_the_bench_stops_changes_nothing(listing: Listing, stops: list[float]) -> None:
    at_once, _, _ = execute(Execution, listing, 60.0)
    bench = bench_of(Cell(QUICK))
    kept: list[Entry] = []
    bench.attach(Execution(listing, bench.cell, kept.append))
    for stop in (*sorted(stops), 60.0):
        bench.advance_to(stop)
    assert kept == at_once


@given(st.floats(0.0, 1e8))
def test_the_look_at_a_time(time: float) -> None:
    number = look_at(time)
    assert (number - 1) / LOOKS < time <= number / LOOKS


def test_charge_and_energy_are_those_of_the_cell() -> None:
    listing = parse("LIMIT 3.0 4.3 0.1 inf\nSTEP CC 0.1 4.2; END NEXT V>=4.2\nSTEP CV 4.2 0.1; END NEXT |I|<=0.01")
    [_, met, _, done], execution, bench = execute(Execution, listing, 500.0)
    assert execution.state is ProgramState.DONE
    time = met.step_clock / 1000
    assert met.counts.charge_in == pytest.approx(0.1 * time, abs=0.1 * 0.01)
    assert done.counts.charge_in == pytest.approx(bench.cell.charge, abs=1e-9)
    held = done.counts.charge_in - met.counts.charge_in
    assert done.counts.energy_in - met.counts.energy_in == pytest.approx(4.2 * held, rel=1e-4)
    assert met.counts.energy_in == pytest.approx(trapezoid_of_energy(time), rel=1e-5)


def trapezoid_of_energy(seconds: float) -> float:
    """Integrate V·I of the same charge in small steps."""
    bench = bench_of(Cell(QUICK))
    Execution(parse("LIMIT 3.0 4.3 0.1 inf\nSTEP CC 0.1 4.2; END NEXT T>=1e6"), bench.cell, lambda _: None)
    total, steps = 0.0, 2000
    before = bench.cell.voltage
    for k in range(1, steps + 1):
        bench.advance_to(seconds * k / steps)
        total += 0.5 * (before + bench.cell.voltage) * 0.1 * seconds / steps
        before = bench.cell.voltage
    return total


def test_a_cell_that_changes_under_its_program_is_foreseen_anew() -> None:
    """A short that nobody announced drains the cell: the limit of voltage still finds its look."""
    bench = bench_of(Cell(QUICK))
    execution = Execution(
        parse("LIMIT 3.0 4.3 0.1 2.0\nSTEP CCCV 0.1 4.2; END NEXT CV |I|<=0.01"), bench.cell, lambda _: None
    )
    bench.attach(execution)
    bench.advance_to(5.0)
    bench.cell.short(20.0)
    bench.advance_to(300.0)
    assert execution.state is ProgramState.TRIPPED
    assert execution.reason == "voltage is 2.9998 V, below the limit of 3 V"
    assert bench.cell.current == 0.0


def test_a_lower_limit_counts_once_the_cell_was_above_it_or_is_discharged() -> None:
    fresh = "LIMIT {} 4.3 0.1 inf\nSTEP CC 0.1 4.2; END NEXT V>=4.2\nSTEP CC -0.1 3.3; END NEXT V<=3.3"
    _, charged, _ = execute(Execution, parse(fresh.format(3.3)), 500.0)
    assert charged.state is ProgramState.DONE, "it began below, and was charged into its window"
    discharging = parse("LIMIT 3.0 4.3 0.1 inf\nSTEP CC -0.01 3.2; LIMIT 3.2 4.3 0.1 inf; END NEXT T>=100.0")
    _, driven, _ = execute(Execution, discharging, 200.0)
    assert (driven.state, driven.reason) == (ProgramState.TRIPPED, "held at its voltage limit")


def test_a_voltage_beyond_the_window_trips_also_at_rest() -> None:
    text = "LIMIT 3.0 4.3 0.1 inf\nSTEP CC 0.1 4.0; END NEXT V>=4.0\nSTEP REST; LIMIT 3.0 3.5 0.1 inf; END NEXT T>=1.0"
    kept, execution, _ = execute(Execution, parse(text), 500.0)
    assert execution.state is ProgramState.TRIPPED
    assert re.fullmatch(r"voltage is 3\.\d+ V, above the limit of 3\.5 V", execution.reason)
    assert (kept[-1].kept, kept[-1].end) == (Kept.END, None)


def test_nested_loops_and_jumps() -> None:
    text = """LIMIT 3.0 4.3 0.1 inf
LOOP 3 COUNT
LOOP 2 PLAIN
STEP REST; END NEXT T>=1.0
ENDLOOP
STEP REST; END GOTO 8 T>=2.0
ENDLOOP
STEP REST; END NEXT T>=0.5"""
    kept, execution, _ = execute(Execution, parse(text), 60.0)
    ends = [(e.step, e.cycles, e.step_clock) for e in kept if e.kept is Kept.END]
    assert ends == [(1, 1, 1000), (1, 1, 1000), (2, 1, 2000), (3, 1, 500)]
    assert execution.state is ProgramState.DONE
    again, _, _ = execute(Execution, parse(text.replace("GOTO 8", "GOTO 7")), 60.0)
    assert [e.step for e in again if e.kept is Kept.END] == [1, 1, 2] * 3 + [3]
    restarted, _, _ = execute(
        Execution, parse(text.replace("GOTO 8", "GOTO 3").replace("END GOTO", "END NEXT Q>=9.0; END GOTO")), 8.99
    )
    assert [e.step for e in restarted if e.kept is Kept.END] == [1, 1, 2, 1, 1, 2]


def test_a_pause_is_not_time_of_the_step() -> None:
    bench = bench_of(Cell(QUICK))
    kept: list[Entry] = []
    listing = parse("LIMIT 3.0 4.3 0.1 inf\nSTEP CC 0.05 4.2; END NEXT T>=10.0")
    execution = Execution(listing, bench.cell, kept.append)
    bench.attach(execution)
    bench.advance_to(4.0)
    execution.pause()
    assert bench.cell.current == 0.0
    bench.advance_to(1000.0)
    assert execution.state is ProgramState.PAUSED
    execution.go_on()
    assert bench.cell.current == 0.05
    bench.advance_to(2000.0)
    assert execution.state is ProgramState.DONE
    assert [(e.clock, e.step_clock) for e in kept] == [(0, 0), (4000, 4000), (1000_000, 4000), (1006_000, 10_000)]
    assert kept[-1].counts.charge_in == pytest.approx(0.5, abs=1e-9)


def test_a_pause_is_not_time_of_held_voltage_and_loses_none() -> None:
    bench = bench_of(Cell(QUICK))
    kept: list[Entry] = []
    execution = Execution(parse("LIMIT 3.0 4.3 0.1 inf\nSTEP CV 3.5 0.1; END NEXT TCV>=10.0"), bench.cell, kept.append)
    bench.attach(execution)
    while bench.cell.limiting == "current":
        bench.advance_to(bench.time + 0.1)
    bench.advance_to(bench.time + 4.0)
    execution.pause()
    bench.advance_to(bench.time + 1000.0)
    execution.go_on()
    bench.advance_to(bench.time + 7.0)
    assert execution.state is ProgramState.DONE
    paused, resumed = (entry for entry in kept if entry.kept is Kept.SAMPLE)
    assert paused.step_clock == resumed.step_clock
    assert kept[-1].step_clock - paused.step_clock == pytest.approx(6000, abs=1000), "the 4 s before count"


def test_a_record_is_kept_before_the_clock_turns_unseen() -> None:
    listing = parse("LIMIT 3.0 4.3 0.1 inf\nSTEP REST; END NEXT T>=1e7")
    kept, execution, _ = execute(Execution, listing, 1.1e7)
    assert execution.state is ProgramState.DONE
    assert max(b.clock - a.clock for a, b in pairwise(kept)) <= records.LONGEST_GAP
    assert kept[-1].clock == 10**10
    assert kept[-1].clock > 2**32, "the counter has turned"


@pytest.mark.parametrize("preset", PRESETS)
def test_counts_are_the_integral_of_the_current_for_every_preset(preset: str) -> None:
    cell = Cell(PRESETS[preset]())
    bench = bench_of(cell)
    low, high = (3.0, 4.2) if preset == "nmc83-li" else (1.5, 2.6) if preset == "lno-lto" else (2.2, 3.6)
    charge = f"STEP CCCV 0.002 {high}; END NEXT CV TCV>=600.0"
    discharge = f"STEP CC -0.002 {low}; END NEXT V<={low}"
    text = f"LIMIT 0.0 5.0 0.1 inf\nLOOP 3 COUNT\n{charge}\n{discharge}\nENDLOOP"
    kept: list[Entry] = []
    execution = Execution(parse(text), cell, kept.append)
    bench.attach(execution)
    bench.advance_to(1e6)
    assert execution.state is ProgramState.DONE
    assert cell.counts.charge == pytest.approx(cell.charge, abs=1e-8)
    assert math.isclose(kept[-1].counts.charge, cell.charge, abs_tol=1e-8)
    assert cell.counts.energy_in > cell.counts.energy_out > 0.0


class Counting(Execution):
    """Counts its looks."""

    looks = 0

    def _look(self) -> None:
        self.looks += 1
        super()._look()


def test_looks_that_find_nothing_are_not_made() -> None:
    text = """LIMIT 3.0 4.3 0.1 12.0
LOOP 3 COUNT
STEP CCCV 0.05 4.2; RECORD V=0.01 T=7.0; END NEXT CV |I|<=0.01; END EXIT T>=1000.0
STEP REST; RECORD V=0.002; END NEXT T>=60.0
STEP CC -0.05 3.3; RECORD Q=0.5 V=0.05; END NEXT V<=3.3; END EXIT T>=1000.0
ENDLOOP"""
    kept, execution, _ = execute(Counting, parse(text), 5000.0)
    assert isinstance(execution, Counting)
    assert execution.state is ProgramState.DONE
    finding = sum(entry.kept is not Kept.START for entry in kept)
    assert finding <= execution.looks <= finding + 12
