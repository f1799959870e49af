"""Scheduled faults at work: functions of lab time, exact in whatever pieces it passes, and over when they are over."""

import asyncio
import math
import os
import random
import select
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.keithley_2450.driver import Keithley2450
from drivers.keithley_2450.sim import Simulator
from labctl.clock import VirtualClock
from labctl.errors import NoReply, Unreachable
from labctl.instrument import SerialWire, VisaWire
from labctl.link import MemoryLink
from labctl.link.memory import Late
from labctl.sim.bench import Bench, BenchParameters, SimulatedInstrument
from labctl.sim.chance import random_script
from labctl.sim.faults import Troubled, troubled
from labctl.sim.host import Host
from labctl.sim.rig import PressParameters
from labctl.sim.schedule import Kind, Scheduled
from labctl.sim.source import Open, VoltageSource
from labctl.sim.trouble import UnfitScript
from tests.link.echo import LINES, PTY, TCP, Echo
from tests.sim.test_host import client

BEGIN, END = 100.0, 200.0


def at(kind: Kind, place: str = "cycler", begin: float = BEGIN, end: float = END, value: float = 0.0) -> Scheduled:
    return Scheduled(place, kind, begin, end, value)


def lasting(kind: Kind, place: str, value: float = 0.0) -> Scheduled:
    return Scheduled(place, kind, BEGIN, value=value)


def bench(*faults: Scheduled) -> Bench:
    return Bench.of(BenchParameters(), 1, faults)


# -- cell, rig, room ---------------------------------------------------------------------------------------------------


def charging(*faults: Scheduled) -> Bench:
    started = bench(*faults)
    started.rig.turn_to(3.0)
    started.cell.drive(VoltageSource(4.3, 5e-4))
    return started


def seen(it: Bench) -> dict[str, float]:
    """Everything an instrument can see, and the ledger of the truth."""
    cell, rig, room = it.cell, it.rig, it.room
    return {
        "voltage": cell.voltage,
        "current": cell.current,
        "charge": cell.charge,
        "negative": rig.force("negative"),
        "positive": rig.force("positive"),
        "bath": room.bath,
        "cell": room.cell,
    }


def changes(fault: Scheduled) -> set[str]:
    """Return what is otherwise a moment after a fault began."""
    healthy, broken = charging(), charging(fault)
    for it in (healthy, broken):
        it.advance_to(math.nextafter(BEGIN, 0.0))
    assert seen(broken) == seen(healthy), "nothing happens before"
    for it in (healthy, broken):
        it.advance_to(BEGIN + 0.1)
    return {name for name, value in seen(broken).items() if abs(value - seen(healthy)[name]) > 1e-9}


@pytest.mark.parametrize(
    ("fault", "changed"),
    [
        (at(Kind.SHORT, "cell", value=500.0), {"voltage", "charge"}),
        (at(Kind.OPEN_CIRCUIT, "cell"), {"voltage", "current", "charge"}),
        (lasting(Kind.CONTACT_LOSS, "cell", 0.5), {"voltage"}),
        (lasting(Kind.SLIP, "rig", 0.5), {"negative"}),
        (lasting(Kind.FRICTION_RELEASE, "rig"), {"negative", "positive"}),
        (at(Kind.HEATER_FAILURE, "room", value=1.0), {"bath", "cell"}),
    ],
    ids=lambda value: value.kind if isinstance(value, Scheduled) else "",
)
def test_a_mishap_changes_what_it_should_from_its_instant_on(fault: Scheduled, changed: set[str]) -> None:
    assert changed <= changes(fault)


def test_a_bottomed_spring_is_stiff_when_the_screw_turns_on() -> None:
    forces = []
    for faults in ((), (lasting(Kind.SPRING_BOTTOMED, "rig"),)):
        it = charging(*faults)
        it.advance_to(BEGIN)
        it.rig.turn_to(4.0)
        forces.append(it.rig.force("negative"))
    assert forces[1] > 1.2 * forces[0]


def test_a_dead_heater_does_not_heat_until_it_is_mended() -> None:
    it = bench(at(Kind.HEATER_FAILURE, "room", begin=0.0, value=0.0))
    it.room.regulate(40.0)
    it.advance_to(END - 1.0)
    assert it.room.bath == pytest.approx(23.0)
    it.advance_to(END + 2000.0)
    assert it.room.bath == pytest.approx(40.0, abs=0.1)


