"""The ESPEC driver and its simulator: exact bytes, every refusal, physics.

No client can be run against the simulator: ESPEC's own ChamberConnectLibrary is written in Python 2. The evidence is
that of the manual page: examples of the network guide as others quote them, and the sources of that library.
"""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.espec.driver import AFTER_QUERY, AFTER_SETTING, REASONS, Espec
from drivers.espec.sim import Simulator
from labctl.clock import VirtualClock
from labctl.errors import (
    GarbledReply,
    InstrumentError,
    InstrumentRefused,
    NoReply,
    OverRange,
    RefusedForSafety,
    WrongInstrument,
)
from labctl.instrument import SerialWire
from labctl.link import MemoryLink, open_link
from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.faults import silence
from tests.conftest import Served

OPTIONS = Espec.Options(minimum=-40.0, maximum=150.0)
IDENTIFIED = [b"TYPE?\r\n", b"ROM?\r\n"]
STOPPED = [b"MODE?\r\n", b"MODE, STANDBY\r\n", b"MODE?\r\n"]


class Chamber:
    """A driver on a memory link to a simulator, every message with its instant, and what is answered instead."""

    def __init__(self, clock: VirtualClock, options: Espec.Options = OPTIONS) -> None:
        self.clock = clock
        self.bench = Bench.of(BenchParameters(), seed=1)
        self.simulator = Simulator(self.bench, "bath", options)
        self.sent: list[tuple[float, bytes]] = []
        self.answers: dict[bytes, bytes] = {}
        self.fault: Callable[[bytes], bytes] | None = None
        self.link = MemoryLink(self._receive, self.simulator.reset_line, Espec.WIRE, "A1/thermostat", clock)
        self.driver = Espec(self.link, options, clock)

    def _receive(self, data: bytes) -> bytes:
        self.bench.advance_to(self.clock.now())
        self.sent.append((self.clock.now(), data))
        reply = self.simulator.receive(data)
        answer = self.answers.get(data.strip())
        reply = reply if answer is None else answer + b"\r\n"
        return self.fault(reply) if self.fault else reply

    @property
    def messages(self) -> list[bytes]:
        return [message for _, message in self.sent]


@pytest.fixture
def chamber(clock: VirtualClock) -> Chamber:
    return Chamber(clock)


# -- exact bytes -------------------------------------------------------------------------------------------------------


async def test_connect_identifies_and_stops(chamber: Chamber) -> None:
    chamber.simulator.receive(b"MODE, CONSTANT\r\n")
    identity = await chamber.driver.connect()
    assert str(identity) == "ESPEC SCP220 up to 180.0 °C (serial unknown, firmware JMIC -S1.00)"
    assert chamber.messages == [*IDENTIFIED, *STOPPED]
    assert chamber.bench.room.setpoint is None


async def test_a_chamber_without_power_is_left_off(chamber: Chamber) -> None:
    chamber.simulator.mode = "OFF"
    await chamber.driver.connect()
    assert chamber.messages == [*IDENTIFIED, b"MODE?\r\n"]
    assert not (await chamber.driver.read()).running


async def test_set_temperature_confirms_before_and_after_it_starts(chamber: Chamber) -> None:
    await chamber.driver.connect()
    chamber.sent.clear()
    await chamber.driver.set_temperature(-12.5)
    assert chamber.messages == [b"TEMP, S-12.5\r\n", b"TEMP?\r\n", b"MODE, CONSTANT\r\n", b"MODE?\r\n", b"TEMP?\r\n"]
    assert chamber.bench.room.setpoint == -12.5


async def test_a_reading(chamber: Chamber, clock: VirtualClock) -> None:
    await chamber.driver.connect()
    await chamber.driver.set_temperature(45.0)
    await clock.sleep(3 * 3600.0)
    chamber.sent.clear()
    reading = await chamber.driver.read()
    assert chamber.messages == [b"ALARM?\r\n", b"TEMP?\r\n", b"MODE?\r\n"]
    assert (reading.setpoint, reading.running, reading.external) == (45.0, True, None)
    assert reading.bath == pytest.approx(45.0, abs=0.2)


async def test_an_address_goes_before_every_message(clock: VirtualClock) -> None:
    chamber = Chamber(clock, Espec.Options(minimum=-40.0, maximum=150.0, id=3))
    await chamber.driver.connect()
    await chamber.driver.set_temperature(45.0)
    await chamber.driver.read()
    assert all(message.startswith(b"3,") for message in chamber.messages)
    assert b"3,TEMP, S45.0\r\n" in chamber.messages
    alone = Chamber(clock)
    assert alone.simulator.receive(b"3,TYPE?\r\n") == b"", "another one is not answered"


