"""The Mark-10 load cell: exact bytes, units and signs, over-range, and replies that are refused."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.mark10.driver import ACCURACY, NEWTON, Mark10
from drivers.mark10.sim import UNITS, Simulator
from labctl.clock import RealClock, VirtualClock
from labctl.errors import (
    GarbledReply,
    InstrumentError,
    InstrumentRefused,
    LabctlError,
    NoReply,
    OverRange,
    WrongInstrument,
)
from labctl.instrument import Instrument, Role
from labctl.link import MemoryLink, open_link
from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.faults import Delay, Garbage, half, silence
from tests.conftest import Served


@dataclass
class Stand:
    """A gauge on the negative side of a bench, with a tap on its wire."""

    clock: VirtualClock
    options: Mark10.Options = field(default_factory=lambda: Mark10.Options(capacity=500.0))
    bench: Bench = field(init=False)
    simulator: Simulator = field(init=False)
    link: MemoryLink = field(init=False)
    driver: Mark10 = field(init=False)
    sent: list[bytes] = field(default_factory=list)
    fault: Callable[[bytes], bytes] | None = None
    only_after: bytes = b""

    def __post_init__(self) -> None:
        self.bench = Bench.of(BenchParameters(), seed=1)
        self.simulator = Simulator(self.bench, "negative", self.options)
        self.link = MemoryLink(self._receive, self.simulator.reset_line, Mark10.WIRE, "A1/load_cell", self.clock)
        self.driver = Mark10(self.link, self.options, self.clock)

    def _receive(self, data: bytes) -> bytes:
        self.bench.advance_to(self.clock.now())
        self.sent.append(data)
        reply = self.simulator.receive(data)
        return self.fault(reply) if self.fault and data.startswith(self.only_after) else reply

    def press(self, newton: float) -> float:
        """Tighten the screw until this force, N; returns the true one."""
        while self.bench.rig.force("negative") < newton:
            self.bench.rig.turn_to(self.bench.rig.angle + 1e-3)
        return self.bench.rig.force("negative")


@pytest.fixture
def stand(clock: VirtualClock) -> Stand:
    return Stand(clock)


# -- connecting --------------------------------------------------------------------------------------------------------


def test_it_is_a_load_cell(stand: Stand) -> None:
    assert isinstance(stand.driver, Instrument)
    assert stand.driver.ROLE is Role.LOAD_CELL
    assert stand.driver.capacity == Mark10.Options.model_validate(Mark10.EXAMPLE).capacity == 500


@pytest.mark.parametrize("wrong", [{}, {"capacity": 0}, {"capacity": math.inf}, {"capacity": 5, "unit": "N"}])
def test_options_without_a_sensible_capacity_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Mark10.Options.model_validate(wrong)


async def test_connect_identifies_and_keeps_it_awake(stand: Stand) -> None:
    identity = await stand.driver.connect()
    assert str(identity) == "Mark-10 Digital Force Gauge M5 (serial 1000001, firmware 1.00)"
    assert stand.sent == [b"RN\r", b"RM\r", b"RS\r", b"RV\r", b"FULL\r", b"CUR\r", b"AOUT0\r", b"AOFF0\r", b"LIST\r"]
    assert stand.simulator.numbers["AOFF"] == 0


async def test_connect_undoes_what_somebody_set_at_the_gauge(stand: Stand) -> None:
    stand.simulator.receive(b"NUM\rPC\rAOFF30\r")
    await stand.driver.connect()
    assert (stand.simulator.units_sent, stand.simulator.mode, stand.simulator.numbers["AOFF"]) == (True, "CUR", 0)
    assert await stand.driver.read() == pytest.approx(0, abs=1)


async def test_a_power_cut_does_not_bring_the_shut_off_back(stand: Stand) -> None:
    await stand.driver.connect()
    stand.simulator.restart()
    assert stand.simulator.numbers["AOFF"] == 5
    stand.fault = silence
    with pytest.raises(NoReply):
        await stand.driver.read()
    stand.fault = None
    await stand.driver.read()
    assert stand.simulator.numbers["AOFF"] == 0


LISTS = [
    (b"V1.00;LBF;CUR;FLTC8;FLTP1;AOUT00;AOFF0;FULL;MIT;POL;B0", None, ""),  # the manual's example, awake
    (b"V1.00;LBF;CUR;FLTC8;FLTP1;AOUT00;AOFF5;FULL;MIT;POL;B0", InstrumentRefused, "AOFF5"),
    (b"V1.00;LBF;PC;FLTC8;FLTP1;AOUT00;AOFF0;FULL;MIT;POL;B0", InstrumentRefused, "PC"),
    (b"V1.00;LBF;CUR;FLTC8;FLTP1;AOUT00;AOFF0;NUM;MIT;POL;B0", InstrumentRefused, "NUM"),
    (b"V1.00;LBF;CUR;FLTC8;FLTP1;AOUT10;AOFF0;FULL;MIT;POL;B0", InstrumentRefused, "AOUT10"),
    (b"V1.00;LBF;CUR;AOUT00;AOFF0;FULL;OPOL1;B0", WrongInstrument, "sign is omitted"),
    (b"V1.00;LBF;CUR;AOUT00;AOFF0;FULL;IPOL1;B0", WrongInstrument, "compression"),
    (b"*10", InstrumentRefused, "*10 illegal command"),
    (b"4.285 N", GarbledReply, "settings separated by ;"),
]


@pytest.mark.parametrize(("listed", "error", "sentence"), LISTS)
async def test_the_list_of_settings_is_believed_not_the_command(
    stand: Stand, listed: bytes, error: type[LabctlError] | None, sentence: str
) -> None:
    stand.fault, stand.only_after = Garbage(listed + b"\r\n"), b"LIST"
    if error is None:
        await stand.driver.connect()
        return
    with pytest.raises(error) as told:
        await stand.driver.connect()
    assert sentence in str(told.value)
    assert "A1/load_cell" in str(told.value)


async def test_a_series_4_gauge_is_told_apart(stand: Stand) -> None:
    stand.fault, stand.only_after = Garbage(b"*10\r\n"), b"R"
    with pytest.raises(WrongInstrument, match="A Series 4 gauge lacks them"):
        await stand.driver.connect()


async def test_another_gauge_after_reopening_is_refused(stand: Stand) -> None:
    await stand.driver.connect()
    stand.fault = silence
    with pytest.raises(NoReply):
        await stand.driver.read()
    stand.fault, stand.only_after = Garbage(b"2000002\r\n"), b"RS"
    with pytest.raises(WrongInstrument, match="serial 2000002"):
        await stand.driver.read()


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", UNITS)
async def test_every_unit_is_converted_also_when_somebody_changes_it(stand: Stand, command: str) -> None:
    await stand.driver.connect()
    true = stand.press(200.0)
    in_newton = await stand.driver.read()
    stand.simulator.receive(command.encode() + b"\r")
    assert await stand.driver.read() == pytest.approx(in_newton, abs=0.2)
    assert in_newton == pytest.approx(true, abs=ACCURACY * 500 + 0.2)


REPLIES = [
    (b"4.285 N", 4.285),
    (b"-18.78 lbF", -18.78 * 4.4482216152605),
    (b"0.02 kN", 20.0),
    (b"1500 mN", 1.5),
    (b"16 ozF", 4.4482216152605),
    (b"1 kgF", 9.80665),
    (b"1000 gF", 9.80665),
    (b"  12.5 N", 12.5),
    (b"-.5 N", -0.5),
]


@pytest.mark.parametrize(("reply", "newton"), REPLIES)
async def test_readings_as_the_manual_prints_them(stand: Stand, reply: bytes, newton: float) -> None:
    await stand.driver.connect()
    stand.fault = Garbage(reply + b"\r\n")
    stand.sent.clear()
    assert await stand.driver.read() == pytest.approx(newton, rel=1e-15)
    assert stand.sent == [b"?C\r"]


async def test_inverted_polarity(clock: VirtualClock) -> None:
    stand = Stand(clock, Mark10.Options(capacity=500.0, compression="negative"))
    await stand.driver.connect()
    true = stand.press(100.0)
    assert stand.simulator.receive(b"?C\r").startswith(b"-")
    assert await stand.driver.read() == pytest.approx(true, abs=1)


REFUSED = [
    (b"4.285", WrongInstrument, "Numeric Only"),
    (b"4.285 Nm", GarbledReply, "a number and one of N, kN"),
    (b"4.285 LBF", GarbledReply, "a number and one of"),
    (b"nan N", GarbledReply, "a number and one of"),
    (b"inf N", GarbledReply, "a number and one of"),
    (b"1e9 N", GarbledReply, "a number and one of"),
    (b"1,5 N", GarbledReply, "a number and one of"),
    (b"--- N", GarbledReply, "a number and one of"),
    (b"", GarbledReply, "a number and one of"),
    (b"4.2\xff5 N", GarbledReply, "printable ASCII"),
    (b"4.\x1b[2J5 N", GarbledReply, "printable ASCII"),
    (b"*10", InstrumentRefused, "*10 illegal command"),
    (b"*77", InstrumentRefused, "*77 unknown error"),
    (b"*22", OverRange, "beyond its range"),
    (b"OVER", OverRange, "beyond its range"),
    (b"500.1 N", OverRange, "beyond its capacity of 500 N"),
    (b"-500.1 N", OverRange, "beyond its capacity"),
    (b"0.6 kN", OverRange, "beyond its capacity"),
]


@pytest.mark.parametrize(("reply", "error", "sentence"), REFUSED)
async def test_what_is_no_force_is_refused(stand: Stand, reply: bytes, error: type[LabctlError], sentence: str) -> None:
    await stand.driver.connect()
    stand.fault = Garbage(reply + b"\r\n")
    with pytest.raises(error) as told:
        await stand.driver.read()
    assert sentence in str(told.value)


@pytest.mark.parametrize("fault", [silence, half, Garbage(b"12.5 N"), Delay(2.0)])
async def test_a_reply_that_does_not_come_whole_in_time(stand: Stand, fault: Callable[[bytes], bytes]) -> None:
    await stand.driver.connect()
    stand.fault = fault
    with pytest.raises(NoReply):
        await stand.driver.read()
    stand.fault = None
    assert await stand.driver.read() == pytest.approx(0, abs=1)


@settings(deadline=None)
@given(st.binary(max_size=20).filter(lambda reply: b"\r\n" not in reply))
def test_any_reply_is_a_force_within_capacity_or_a_sentence(reply: bytes) -> None:
    class Canned:
        name, simulated = "A1/load_cell", True
        verify: Callable[[], Any] | None = None

        async def query(self, _message: bytes) -> bytes:
            return reply

        async def write(self, _message: bytes) -> None: ...

        async def pause(self, _seconds: float) -> None: ...

    async def attempt() -> float | InstrumentError:
        try:
            return await Mark10(Canned(), Mark10.Options(capacity=500.0), VirtualClock(0.0)).read()
        except InstrumentError as error:
            return error

    outcome = asyncio.run(attempt())
    if isinstance(outcome, InstrumentError):
        assert "A1/load_cell" in str(outcome)
    else:
        assert -500 <= outcome <= 500
        assert any(reply.strip().endswith(unit.encode()) for unit in NEWTON)


async def test_overload_of_the_simulated_gauge(stand: Stand) -> None:
    await stand.driver.connect()
    stand.press(560.0)
    with pytest.raises(OverRange, match="OVER"):
        await stand.driver.read()


# -- tare --------------------------------------------------------------------------------------------------------------


async def test_tare_zeroes_the_sensors_offset(stand: Stand) -> None:
    await stand.driver.connect()
    before = await stand.driver.read()
    assert before == pytest.approx(0.25, abs=0.3)  # half of the accuracy of 0.5 N, and noise
    await stand.driver.tare()
    assert abs(await stand.driver.read()) <= 0.2
    true = stand.press(100.0)
    assert await stand.driver.read() == pytest.approx(true, abs=0.4)


async def test_a_tare_that_did_not_work_is_told(stand: Stand) -> None:
    await stand.driver.connect()
    stand.fault, stand.only_after = Garbage(b"12.0 N\r\n"), b"?C"
    with pytest.raises(InstrumentRefused, match="reads 12 N after its zero command"):
        await stand.driver.tare()


async def test_a_refused_tare_does_not_shift_the_readings(stand: Stand) -> None:
    await stand.driver.connect()
    stand.fault, stand.only_after = Garbage(b"*11\r\n"), b"Z"
    with pytest.raises(GarbledReply, match="a quiet line before the question"):
        await stand.driver.tare()
    stand.fault = None
    true = stand.press(100.0)
    assert await stand.driver.read() == pytest.approx(true, abs=1)


# -- simulator and wire ------------------------------------------------------------------------------------------------


def test_commands_come_in_any_pieces(stand: Stand) -> None:
    assert stand.simulator.receive(b"R") == b""
    assert stand.simulator.receive(b"S\r\n?") == b"1000001\r\n"
    stand.simulator.reset_line()
    assert stand.simulator.receive(b"LIST\r\n") == (
        b"V1.00;N;CUR;FLTC8;FLTP1;AOUT00;AOFF5;FULL;IPOL0;OPOL0;MIT;POL;B0\r\n"
    )


@pytest.mark.parametrize(("command", "answer"), [(b"XYZ", b"*10"), (b"AOFF", b"*12"), (b"AOFF31", b"*22")])
def test_error_codes_of_the_simulator(stand: Stand, command: bytes, answer: bytes) -> None:
    assert stand.simulator.receive(command + b"\r") == answer + b"\r\n"


@pytest.mark.parametrize(
    ("capacity", "unit", "step"), [(500, b"N", 0.1), (250, b"N", 0.05), (50 * NEWTON["lbF"], b"LB", 0.01)]
)
def test_resolution_is_that_of_the_data_sheet(capacity: float, unit: bytes, step: float) -> None:
    bench = Bench.of(BenchParameters(), seed=1)
    simulator = Simulator(bench, "negative", Mark10.Options(capacity=float(capacity)))
    simulator.receive(unit + b"\r")
    for hundredth in range(20):
        simulator.stuck = capacity * hundredth / 100
        value = float(simulator.receive(b"?C\r").split()[0])
        assert value / step == pytest.approx(round(value / step), abs=1e-6)


def test_the_same_instant_reads_the_same(clock: VirtualClock) -> None:
    one, other = Stand(clock).simulator, Stand(clock).simulator
    other.receive(b"?C\r?C\r?C\r")
    assert one.receive(b"?C\r") == other.receive(b"?C\r")


async def test_driver_over_a_pseudo_terminal(served: Served) -> None:
    bench = Bench.of(BenchParameters(), seed=1)
    options = Mark10.Options(capacity=500.0)
    clock = RealClock()
    async with served(bench, Simulator(bench, "negative", options), "pty") as address:
        link = open_link(address, Mark10.WIRE, "A1/load_cell", clock, simulated=True)
        try:
            gauge = Mark10(link, options, clock)
            await gauge.connect()
            await gauge.tare()
            assert await gauge.read() == pytest.approx(0, abs=0.3)
        finally:
            await link.close()