def test_a_heater_that_is_stuck_on_heats_an_oven_that_nobody_asked_to() -> None:
    it = bench(at(Kind.HEATER_FAILURE, "room", value=1.0))
    it.advance_to(BEGIN)
    assert not it.room.still
    it.advance_to(END)
    assert it.room.bath == pytest.approx(33.0, abs=1.0)
    hot = it.room.bath
    it.advance_to(END + 60.0)
    assert it.room.bath < hot


def test_a_short_and_an_open_circuit_heal_when_they_end() -> None:
    it = charging(at(Kind.SHORT, "cell", end=150.0, value=500.0), at(Kind.OPEN_CIRCUIT, "cell", begin=160.0, end=170.0))
    healthy = charging()
    for instant in (155.0, 175.0):
        it.advance_to(instant)
        healthy.advance_to(instant)
        assert it.cell.current == healthy.cell.current > 0.0
        assert it.cell.voltage > 3.0


def test_a_press_has_nothing_that_could_slip() -> None:
    parameters = BenchParameters(rig=PressParameters(kind="press", force=59.7e3))
    with pytest.raises(UnfitScript, match="this rig is a press, which has neither screw nor wall nor spring"):
        Bench.of(parameters, 1, (lasting(Kind.SLIP, "rig", 0.5),))


PLACES = ("cycler", "load_cell.negative", "thermostat", "cell", "rig", "room")


@given(st.integers(0, 10_000), st.lists(st.floats(0.0, 500.0), max_size=12))
@settings(max_examples=60, derandomize=True)
def test_in_whatever_pieces_time_passes(seed: int, cuts: list[float]) -> None:
    """Also where a piece ends at the very instant at which a fault begins or ends."""
    faults = random_script(random.Random(seed), PLACES, 500.0, 8)
    edges = [instant for fault in faults for instant in (fault.begin, fault.end) if instant <= 500.0]
    whole, pieces = charging(*faults), charging(*faults)
    felt = [it.trouble("cell").quantity(lambda it=it: it.cell.voltage) for it in (whole, pieces)]  # type: ignore[misc]
    for instant in sorted([*cuts, *edges]):
        pieces.advance_to(instant)
        pieces.advance_to(instant)
        felt[1]()
    whole.advance_to(500.0)
    pieces.advance_to(500.0)
    assert seen(pieces) == seen(whole)
    assert repr(felt[1]()) == repr(felt[0]()), "NaN equals itself here"


# -- measurements ------------------------------------------------------------------------------------------------------


def force_at(instant: float, *faults: Scheduled) -> float:
    it = charging(*faults)
    felt = it.trouble("negative").quantity(lambda: it.rig.force("negative"))
    it.advance_to(instant)
    return felt()


def test_what_is_felt_of_a_true_value() -> None:
    gauge = "load_cell.negative"
    true = force_at(150.0)
    assert force_at(150.0, at(Kind.DRIFT, gauge, value=-2.0)) == pytest.approx(true - 100.0)
    assert force_at(150.0, at(Kind.OUT_OF_RANGE, gauge)) == math.inf
    assert math.isnan(force_at(150.0, at(Kind.NOT_A_NUMBER, gauge)))
    assert force_at(150.0, at(Kind.STUCK, gauge)) == force_at(BEGIN) != true
    for kind in (Kind.DRIFT, Kind.OUT_OF_RANGE, Kind.NOT_A_NUMBER, Kind.STUCK):
        fault = at(kind, gauge, value=-2.0 if kind is Kind.DRIFT else 0.0)
        for instant in (99.0, END):
            assert force_at(instant, fault) == force_at(instant), "before and afterwards it is healthy"


def test_a_sensor_that_is_stuck_repeats_its_noise_too() -> None:
    it = charging(at(Kind.STUCK))
    trouble = it.trouble("cell")
    felt, sensor = trouble.quantity(lambda: it.cell.voltage), it.sensor("V", noise=1.0, now=trouble.measured_at)
    readings = []
    for instant in (99.0, 110.0, 150.0, 201.0):
        it.advance_to(instant)
        readings.append(sensor.read(felt()))
    assert readings[1] == readings[2]
    assert len(set(readings)) == 3


