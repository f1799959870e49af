"""The Keithley 2450 driver: exact bytes, what bounds the cell at every moment, refusals, faults, recovery."""

import asyncio
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.keithley_2450.driver import READ, Keithley2450
from drivers.keithley_2450.sim import Simulator
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
from labctl.instrument import Cycler, Identity, Limiting, Range
from labctl.link import MemoryLink, open_link
from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.cell import CurrentSource, Open, Source, VoltageSource
from labctl.sim.faults import Fault, Faulty, Garbage, half, silence

IDENTITY = Identity("KEITHLEY INSTRUMENTS", "2450", "04399999", "1.7.12b")
WINDOW = Range(2.5, 4.3)
STATE = ":OUTP:VOLT:SMOD?;:OUTP:CURR:SMOD?;:OUTP?"
OPENING = [
    b":OUTP:VOLT:SMOD HIMP;:OUTP:CURR:SMOD HIMP\n",
    b":OUTP OFF\n",
    f"{STATE}\n".encode(),
]


class Bay:
    """A driver on a memory link to a simulated 2450 with a cell, and what was sent and done to the cell."""

    def __init__(self, clock: VirtualClock, *, four_wire: bool = False) -> None:
        options = Keithley2450.Options(four_wire=four_wire)
        self.bench = Bench.of(BenchParameters(), seed=1)
        self.simulator = Simulator(self.bench, "cell", options)
        self.sent: list[bytes] = []
        self.fault: Fault | None = None
        self.when: Callable[[bytes], bool] = lambda _: True
        self.rewrite: Callable[[bytes], bytes] = lambda message: message
        self._clock = clock
        self.link = MemoryLink(self._receive, self.simulator.reset_line, Keithley2450.WIRE, "A1/cycler", clock)
        self.driver = Keithley2450(self.link, options, clock)

    def _receive(self, data: bytes) -> bytes:
        self.sent.append(data)
        self.bench.advance_to(self._clock.now())
        instrument = Faulty(self.simulator, self.fault, self.when) if self.fault else self.simulator
        return instrument.receive(self.rewrite(data))

    async def ready(self) -> Cycler:
        """Connect and arm; forget the bytes."""
        await self.driver.connect()
        await self.driver.arm(WINDOW, 0.02)
        self.sent.clear()
        return self.driver

    def garble(self, reply: bytes, to: str) -> None:
        """From now on answer one request so."""
        self.fault, self.when = Garbage(reply), lambda message: message == f"{to}\n".encode()

    @property
    def energised(self) -> bool:
        return b":OUTP ON\n" in self.sent or not isinstance(self.bench.cell.source, Open)


@pytest.fixture
def bay(clock: VirtualClock) -> Bay:
    return Bay(clock)


# -- connecting --------------------------------------------------------------------------------------------------------


async def test_connect_identifies_before_it_commands_and_opens_the_circuit(bay: Bay) -> None:
    assert await bay.driver.connect() == IDENTITY
    assert bay.sent == [b"*IDN?\n", b"*LANG?\n", *OPENING, b"*CLS\n", b":SYST:ERR?\n"]
    assert not bay.energised


async def test_connect_ends_the_normal_off_state(bay: Bay) -> None:
    bay.simulator.receive(b"*RST\n")
    assert isinstance(bay.bench.cell.source, VoltageSource)
    await bay.driver.connect()
    assert isinstance(bay.bench.cell.source, Open)


async def test_connect_switches_off_what_someone_left_on(bay: Bay) -> None:
    bay.simulator.receive(b":SOUR:VOLT 4.1;:SOUR:VOLT:ILIM 1e-3;:OUTP ON;:OUTP:VOLT:SMOD NORM\n")
    assert bay.energised
    await bay.driver.connect()
    assert isinstance(bay.bench.cell.source, Open)


async def test_connect_drops_errors_of_an_earlier_client(bay: Bay) -> None:
    bay.simulator.receive(b":NONSENSE\n:OUTP MAYBE\n")
    await bay.driver.connect()
    assert bay.simulator.receive(b":SYST:ERR?\n") == b'0,"No error;0;0 0"\n'