async def test_the_pauses_of_the_guide_are_kept(chamber: Chamber) -> None:
    await chamber.driver.connect()
    await chamber.driver.set_temperature(45.0)
    await chamber.driver.read()
    for (before, message), (after, _) in pairwise(chamber.sent):
        assert after - before >= (AFTER_QUERY if message.endswith(b"?\r\n") else AFTER_SETTING) - 1e-6


# -- what it answers, as the guide's examples are quoted ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "model"),
    [
        (b"T,T,S2,160.0", "S2 up to 160.0 °C"),
        (b"T, S2, 180.0", "S2 up to 180.0 °C"),
        (b"T,SCP220,190.0", "SCP220 up to 190.0 °C"),
    ],
)
async def test_types(chamber: Chamber, type_: bytes, model: str) -> None:
    chamber.answers[b"TYPE?"] = type_
    assert (await chamber.driver.connect()).model == model


@pytest.mark.parametrize(
    ("reply", "bath", "setpoint"),
    [
        (b"23.0, 85.0, 105.0, -45.0", 23.0, 85.0),
        (b"26.4,0.0,140.0,-50.0", 26.4, 0.0),
        (b"-39.8,-40,1,-90", -39.8, -40.0),
    ],
)
async def test_temperatures(chamber: Chamber, reply: bytes, bath: float, setpoint: float) -> None:
    await chamber.driver.connect()
    chamber.answers[b"TEMP?"] = reply
    reading = await chamber.driver.read()
    assert (reading.bath, reading.setpoint) == (bath, setpoint)


@pytest.mark.parametrize("acknowledged", [b"OK:TEMP,S45.0", b"OK:TEMP, S45.0", b"OK:3,TEMP, S45.0"])
async def test_acknowledgements(clock: VirtualClock, acknowledged: bytes) -> None:
    chamber = Chamber(clock, Espec.Options(minimum=-40.0, maximum=150.0, id=3))
    await chamber.driver.connect()
    chamber.answers[b"3,TEMP, S45.0"] = acknowledged
    await chamber.driver.set_temperature(45.0)


# -- refusals ----------------------------------------------------------------------------------------------------------

BROKEN: list[tuple[bytes, bytes, type[InstrumentError], str]] = [
    (b"TEMP?", b"nan, 45.0, 105.0, -45.0", GarbledReply, "four temperatures"),
    (b"TEMP?", b"23.0, 45.0", GarbledReply, "four temperatures"),
    (b"TEMP?", b"23.0 F, 45.0, 105.0, -45.0", GarbledReply, "four temperatures"),
    (b"TEMP?", b"OK:TEMP?", GarbledReply, "four temperatures"),
    (b"TEMP?", b"23.0\xb0, 45.0, 105.0, -45.0", GarbledReply, "printable ASCII"),
    (b"TEMP?", b"999.9, 45.0, 105.0, -45.0", OverRange, "reports 999.9 °C for the chamber"),
    (b"TEMP?", b"23.0, 113.0, 105.0, -45.0", InstrumentRefused, "has the set point 113 °C where 45 °C was set"),
    (b"MODE?", b"RUN", InstrumentRefused, "is in the mode RUN: a program runs there"),
    (b"MODE?", b"HOLIDAY", GarbledReply, "OFF, STANDBY, CONSTANT or RUN"),
    (b"ALARM?", b"2, 7, 12", InstrumentRefused, "has alarm 7,12"),
    (b"ALARM?", b"2, 7", GarbledReply, "the count of alarms"),
    (b"ALARM?", b"", GarbledReply, "the count of alarms"),
]


@pytest.mark.parametrize(("request_", "reply", "error", "sentence"), BROKEN)
async def test_what_is_no_reading_is_refused(
    chamber: Chamber, request_: bytes, reply: bytes, error: type[InstrumentError], sentence: str
) -> None:
    await chamber.driver.connect()
    await chamber.driver.set_temperature(45.0)
    chamber.answers[request_] = reply
    with pytest.raises(error, match=sentence) as told:
        await chamber.driver.read()
    assert "A1/thermostat" in str(told.value)


@pytest.mark.parametrize(("reason", "meaning"), REASONS.items())
async def test_every_refusal_tells_its_reason(chamber: Chamber, reason: str, meaning: str) -> None:
    await chamber.driver.connect()
    chamber.answers[b"TEMP, S45.0"] = f"NA:{reason}".encode()
    with pytest.raises(InstrumentRefused) as told:
        await chamber.driver.set_temperature(45.0)
    assert f"refused 'TEMP, S45.0': {reason} ({meaning})" in str(told.value)
    assert chamber.bench.room.setpoint is None


async def test_a_refusal_that_nobody_knows_is_told_as_it_is(chamber: Chamber) -> None:
    chamber.answers[b"TYPE?"] = b"NA:CMD_ERR"
    with pytest.raises(InstrumentRefused, match=r"refused 'TYPE\?': CMD ERR \(it does not know this command\)"):
        await chamber.driver.connect()
    chamber.answers[b"TYPE?"] = b"NA:TOO LATE"
    with pytest.raises(InstrumentRefused, match=r"TOO LATE \(a reason that is not in its list\)"):
        await chamber.driver.connect()