def test_a_fault_at_the_first_instant_is_there_at_once() -> None:
    it = bench(at(Kind.STUCK, begin=0.0), at(Kind.OPEN_CIRCUIT, "cell", begin=0.0))
    felt = it.trouble("cell").quantity(lambda: it.cell.voltage)
    assert felt() == it.cell.voltage == 0.0
    it.cell.drive(VoltageSource(4.0, 1e-3))
    assert (it.cell.current, it.cell.voltage, felt()) == (0.0, 4.0, 0.0)


def test_an_instrument_without_faults_pays_nothing_for_them() -> None:
    it = bench(at(Kind.STUCK))
    echo: SimulatedInstrument = Echo()

    def true() -> float:
        return 1.0

    assert it.trouble("bath").quantity(true) is true
    assert troubled(echo, it.trouble("bath")) is echo


# -- lines -------------------------------------------------------------------------------------------------------------


def line(*faults: Scheduled) -> tuple[Bench, Echo, Troubled]:
    it, echo = bench(*faults), Echo()
    on_line = troubled(echo, it.trouble("cell"))
    assert isinstance(on_line, Troubled)
    return it, echo, on_line


@pytest.mark.parametrize(
    ("kind", "reply"), [(Kind.SILENCE, b""), (Kind.HALF, b"hal"), (Kind.LATE, b"halves\n")], ids=lambda kind: str(kind)
)
def test_replies_suffer_and_the_instrument_does_as_it_is_told(kind: Kind, reply: bytes) -> None:
    it, echo, on_line = line(at(kind, value=3.0 if kind is Kind.LATE else 0.0))
    for instant, expected in ((99.0, b"halves\n"), (BEGIN, reply), (199.9, reply), (END, b"halves\n")):
        it.advance_to(instant)
        answer = on_line.receive(b"halves\n")
        assert answer == expected
        assert isinstance(answer, Late) == (kind is Kind.LATE and BEGIN <= instant < END)
    assert echo.lines == [b"halves"] * 4


def test_garbage_is_another_one_at_each_instant_and_the_same_one_every_time() -> None:
    def garbage(instant: float) -> bytes:
        it, _, on_line = line(at(Kind.GARBAGE))
        it.advance_to(instant)
        return on_line.receive(b"12345678\n")

    assert garbage(110.0) == garbage(110.0) != garbage(111.0)
    assert b"1234" not in garbage(110.0)


def test_a_reboot_and_an_exchange_restart_it_whoever_asks() -> None:
    it, echo, _ = line(at(Kind.REBOOT), at(Kind.OTHER_IDENTITY, begin=300.0, end=400.0))
    it.advance_to(BEGIN)
    assert echo.restarts == [False]
    it.advance_to(350.0)
    assert echo.restarts == [False, True]
    it.advance_to(1000.0)
    assert echo.restarts == [False, True, False]


def test_a_stranger_that_reboots_stays_one() -> None:
    it, echo, _ = line(at(Kind.OTHER_IDENTITY, begin=300.0, end=600.0), at(Kind.REBOOT, begin=400.0, end=450.0))
    it.advance_to(1000.0)
    assert echo.restarts == [True, True, False]


async def memory(wire: VisaWire | SerialWire, faults: Sequence[Scheduled]) -> tuple[VirtualClock, MemoryLink]:
    it, _, on_line = line(*faults)
    clock = VirtualClock(0.0)

    def reset() -> None:
        it.advance_to(clock.now())
        on_line.reset_line()

    def receive(data: bytes) -> bytes:
        it.advance_to(clock.now())
        return on_line.receive(data)

    link = MemoryLink(receive, reset, wire, "A1/cycler", clock)
    assert await link.query(b"one\n") == b"one"
    return clock, link