@pytest.mark.parametrize(
    ("request_", "reply", "error", "sentence"),
    [
        ("*IDN?", b"KEITHLEY INSTRUMENTS,MODEL 2400,1,1\n", WrongInstrument, "2400, not a Keithley 2450, 2460 or 2461"),
        ("*IDN?", b"RIGOL,MODEL 2450,1,1\n", WrongInstrument, "is a RIGOL 2450, not"),
        ("*IDN?", b"Mark-10\n", GarbledReply, "expected maker, model, serial number and firmware"),
        ("*IDN?", b"\xfa\x00\xff\n", GarbledReply, "expected ASCII text"),
        ("*IDN?", b"\n", GarbledReply, "expected maker"),
        ("*LANG?", b"TSP\n", WrongInstrument, "uses the command set TSP, not SCPI"),
        ("*LANG?", b"SCPI2400\n", WrongInstrument, "Choose SCPI at the instrument"),
        (
            STATE,
            b"HIMP;NORM;0\n",
            InstrumentRefused,
            "Disconnect the cell by hand",
        ),
        (STATE, b"HIMP;HIMP;1\n", InstrumentRefused, "did not open the circuit"),
        (":SYST:ERR?", b'-363,"Input buffer over-run;1;0 0"\n', InstrumentRefused, "Input buffer over-run (-363)"),
        (":SYST:ERR?", b"0\n", GarbledReply, "expected an error code and its text"),
    ],
)
async def test_a_wrong_answer_to_connect(
    bay: Bay, request_: str, reply: bytes, error: type[InstrumentError], sentence: str
) -> None:
    bay.garble(reply, to=request_)
    with pytest.raises(error) as caught:
        await bay.driver.connect()
    assert sentence in str(caught.value)
    assert not bay.energised


async def test_a_wrong_instrument_is_asked_and_never_told(bay: Bay) -> None:
    bay.garble(b"ACME,MODEL 1,1,1\n", to="*IDN?")
    with pytest.raises(WrongInstrument):
        await bay.driver.connect()
    assert bay.sent == [b"*IDN?\n"]


# -- driving -----------------------------------------------------------------------------------------------------------


async def test_drive_sets_and_confirms_everything_before_the_output_closes(bay: Bay) -> None:
    driver = await bay.ready()
    await driver.drive(1.5e-3, 4.3)
    settings = (
        b':SOUR:FUNC VOLT;:SENS:FUNC "CURR:DC";:SENS:CURR:UNIT AMP;:SENS:CURR:NPLC 1;:SENS:CURR:RSEN 0;'
        b":SENS:CURR:AVER 0;:SENS:CURR:REL:STAT 0;:SENS:CURR:RANG 0.01;:SENS:COUN 1;:SOUR:VOLT:READ:BACK 1;"
        b":SOUR:VOLT:RANG 20;:SOUR:VOLT:ILIM 0.0015;:SOUR:VOLT 4.3\n"
    )
    headers = (
        ":SOUR:FUNC;:SENS:FUNC;:SENS:CURR:UNIT;:SENS:CURR:NPLC;:SENS:CURR:RSEN;:SENS:CURR:AVER;:SENS:CURR:REL:STAT;"
        ":SENS:CURR:RANG;:SENS:COUN;:SOUR:VOLT:READ:BACK;:SOUR:VOLT:RANG;:SOUR:VOLT:ILIM;:SOUR:VOLT"
    )
    assert bay.sent == [
        *OPENING,
        settings,
        b":SYST:ERR?\n",
        headers.replace(";", "?;").encode() + b"?\n",
        b":OUTP ON\n",
        b":OUTP?\n",
    ]
    assert bay.bench.cell.source == VoltageSource(4.3, 1.5e-3)


async def test_rest_sources_no_current_in_the_smallest_range(bay: Bay) -> None:
    driver = await bay.ready()
    await driver.rest()
    assert b":SOUR:CURR:RANG 1e-08;:SOUR:CURR:VLIM 4.515;:SOUR:CURR 0\n" in b"".join(bay.sent)
    assert bay.bench.cell.source == CurrentSource(0.0, 4.515)
    reading = await driver.read()
    assert reading.voltage == pytest.approx(bay.bench.cell.voltage, abs=1e-3)
    assert abs(reading.current) < 1e-9
    assert (reading.output, reading.limiting) == (True, Limiting.CURRENT)


async def test_charge_and_discharge_read_with_their_signs(bay: Bay, clock: VirtualClock) -> None:
    driver = await bay.ready()
    await driver.drive(1.5e-4, 4.3)
    await clock.sleep(4 * 3600)
    charging = await driver.read()
    assert charging.current == pytest.approx(1.5e-4, rel=1e-3)
    assert (charging.output, charging.limiting) == (True, Limiting.CURRENT)
    await driver.drive(-1.5e-4, 2.5)
    discharging = await driver.read()
    assert discharging.current == pytest.approx(-1.5e-4, rel=1e-3)
    assert discharging.voltage < charging.voltage


