"""The JULABO driver and its simulator: exact bytes, refusals, physics; the `julabo` package is the other client."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from julabo import JulaboCF, connection_for_url

from drivers.julabo.driver import Julabo
from drivers.julabo.sim import Simulator
from labctl.clock import VirtualClock
from labctl.errors import GarbledReply, InstrumentRefused, NoReply, OverRange, RefusedForSafety, WrongInstrument
from labctl.instrument import Identity, Thermostat
from labctl.link import MemoryLink, open_link
from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.faults import Fault, Faulty, Garbage, half, silence

OPTIONS = Julabo.Options(minimum=5.0, maximum=95.0, external_probe=True)
IDENTITY = Identity("JULABO", "CRYOCOMPACT CF31", "", "5.0")
STOPPED = [b"out_mode_05 0\r", b"status\r"]


class Rig:
    """A driver on a memory link to a simulator, and every message with its instant."""

    def __init__(self, clock: VirtualClock, options: Julabo.Options = OPTIONS) -> None:
        self.bench = Bench.of(BenchParameters(), seed=1)
        self.simulator = Simulator(self.bench, "bath", options)
        self.sent: list[tuple[float, bytes]] = []
        self.fault: Fault | None = None
        self.when: Callable[[bytes], bool] = lambda _: True
        self._clock = clock
        self.link = MemoryLink(self._receive, self.simulator.reset_line, Julabo.WIRE, "A1/thermostat", clock)
        self.driver = Julabo(self.link, options, clock)

    def _receive(self, data: bytes) -> bytes:
        self.sent.append((self._clock.now(), data))
        self.bench.advance_to(self._clock.now())
        if self.fault is None:
            return self.simulator.receive(data)
        return Faulty(self.simulator, self.fault, self.when).receive(data)

    @property
    def messages(self) -> list[bytes]:
        return [message for _, message in self.sent]

    @property
    def heats(self) -> bool:
        return self.bench.room.setpoint is not None or any(b"mode_05 1" in message for message in self.messages)


async def _start(driver: Thermostat) -> None:
    await driver.connect()
    await driver.set_temperature(45)


@pytest.fixture
def rig(clock: VirtualClock) -> Rig:
    return Rig(clock)


async def test_connect_identifies_and_stops(rig: Rig) -> None:
    rig.simulator.receive(b"out_mode_05 1\r")
    assert await rig.driver.connect() == IDENTITY
    assert rig.messages == [b"version\r", *STOPPED]
    assert not rig.heats


async def test_set_temperature_confirms_before_it_starts(rig: Rig) -> None:
    await rig.driver.connect()
    rig.sent.clear()
    await rig.driver.set_temperature(45)
    assert rig.messages == [b"out_sp_00 45.00\r", b"status\r", b"in_sp_00\r", b"out_mode_05 1\r", b"status\r"]
    assert rig.bench.room.setpoint == 45.0


async def test_the_pauses_of_the_manual_are_kept(rig: Rig) -> None:
    await rig.driver.connect()
    await rig.driver.set_temperature(45)
    for (before, message), (after, _) in pairwise(rig.sent):
        assert after - before >= (0.250 if message.startswith(b"out") else 0.010) - 1e-9


async def test_bath_and_cell_reach_the_set_point(rig: Rig, clock: VirtualClock) -> None:
    driver: Thermostat = rig.driver
    await driver.connect()
    await driver.set_temperature(45)
    cold = await driver.read()
    await clock.sleep(4 * 3600)
    warm = await driver.read()
    assert (cold.running, cold.setpoint, warm.setpoint) == (True, 45.0, 45.0)
    assert cold.bath < 30
    assert warm.bath == pytest.approx(45, abs=0.1)
    assert warm.external == pytest.approx(45, abs=0.2)


async def test_safe_state_stops(rig: Rig) -> None:
    await rig.driver.connect()
    await rig.driver.set_temperature(45)
    await rig.driver.safe_state()
    assert rig.messages[-2:] == STOPPED
    assert rig.bench.room.setpoint is None
    assert not (await rig.driver.read()).running


async def test_without_a_probe_none_is_asked_for(clock: VirtualClock) -> None:
    rig = Rig(clock, Julabo.Options(minimum=5.0, maximum=95.0))
    await rig.driver.connect()
    assert (await rig.driver.read()).external is None
    assert b"in_pv_02\r" not in rig.messages


@pytest.mark.parametrize("celsius", [4.99, 95.01, float("nan"), float("inf")])
async def test_temperatures_beyond_the_configuration_are_refused(rig: Rig, celsius: float) -> None:
    await rig.driver.connect()
    rig.sent.clear()
    with pytest.raises(RefusedForSafety, match="is not within 5 °C to 95 °C"):
        await rig.driver.set_temperature(celsius)
    assert rig.sent == []


async def test_manual_mode_is_refused_with_the_remedy(rig: Rig) -> None:
    rig.simulator.remote = False
    with pytest.raises(InstrumentRefused, match="-09 COMMAND NOT ALLOWED") as refused:
        await rig.driver.connect()
    assert refused.value.remedy == "Set the circulator to remote control (serial interface) in its menu."
    assert not rig.heats


async def test_manual_mode_is_seen_in_the_status_alone(rig: Rig) -> None:
    rig.fault, rig.when = Garbage(b"01 MANUAL START\r\n"), lambda message: message == b"status\r"
    with pytest.raises(InstrumentRefused, match='is not in remote control \\("01 MANUAL START"\\)'):
        await rig.driver.connect()


async def test_the_instruments_own_limits_are_reported(clock: VirtualClock) -> None:
    rig = Rig(clock, Julabo.Options(minimum=5.0, maximum=300.0))
    await rig.driver.connect()
    with pytest.raises(InstrumentRefused, match="-11 VALUE TOO LARGE") as refused:
        await rig.driver.set_temperature(250)
    assert refused.value.remedy.startswith("Choose a lower set point")
    assert not rig.heats


@pytest.mark.parametrize(
    ("request_", "reply", "error", "sentence"),
    [
        (b"version\r", b"MAGIO\r\n", WrongInstrument, 'calls itself "MAGIO", not a JULABO'),
        (b"version\r", b"\xff\xfe\r\n", GarbledReply, "expected ASCII text"),
        (b"status\r", b"REMOTE\r\n", GarbledReply, "expected a status of two digits and words"),
        (b"status\r", b"-01 LOW LEVEL ALARM\r\n", InstrumentRefused, 'says "-01 LOW LEVEL ALARM"'),
        (b"status\r", b"03 REMOTE START\r\n", InstrumentRefused, 'is in "03 REMOTE START" after "out_mode_05 0"'),
        (b"in_sp_00\r", b"25.00\r\n", InstrumentRefused, "has the set point 25 °C where 45 °C was set"),
        (b"in_sp_00\r", b"45.0.0\r\n", GarbledReply, "expected a temperature"),
    ],
)
async def test_nothing_heats_after_a_wrong_answer(
    rig: Rig, request_: bytes, reply: bytes, error: type[Exception], sentence: str
) -> None:
    rig.fault, rig.when = Garbage(reply), lambda message: message == request_
    with pytest.raises(error) as caught:
        await _start(rig.driver)
    assert sentence in str(caught.value)
    assert not rig.heats


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"nan\r\n", GarbledReply),
        (b"inf\r\n", GarbledReply),
        (b"\r\n", GarbledReply),
        (b"25.00 F\r\n", GarbledReply),
        (b"2 5.00\r\n", GarbledReply),
        (b"25.00\r\n25.00\r\n", GarbledReply),  # nobody asked for the second: noticed before the next question
        (b"850.00\r\n", OverRange),
        (b"-240.00\r\n", OverRange),
    ],
)
async def test_a_temperature_is_a_temperature_or_an_error(
    rig: Rig, reply: bytes, error: type[Exception] | None
) -> None:
    await rig.driver.connect()
    rig.fault, rig.when = Garbage(reply), lambda message: message == b"in_pv_00\r"
    with pytest.raises(error):
        await rig.driver.read()


async def test_half_a_reply_and_none_are_timeouts_and_the_line_recovers(rig: Rig) -> None:
    await rig.driver.connect()
    for fault in (half, silence):
        rig.fault = fault
        with pytest.raises(NoReply):
            await rig.driver.read()
        rig.fault = None
        assert (await rig.driver.read()).setpoint == 25.0


async def test_regulation_outlives_a_reopened_line(rig: Rig) -> None:
    await rig.driver.connect()
    await rig.driver.set_temperature(45)
    rig.fault = silence
    with pytest.raises(NoReply):
        await rig.driver.read()
    rig.fault = None
    rig.sent.clear()
    assert (await rig.driver.read()).running
    assert rig.messages[0] == b"version\r"


async def test_another_circulator_after_a_reopening_is_refused(rig: Rig) -> None:
    await rig.driver.connect()
    rig.fault = silence
    with pytest.raises(NoReply):
        await rig.driver.read()
    rig.fault, rig.when = Garbage(b"JULABO CF40 VERSION 5.0\r\n"), lambda message: message == b"version\r"
    with pytest.raises(WrongInstrument, match="is now JULABO CF40"):
        await rig.driver.read()


async def test_flow_control_characters_are_dropped(rig: Rig) -> None:
    rig.fault = lambda reply: reply.replace(b" ", b"\x13 ").replace(b"\r", b"\x11\r") if reply else reply
    assert await rig.driver.connect() == IDENTITY


async def test_line_feed_alone_ends_a_reply(rig: Rig) -> None:
    rig.fault = lambda reply: reply.replace(b"\r", b"")
    assert await rig.driver.connect() == IDENTITY


def test_limits_must_be_given_and_ordered() -> None:
    with pytest.raises(ValueError, match="minimum"):
        Julabo.Options.model_validate({})
    with pytest.raises(ValueError, match="must be below maximum"):
        Julabo.Options(minimum=50.0, maximum=20.0)


@given(st.data())
def test_the_simulator_takes_bytes_in_any_pieces(data: st.DataObject) -> None:
    script = b"version\rOUT_SP_00 42.5\rstatus\rin_sp_00\rout_mode_05 7\rstatus\rnonsense\rstatus\rstatus\r"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(script) - 1), max_size=6)))
    simulator = Simulator(Bench.of(BenchParameters(), seed=1), "bath", OPTIONS)
    pieces = [script[a:b] for a, b in pairwise([0, *cuts, len(script)])]
    assert b"".join(simulator.receive(piece) for piece in pieces) == (
        b"JULABO CRYOCOMPACT CF31 VERSION 5.0\r\n02 REMOTE STOP\r\n42.50\r\n-08 INVALID COMMAND\r\n"
        b"-08 INVALID COMMAND\r\n02 REMOTE STOP\r\n"
    )


@given(st.binary(max_size=60))
def test_the_simulator_survives_any_bytes(noise: bytes) -> None:
    simulator = Simulator(Bench.of(BenchParameters(), seed=1), "bath", OPTIONS)
    simulator.receive(noise + b"\rout_mode_05 0\r")
    assert simulator.receive(b"version\r").endswith(b"VERSION 5.0\r\n")


async def test_the_driver_works_over_a_pseudo_terminal(clock: VirtualClock, served) -> None:  # type: ignore[no-untyped-def]
    bench = Bench.of(BenchParameters(), seed=1)
    async with served(bench, Simulator(bench, "bath", OPTIONS), "pty") as address:
        link = open_link(address, Julabo.WIRE, "A1/thermostat", clock, simulated=True)
        driver = Julabo(link, OPTIONS, clock)
        assert await driver.connect() == IDENTITY
        await driver.set_temperature(30)
        assert (await driver.read()).running
        await link.close()


async def test_the_julabo_package_drives_the_simulator(served, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    # The package's own pause after a command would sleep in host time.
    monkeypatch.setattr("julabo.protocol.BaseProtocol.COMMAND_LATENCY", 0.0)
    bench = Bench.of(BenchParameters(), seed=1)
    async with served(bench, Simulator(bench, "bath", OPTIONS), "tcp://127.0.0.1:0") as address:
        _, host, port, _ = address.split("::")
        connection = connection_for_url(f"tcp://{host}:{port}", concurrency="asyncio")
        await connection.open()
        circulator = JulaboCF(connection)
        async with asyncio.timeout(5):
            assert await circulator.identification() == "JULABO CRYOCOMPACT CF31 VERSION 5.0"
            assert await circulator.status() == "02 REMOTE STOP"
            assert not await circulator.is_started()
            await circulator.set_point_1(42.5)
            assert await circulator.set_point_1() == 42.5
            await circulator.start()
            assert await circulator.is_started()
            assert await circulator.status() == "03 REMOTE START"
            assert await circulator.bath_temperature() == pytest.approx(23, abs=1)
            assert await circulator.external_temperature() == pytest.approx(23, abs=1)
            assert await circulator.heating_power() > 0
            assert await circulator.active_set_point_channel() == 1
            await circulator.stop()
            assert not await circulator.is_started()
        await connection.close()
