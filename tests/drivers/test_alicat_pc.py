"""The Alicat pressure controller: exact bytes, its unit, its held valves, and an independent client on its simulator.

The client, alicat 0.9.0, is GPL and runs here only. It knows `$$H` and `$$C` but not `HC`, and its own parser fails on
the two values of a pressure controller's frame, which the test holds: the frame is then read as it came.
"""

import math

import pytest
from alicat.driver import FlowController
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.alicat_pc.driver import AlicatPc, LinesAndTables
from drivers.alicat_pc.sim import Simulator
from labctl.clock import VirtualClock
from labctl.errors import GarbledReply, InstrumentRefused, LabctlError, OverRange, RefusedForSafety, WrongInstrument
from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.rig import PressParameters
from tests.conftest import Served
from tests.drivers.tapped import Tapped

OPTIONS = AlicatPc.Options.model_validate(AlicatPc.EXAMPLE)
PSI = 6894.757293168
FULL = b"A +0087.02 10 PSIG"


@pytest.fixture
def stand(clock: VirtualClock) -> Tapped:
    return Tapped(AlicatPc, Simulator, OPTIONS, clock)


@pytest.mark.parametrize(
    "wrong",
    [{"unit": "atm"}, {"piston": "0 mm"}, {"maximum": "6"}, {"id": "AB"}, {"id": "1"}, {"unit": None}],
)
def test_options_that_leave_the_force_open_are_refused(wrong: dict[str, object]) -> None:
    given = {key: value for key, value in {**AlicatPc.EXAMPLE, **wrong}.items() if value is not None}
    with pytest.raises(ValidationError):
        AlicatPc.Options.model_validate(given)


async def test_connect_identifies_and_closes_the_valves(stand: Tapped) -> None:
    sent = await stand.exchange(stand.driver.connect)
    assert sent == [b"A??M*\r", b"AR122\r", b"AFPF 6\r", b"AHC\r"]
    identity = await stand.driver.connect()
    assert str(identity) == "Alicat PCD-87PSIG-D (serial 521641, firmware 10v20.0-R24)"
    assert stand.simulator.held


async def test_a_set_point_is_confirmed_before_the_valves_let_go(stand: Tapped) -> None:
    await stand.driver.connect()
    assert await stand.exchange(lambda: stand.driver.set_pressure(2e5)) == [b"AFPF 6\r", b"AS29.0075\r", b"AC\r"]
    assert stand.simulator.setpoint == pytest.approx(2e5, rel=1e-5)
    assert not stand.simulator.held
    assert await stand.exchange(lambda: stand.driver.set_pressure(1e5)) == [b"AFPF 6\r", b"AS14.5038\r"]
    assert await stand.exchange(stand.driver.hold) == [b"AHC\r"]


async def test_an_older_firmware_tells_no_unit_and_says_so(stand: Tapped) -> None:
    stand.answers[b"AFPF 6"] = b"?\r"
    identity = await stand.driver.connect()
    assert identity.model == "PCD-87PSIG-D, unit not told"
    assert await stand.exchange(stand.driver.read) == [b"A\r"]


REFUSALS: list[tuple[bytes, bytes, type[LabctlError], str]] = [
    (b"A??M*", b"?\r", InstrumentRefused, "refused '??M*'"),
    (b"A??M*", b"HELLO\r", GarbledReply, "an answer that begins with A"),
    (b"A??M*", b"A  M00 OTHER\rA  M04 Model Number X\rA  M05 Serial Number 1\rA  M09 Software Revision 2\r",
     WrongInstrument, "when asked who made it"),
    (b"AR122", b"A   122 = 034\r", WrongInstrument, "Set its loop control variable to gauge pressure"),
    (b"AFPF 6", b"A +0600.00 4 KPAG\r", WrongInstrument, "tells gauge pressure in KPAG, and config.toml says psi"),
    (b"AFPF 6", b"A +0087.02 10 PSIA\r", WrongInstrument, "tells gauge pressure in PSIA"),
    (b"AFPF 6", b"A 87\r", GarbledReply, "its full scale with its unit"),
    (b"AHC", b"A +000.00 +000.00\r", InstrumentRefused, "does not hold its valves closed"),
    (b"AHC", b"?\r", InstrumentRefused, "5v07 is needed"),
    (b"AHC", b"A +014.70 +025.00 +000.00 +000.00 000.00 N2\r", GarbledReply, "a frame of a pressure controller"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "answer", "error", "sentence"), REFUSALS, ids=range(len(REFUSALS)))