async def test_another_instrument_is_refused(chamber: Chamber) -> None:
    chamber.answers[b"TYPE?"] = b"ACME LC-1"
    with pytest.raises(WrongInstrument, match=r"answers 'ACMELC-1' to TYPE\?"):
        await chamber.driver.connect()


async def test_another_chamber_after_a_reopening_is_refused(chamber: Chamber) -> None:
    await chamber.driver.connect()
    chamber.simulator.restart(other=True)
    chamber.fault = silence
    with pytest.raises(NoReply):
        await chamber.driver.read()
    chamber.fault = None
    with pytest.raises(WrongInstrument, match=r"firmware JMIC -S1\.10"):
        await chamber.driver.read()


@pytest.mark.parametrize(
    ("request_", "reply", "sentence"),
    [
        (b"TEMP, S45.0", b"OK:TEMP,S54.0", "expected OK:TEMP,S45.0"),
        (b"TEMP?", b"23.0, 25.0, 105.0, -45.0", "has the set point 25 °C where 45 °C was set"),
    ],
)
async def test_nothing_heats_after_a_wrong_answer(
    chamber: Chamber, request_: bytes, reply: bytes, sentence: str
) -> None:
    await chamber.driver.connect()
    chamber.answers[request_] = reply
    with pytest.raises(InstrumentError, match=sentence):
        await chamber.driver.set_temperature(45.0)
    assert chamber.bench.room.setpoint is None


async def test_a_chamber_that_does_not_start_or_stop_is_told(chamber: Chamber) -> None:
    await chamber.driver.connect()
    chamber.answers[b"MODE?"] = b"STANDBY"
    with pytest.raises(InstrumentRefused, match="is in the mode STANDBY after MODE, CONSTANT"):
        await chamber.driver.set_temperature(45.0)
    chamber.answers[b"MODE?"] = b"CONSTANT"
    with pytest.raises(InstrumentRefused, match="is in the mode CONSTANT after MODE, STANDBY"):
        await chamber.driver.stop()


async def test_settings_that_are_protected_or_out_of_range_are_told_with_a_remedy(chamber: Chamber) -> None:
    await chamber.driver.connect()
    with pytest.raises(InstrumentRefused, match="widen the chamber's alarm limits"):
        await chamber.driver.set_temperature(110.0)
    chamber.simulator.protected = True
    with pytest.raises(InstrumentRefused, match="Switch the protection of settings off"):
        await chamber.driver.set_temperature(40.0)


@pytest.mark.parametrize("celsius", [-40.1, 150.1, float("nan")])
async def test_a_temperature_outside_its_range_is_refused(chamber: Chamber, celsius: float) -> None:
    with pytest.raises(RefusedForSafety, match="is not within -40 °C to 150 °C"):
        await chamber.driver.set_temperature(celsius)
    assert not chamber.sent


@pytest.mark.parametrize("wrong", [{"id": 0}, {"id": 17}, {"baudrate": 9601}, {"minimum": 200.0}])
def test_options_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Espec.Options.model_validate({"minimum": -40.0, "maximum": 150.0, **wrong})


# -- the simulator -----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 70), max_size=6), st.binary(max_size=20))
def test_the_simulator_takes_bytes_in_any_pieces_and_survives_noise(cuts: list[int], noise: bytes) -> None:
    simulator = Simulator(Bench.of(BenchParameters(), seed=1), "bath", OPTIONS)
    simulator.receive(noise + b"\r\n")
    script = b"TEMP, S42.5\r\nMODE?\r\nALARM?\r\nTEMP, X1\r\nSING\r\n"
    edges = [0, *sorted(cuts), len(script)]
    said = b"".join(simulator.receive(script[low:high]) for low, high in pairwise(edges))
    assert said == b"OK:TEMP,S42.5\r\nSTANDBY\r\n0\r\nNA:PARA ERR\r\nNA:CMD ERR\r\n"


async def test_the_driver_over_a_pseudo_terminal(clock: VirtualClock, served: Served) -> None:
    bench = Bench.of(BenchParameters(), seed=1)
    async with served(bench, Simulator(bench, "bath", OPTIONS), "pty") as address:
        wire = Espec.Options(minimum=-40.0, maximum=150.0, baudrate=19200).wire(Espec.WIRE)
        assert isinstance(wire, SerialWire)
        assert wire.baudrate == 19200
        link = open_link(address, wire, "A1/thermostat", clock, simulated=True)
        try:
            driver = Espec(link, OPTIONS, clock)
            await driver.connect()
            await driver.set_temperature(30.0)
            assert (await driver.read()).running
        finally:
            await link.close()