async def test_the_end_voltage_is_held_by_the_hardware_while_nobody_looks(bay: Bay, clock: VirtualClock) -> None:
    driver = await bay.ready()
    await driver.drive(2e-4, 4.3)
    await clock.sleep(3 * 86400)
    reading = await driver.read()
    assert reading.voltage == pytest.approx(4.3, abs=1e-3)
    assert abs(reading.current) < 1e-4
    assert reading.limiting is Limiting.VOLTAGE


async def test_one_exchange_a_poll(bay: Bay) -> None:
    driver = await bay.ready()
    await driver.drive(2e-4, 4.3)
    bay.sent.clear()
    await driver.read()
    assert bay.sent == [f"{READ}\n".encode()]


async def test_same_range_changes_under_a_closed_output(bay: Bay) -> None:
    driver = await bay.ready()
    await driver.drive(2e-4, 4.3)
    bay.sent.clear()
    await driver.drive(-5e-4, 2.5)
    assert bay.sent[:2] == [b":OUTP?\n", b":SOUR:VOLT:ILIM 0.0002;:SOUR:VOLT 2.5;:SOUR:VOLT:ILIM 0.0005\n"]
    assert b":OUTP OFF\n" not in bay.sent
    assert bay.bench.cell.source == VoltageSource(2.5, 5e-4)


async def test_the_same_drive_again_changes_nothing(bay: Bay) -> None:
    driver = await bay.ready()
    await driver.drive(2e-4, 4.3)
    bay.sent.clear()
    await driver.drive(2e-4, 4.3)
    assert bay.sent == [b":OUTP?\n"]


@given(
    st.lists(st.tuples(st.floats(1e-8, 0.02), st.sampled_from((1, -1)), st.floats(2.5, 4.3)), min_size=2, max_size=4),
    st.booleans(),
)
def test_no_drive_passes_through_a_wrong_bound(steps: list[tuple[float, int, float]], rests: bool) -> None:
    async def scenario() -> None:
        bay = Bay(VirtualClock(0.0))
        driver = await bay.ready()
        seen: list[Source] = []
        drive = bay.bench.cell.drive
        bay.bench.cell.drive = lambda source: (seen.append(source), drive(source))[1]  # type: ignore[method-assign]
        allowed: list[tuple[float, float]] = []
        for current, sign, voltage in steps:
            seen.clear()
            allowed = [*allowed[-1:], (voltage, current)]
            await driver.drive(sign * current, voltage)
            assert all(isinstance(source, Open) or _within(source, allowed) for source in seen)
            assert _within(bay.bench.cell.source, allowed[-1:])
            if rests:
                await driver.rest()
                allowed.clear()

    asyncio.run(scenario())


def _within(source: Source, allowed: list[tuple[float, float]]) -> bool:
    return isinstance(source, VoltageSource) and any(
        math.isclose(source.voltage, voltage, rel_tol=1e-8) and source.current_limit <= current * (1 + 1e-8)
        for voltage, current in allowed
    )


async def test_off_opens_and_the_voltage_is_unknown(bay: Bay) -> None:
    driver = await bay.ready()
    await driver.drive(2e-4, 4.3)
    await driver.off()
    assert isinstance(bay.bench.cell.source, Open)
    reading = await driver.read()
    assert reading.voltage is None
    assert (reading.current, reading.output, reading.limiting) == (0.0, False, None)


async def test_four_wires(clock: VirtualClock) -> None:
    bay = Bay(clock, four_wire=True)
    driver = await bay.ready()
    await driver.drive(2e-4, 4.3)
    assert b":SENS:CURR:RSEN 1;" in b"".join(bay.sent)
    assert (await driver.read()).output
    bay.simulator.receive(b":SENS:CURR:RSEN OFF\n")
    with pytest.raises(InstrumentRefused, match="measured with two wires although four were set"):
        await driver.read()


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "current"),
    [
        (Range(2.5, 20.1), 0.1),
        (Range(-21, 4), 0.1),
        (Range(4.3, 2.5), 0.1),
        (Range(2.5, 4.3), 1.1),
        (Range(2.5, 4.3), 0.0),
        (Range(2.5, 4.3), math.nan),
        (Range(math.nan, 4.3), 0.1),
    ],
)
async def test_limits_beyond_the_instrument_are_refused(bay: Bay, window: Range, current: float) -> None:
    await bay.ready()
    with pytest.raises(RefusedForSafety, match="is not within -20 V to 20 V and 1 A"):
        await bay.driver.arm(window, current)
    assert bay.sent == []