async def test_what_is_no_such_controller_is_not_connected(
    clock: VirtualClock, asked: bytes, answer: bytes, error: type[LabctlError], sentence: str
) -> None:
    stand = Tapped(AlicatPc, Simulator, OPTIONS, clock)
    await stand.refused(stand.driver.connect, asked, answer, error, sentence)


READINGS: list[tuple[bytes, type[LabctlError], str]] = [
    (b"A +029.00 +029.01 POV\r", OverRange, "says POV"),
    (b"A +029.00 +029.01 ADC\r", InstrumentRefused, "its converter has failed"),
    (b"A +029.00 +029.01 EXH\r", InstrumentRefused, "its exhaust valve is open"),
    (b"A +029.00 +029.01 XYZ\r", GarbledReply, "codes among"),
    (b"A +029.00 +020.00\r", InstrumentRefused, "has the set point"),
    (b"A ------- +029.01\r", GarbledReply, "a frame"),
    (b"A +nan +029.01\r", GarbledReply, "a frame"),
    (b"B +029.00 +029.01\r", GarbledReply, "begins with A"),
]


@pytest.mark.parametrize(("answer", "error", "sentence"), READINGS, ids=range(len(READINGS)))
async def test_what_is_no_pressure_is_refused(
    clock: VirtualClock, answer: bytes, error: type[LabctlError], sentence: str
) -> None:
    stand = Tapped(AlicatPc, Simulator, OPTIONS, clock)
    await stand.driver.connect()
    await stand.driver.set_pressure(2e5)
    await stand.refused(stand.driver.read, b"A", answer, error, sentence)


async def test_a_frame_is_pressure_set_point_and_hold(stand: Tapped) -> None:
    await stand.driver.connect()
    stand.answers[b"A"] = b"\nA +029.00 +030.00 LCK HLD\r"
    reading = await stand.driver.read()
    assert reading.pressure == pytest.approx(29.0 * PSI)
    assert reading.setpoint == pytest.approx(30.0 * PSI)
    assert reading.closed


async def test_a_hold_that_was_cancelled_is_seen(stand: Tapped) -> None:
    await stand.driver.connect()
    stand.simulator.restart()
    with pytest.raises(InstrumentRefused, match="regulates, although its valves were held closed"):
        await stand.driver.read()


@pytest.mark.parametrize("pascal", [-1.0, 6.1e5, math.nan, math.inf])
async def test_what_the_piston_is_not_made_for_is_never_sent(stand: Tapped, pascal: float) -> None:
    await stand.driver.connect()
    stand.sent.clear()
    with pytest.raises(RefusedForSafety):
        await stand.driver.set_pressure(pascal)
    assert not stand.sent


async def test_another_controller_after_a_reopening_is_refused(stand: Tapped) -> None:
    about = stand.simulator._about().replace("521641", "521642").encode() + b"\r"
    await stand.refused_as_another(b"A??M*", about)


@given(st.binary(max_size=60), st.integers(0, 60))
def test_lines_and_tables_are_taken_whole_in_any_pieces(rest: bytes, cut: int) -> None:
    framing = LinesAndTables()
    table = b"A  M00 ALICAT SCIENTIFIC\rA  M05 Serial Number 1\rA  M09 Software Revision 2"
    buffer = bytearray(table[:cut])
    assert framing.take(buffer) in (None, table[:cut].partition(b"\r")[0]) if cut < 7 else framing.take(buffer) is None
    buffer = bytearray(table + b"\r" + rest)
    assert framing.take(buffer) == table
    assert bytes(buffer) == rest


async def test_alicat_drives_the_simulator(served: Served) -> None:
    bench = Bench.of(BenchParameters(rig=PressParameters(kind="press", force=0.0)), seed=1)
    simulator = Simulator(bench, "gas negative", OPTIONS)
    simulator.restart()
    async with served(bench, simulator, "pty") as address, FlowController(address) as client:
        assert "10v20" in await client.get_firmware()
        await client.set_pressure(20.0)
        assert client.control_point == "gauge pressure"
        bench.advance_to(30.0)
        with pytest.raises(ValueError, match="zip"):
            await client.get()
        letter, pressure, setpoint = str(await client._write_and_read("A")).split()
        assert (letter, float(setpoint)) == ("A", 20.0)
        assert float(pressure) == pytest.approx(20.0, abs=0.2)
        await client.hold()
        held = [simulator.held]
        await client.cancel_hold()
        assert [*held, simulator.held] == [True, False]
        assert bench.rig.force("negative") == pytest.approx(20.0 * PSI * math.pi * 0.025**2, rel=1e-3)
        await client.close()