async def test_a_connection_that_breaks_is_told_and_refused_and_opened_again() -> None:
    clock, link = await memory(VisaWire(LINES), [at(Kind.DISCONNECT)])
    await clock.sleep_until(BEGIN)
    with pytest.raises(Unreachable, match="closed the connection"):
        await link.query(b"two\n")
    with pytest.raises(Unreachable, match="connection refused"):
        await link.query(b"two\n")
    assert clock.now() == BEGIN, "a connection tells at once"
    await clock.sleep_until(END)
    assert await link.query(b"three\n") == b"three"


async def test_a_connection_that_broke_while_nobody_asked_is_no_connection() -> None:
    clock, link = await memory(VisaWire(LINES), [at(Kind.DISCONNECT)])
    verified = []

    async def verify() -> None:
        verified.append(clock.now())

    link.verify = verify
    await clock.sleep_until(END + 50.0)
    with pytest.raises(Unreachable, match="closed the connection"):
        await link.query(b"two\n")
    assert await link.query(b"three\n") == b"three"
    assert len(verified) == 1


async def test_a_serial_line_whose_cable_is_out_is_silent() -> None:
    clock, link = await memory(SerialWire(LINES, baudrate=9600), [at(Kind.DISCONNECT)])
    await clock.sleep_until(BEGIN)
    for _ in range(2):
        with pytest.raises(NoReply):
            await link.query(b"two\n")
    await clock.sleep_until(END)
    assert await link.query(b"three\n") == b"three"


# -- real wires --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.DISCONNECT, Kind.REBOOT])
async def test_on_tcp_a_disconnection_closes_and_refuses_and_keeps_the_port(kind: Kind) -> None:
    it, _, on_line = line(at(kind))
    async with Host(it) as host:
        address = await host.serve(on_line, TCP)
        async with client(address) as (reader, writer):
            writer.write(b"one\n")
            assert await reader.readline() == b"one\n"
            host.advance_to(BEGIN)
            async with asyncio.timeout(2.0):
                with suppress(ConnectionError):
                    assert await reader.read() == b""
            for _ in range(2):
                with pytest.raises(ConnectionRefusedError):
                    async with client(address):
                        pass
        host.advance_to(END)
        async with client(address) as (reader, writer):
            writer.write(b"two\n")
            assert await reader.readline() == b"two\n"


async def test_a_door_that_is_shut_from_the_first_instant() -> None:
    it, _, on_line = line(at(Kind.DISCONNECT, begin=0.0))
    async with Host(it) as host:
        address = await host.serve(on_line, TCP)
        with pytest.raises(ConnectionRefusedError):
            async with client(address):
                pass


async def test_a_door_that_is_shut_again_before_it_was_quite_open() -> None:
    it, _, on_line = line(at(Kind.DISCONNECT, end=110.0), at(Kind.DISCONNECT, begin=120.0, end=130.0))
    async with Host(it) as host:
        address = await host.serve(on_line, TCP)
        host.advance_to(125.0)
        await asyncio.sleep(0.01)
        with pytest.raises(ConnectionRefusedError):
            async with client(address):
                pass
        host.advance_to(130.0)
        async with client(address) as (reader, writer):
            writer.write(b"two\n")
            assert await reader.readline() == b"two\n"


async def test_a_terminal_is_silent_and_heals_by_itself() -> None:
    it, _, on_line = line(at(Kind.DISCONNECT))
    async with Host(it) as host:
        device = os.open(await host.serve(on_line, PTY), os.O_RDWR | os.O_NOCTTY)
        try:
            for instant, answered in ((0.0, True), (BEGIN, False), (END, True)):
                host.advance_to(instant)
                os.write(device, b"one\n")
                await asyncio.sleep(0.02)
                assert bool(select.select([device], [], [], 0)[0]) == answered
                if answered:
                    assert os.read(device, 100) == b"one\n"
        finally:
            os.close(device)


def test_an_instrument_that_restarts_lets_go_of_the_cell() -> None:
    it = bench(at(Kind.REBOOT))
    simulator = troubled(Simulator(it, "cell", Keithley2450.Options()), it.trouble("cell"))
    simulator.receive(b":SOUR:VOLT 4.1;:SOUR:VOLT:ILIM 1e-3;:OUTP ON\n")
    it.advance_to(BEGIN - 1.0)
    assert it.cell.current == pytest.approx(1e-3)
    it.advance_to(BEGIN)
    assert isinstance(it.cell.source, Open)