@pytest.mark.parametrize(
    ("current", "voltage"),
    [
        (0.021, 4.3),
        (-0.021, 2.5),
        (1e-3, 4.31),
        (0.01, 2.4),
        (0.0, 4.0),
        (1e-10, 4.0),
        (math.nan, 4.0),
        (1e-3, math.nan),
    ],
)
async def test_drives_beyond_the_armed_limits_are_refused(bay: Bay, current: float, voltage: float) -> None:
    driver = await bay.ready()
    with pytest.raises(RefusedForSafety, match=r"is not within 2\.5 V to 4.3 V and 1e-09 A to 0\.02 A"):
        await driver.drive(current, voltage)
    assert bay.sent == []


async def test_nothing_closes_before_limits_are_armed(bay: Bay) -> None:
    await bay.driver.connect()
    with pytest.raises(RefusedForSafety, match="no limits were set"):
        await bay.driver.drive(1e-3, 4.0)
    with pytest.raises(RefusedForSafety, match="no limits were set"):
        await bay.driver.rest()
    assert not bay.energised


async def test_a_queued_error_keeps_the_output_open(bay: Bay) -> None:
    driver = await bay.ready()
    bay.rewrite = lambda message: message.replace(b":SENS:CURR:NPLC", b":SENS:CURR:NPLX")
    with pytest.raises(InstrumentRefused, match=r"refused a setting: Undefined header \(-113\)"):
        await driver.drive(1e-3, 4.0)
    assert not bay.energised


async def test_a_setting_that_did_not_stick_keeps_the_output_open(bay: Bay) -> None:
    driver = await bay.ready()
    bay.rewrite = lambda message: message.replace(b":SOUR:VOLT 4\n", b":SOUR:VOLT 4.1\n")
    with pytest.raises(InstrumentRefused, match=r"has 4\.1 at :SOUR:VOLT where 4 was set"):
        await driver.drive(1e-3, 4.0)
    assert not bay.energised


async def test_a_foreign_unit_is_set_right_before_the_output_closes(bay: Bay) -> None:
    driver = await bay.ready()
    bay.simulator.receive(b":SENS:CURR:UNIT WATT;:SENS:CURR:REL:STAT ON;:SENS:COUN 50\n")
    await driver.drive(1e-4, 4.3)
    assert (await driver.read()).current == pytest.approx(1e-4, rel=1e-3)


async def test_a_failed_change_opens_the_circuit(bay: Bay) -> None:
    driver = await bay.ready()
    await driver.drive(1e-4, 4.3)
    bay.rewrite = lambda message: message.replace(b":SOUR:VOLT 2.5", b":SOUR:VOLT 25")
    with pytest.raises(InstrumentRefused, match="data out of range"):
        await driver.drive(-1e-4, 2.5)
    assert isinstance(bay.bench.cell.source, Open)


async def test_an_output_that_does_not_close(bay: Bay) -> None:
    driver = await bay.ready()
    bay.rewrite = lambda message: b"\n" if message == b":OUTP ON\n" else message
    with pytest.raises(InstrumentRefused, match="did not close its output"):
        await driver.drive(1e-4, 4.3)
    assert isinstance(bay.bench.cell.source, Open)


async def test_an_output_that_does_not_open_is_said(bay: Bay) -> None:
    driver = await bay.ready()
    await driver.drive(1e-4, 4.3)
    bay.rewrite = lambda message: b"\n" if message == b":OUTP OFF\n" else message
    with pytest.raises(InstrumentRefused, match="Disconnect the cell by hand"):
        await driver.safe_state()


# -- readings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"nan,1.0E-4,168;AMP;VOLT\n", GarbledReply),
        (b"3.7,inf,168;AMP;VOLT\n", GarbledReply),
        (b"3.7,9.910000E+37,168;AMP;VOLT\n", GarbledReply),
        (b"3.7,9.900000E+37,168;AMP;VOLT\n", OverRange),
        (b"-9.900000E+37,1E-4,168;AMP;VOLT\n", OverRange),
        (b"3.7,1.0E-4;AMP;VOLT\n", GarbledReply),
        (b"3.7,1.0E-4,168,0;AMP;VOLT\n", GarbledReply),
        (b"3.7;1.0E-4;168;AMP;VOLT\n", GarbledReply),
        (b"3.7 V,1.0E-4,168;AMP;VOLT\n", GarbledReply),
        (b"3.7,1.0E-4,168.5;AMP;VOLT\n", GarbledReply),
        (b"3.7,1.0E-4,-1;AMP;VOLT\n", GarbledReply),
        (b"3.7,1_0,168;AMP;VOLT\n", GarbledReply),
        (b"\xb3.7,1.0E-4,168;AMP;VOLT\n", GarbledReply),
        (b"\n", GarbledReply),
        (b"3.7,1.0E-4,168\n", GarbledReply),
        (b"3.7,1.0E-4,168;AMP;VOLT;0\n", GarbledReply),
        (b"3.7,1.0E-4,184;AMP;VOLT\n", InstrumentRefused),
        (b"3.7,1.0E-4,168;WATT;VOLT\n", InstrumentRefused),
        (b"3.7,1.0E-4,168;;VOLT\n", InstrumentRefused),
    ],
)
async def test_readings_that_are_none(bay: Bay, reply: bytes, error: type[InstrumentError]) -> None:
    driver = await bay.ready()
    await driver.drive(1e-4, 4.3)
    bay.garble(reply, to=READ)
    with pytest.raises(error):
        await driver.read()


async def test_an_output_that_opened_by_itself_is_seen(bay: Bay) -> None:
    driver = await bay.ready()
    await driver.drive(1e-4, 4.3)
    bay.simulator.receive(b":OUTP OFF\n")
    for _ in range(2):
        reading = await driver.read()
        assert not reading.output
        assert reading.voltage is None


async def test_an_output_that_someone_closed_is_an_error(bay: Bay) -> None:
    driver = await bay.ready()
    bay.simulator.receive(b":OUTP ON\n")
    with pytest.raises(InstrumentRefused, match="its output is on although it was switched off"):
        await driver.read()


# -- recovery ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [silence, half])
async def test_after_a_timeout_the_circuit_is_open_and_said_to_be(bay: Bay, fault: Fault) -> None:
    driver = await bay.ready()
    await driver.drive(1e-4, 4.3)
    bay.fault = fault
    with pytest.raises(NoReply):
        await driver.read()
    bay.fault = None
    bay.sent.clear()
    assert not (await driver.read()).output
    assert bay.sent[:5] == [b"*IDN?\n", b"*LANG?\n", *OPENING]
    assert isinstance(bay.bench.cell.source, Open)


async def test_a_drive_after_a_timeout_starts_afresh(bay: Bay) -> None:
    driver = await bay.ready()
    await driver.drive(1e-4, 4.3)
    bay.fault = silence
    with pytest.raises(NoReply):
        await driver.read()
    bay.fault = None
    await driver.drive(1e-4, 4.2)
    assert (await driver.read()).output
    assert bay.bench.cell.source == VoltageSource(4.2, 1e-4)


async def test_another_instrument_after_a_reopening_is_not_commanded(bay: Bay) -> None:
    driver = await bay.ready()
    bay.fault = silence
    with pytest.raises(NoReply):
        await driver.read()
    bay.sent.clear()
    bay.garble(b"KEITHLEY INSTRUMENTS,MODEL 2450,04300001,1.7.12b\n", to="*IDN?")
    with pytest.raises(WrongInstrument, match="serial 04300001"):
        await driver.drive(1e-4, 4.3)
    assert not any(message.startswith(b":") for message in bay.sent)


@given(st.integers(1, 20), st.booleans())
def test_a_message_lost_at_any_point_leaves_the_circuit_open_or_driven_as_asked(lost: int, arrives: bool) -> None:
    async def scenario() -> None:
        bay = Bay(VirtualClock(0.0))
        driver = await bay.ready()
        await driver.drive(2e-4, 4.2)
        bay.sent.clear()
        bay.fault, bay.when = silence, lambda _: len(bay.sent) == lost
        if not arrives:
            bay.rewrite = lambda message: b"" if len(bay.sent) == lost else message
        try:
            await driver.rest()
            await driver.drive(-1e-4, 2.6)
        except (NoReply, InstrumentRefused):
            assert isinstance(bay.bench.cell.source, Open)
        else:
            assert bay.bench.cell.source == VoltageSource(2.6, 1e-4)

    asyncio.run(scenario())


async def test_over_tcp(clock: VirtualClock, served) -> None:  # type: ignore[no-untyped-def]
    bench = Bench.of(BenchParameters(), seed=1)
    options = Keithley2450.Options(four_wire=True, nplc=0.1)
    async with served(bench, Simulator(bench, "cell", options), "tcp://127.0.0.1:0") as address:
        link = open_link(address, Keithley2450.WIRE, "A1/cycler", clock, simulated=True)
        driver = Keithley2450(link, options, clock)
        assert await driver.connect() == IDENTITY
        await driver.arm(WINDOW, 0.02)
        await driver.drive(1e-4, 4.3)
        assert (await driver.read()).current == pytest.approx(1e-4, rel=1e-3)
        await driver.safe_state()
        await link.close()
    assert isinstance(bench.cell.source, Open)
