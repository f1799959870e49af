"""What each simulated instrument says, byte by byte, when what it measures is broken on purpose."""

import pytest

from drivers.dynamixel_x import table
from drivers.dynamixel_x.driver import DynamixelX
from drivers.dynamixel_x.sim import Simulator as Dynamixel
from drivers.julabo.driver import Julabo
from drivers.julabo.sim import Simulator as Circulator
from drivers.keithley_2450.driver import READ, Keithley2450
from drivers.keithley_2450.sim import Simulator as Keithley
from drivers.mark10.driver import Mark10
from drivers.mark10.sim import Simulator as Gauge
from drivers.odrive_v3.driver import OdriveV3
from drivers.odrive_v3.sim import Simulator as Board
from drivers.simulated_cycler.driver import SimulatedCycler
from drivers.simulated_cycler.sim import Simulator as Channel
from drivers.simulated_cycler.wire import framed, unframed
from drivers.trinamic_tmcl.driver import TrinamicTMCL
from drivers.trinamic_tmcl.frame import Command, Request, decode_reply
from drivers.trinamic_tmcl.sim import Simulator as Module
from labctl.clock import VirtualClock
from labctl.errors import InstrumentRefused, OverRange
from labctl.instrument import Wire
from labctl.link import MemoryLink
from labctl.sim.bench import Bench, BenchParameters, SimulatedInstrument
from labctl.sim.faults import silence
from labctl.sim.schedule import Kind, Scheduled
from labctl.sim.source import VoltageSource

BEGIN, END = 10.0, 20.0


def broken(instrument: str, kind: Kind, value: float = 0.0) -> Bench:
    return Bench.of(BenchParameters(), 1, (Scheduled(instrument, kind, BEGIN, END, value),))


def asked(bench: Bench, simulator: SimulatedInstrument, request: bytes) -> list[bytes]:
    """Return the answers before, during and after the fault."""
    answers = []
    for instant in (9.0, 15.0, 21.0):
        bench.advance_to(instant)
        answers.append(simulator.receive(request))
    return answers


def keithley(bench: Bench) -> Keithley:
    simulator = Keithley(bench, "cell", Keithley2450.Options())
    simulator.receive(b':SENS:FUNC "CURR:DC";:SOUR:VOLT 4;:SOUR:VOLT:ILIM 1e-4;:OUTP ON\n')
    return simulator


@pytest.mark.parametrize(
    ("kind", "during"),
    [
        (Kind.NOT_A_NUMBER, b"9.910000E+37,9.910000E+37,168;AMP;VOLT\n"),
        (Kind.OUT_OF_RANGE, b"9.900000E+37,9.900000E+37,168;AMP;VOLT\n"),
    ],
)
def test_a_keithley(kind: Kind, during: bytes) -> None:
    bench = broken("cycler", kind)
    before, said, after = asked(bench, keithley(bench), f"{READ}\n".encode())
    assert said == during
    assert before.endswith(b",1.000000E-04,168;AMP;VOLT\n") == after.endswith(b",1.000000E-04,168;AMP;VOLT\n")
    assert float(before.split(b",")[0]) == pytest.approx(3.0, abs=1.0)


def test_a_keithley_in_watt() -> None:
    bench = broken("cycler", Kind.WRONG_UNIT)
    before, said, after = asked(bench, keithley(bench), f"{READ}\n".encode())
    source, watt = (float(field) for field in said.split(b",")[:2])
    assert said.endswith(b";WATT;WATT\n")
    assert watt == pytest.approx(source * 1e-4, rel=1e-3)
    assert before.endswith(b";AMP;VOLT\n")
    assert after.endswith(b";AMP;VOLT\n")


@pytest.mark.parametrize(
    ("kind", "during"),
    [(Kind.WRONG_UNIT, b" lbF\r\n"), (Kind.NOT_A_NUMBER, b"NaN N\r\n"), (Kind.OUT_OF_RANGE, b"OVER\r\n")],
)
def test_a_gauge(kind: Kind, during: bytes) -> None:
    bench = broken("load_cell.negative", kind)
    before, said, after = asked(bench, Gauge(bench, "negative", Mark10.Options(capacity="500 N")), b"?C\r")
    assert said.endswith(during)
    assert before.endswith(b" N\r\n")
    assert after.endswith(b" N\r\n")


def test_a_gauge_does_not_take_a_failed_converter_for_its_zero() -> None:
    bench = broken("load_cell.negative", Kind.NOT_A_NUMBER)
    gauge = Gauge(bench, "negative", Mark10.Options(capacity="500 N"))
    bench.advance_to(15.0)
    gauge.receive(b"Z\r")
    bench.advance_to(21.0)
    assert gauge.receive(b"?C\r").endswith(b" N\r\n")


@pytest.mark.parametrize(
    ("kind", "during"),
    [(Kind.WRONG_UNIT, b"73.4"), (Kind.NOT_A_NUMBER, b"----\r\n"), (Kind.OUT_OF_RANGE, b"999.99\r\n")],
)
def test_a_circulator(kind: Kind, during: bytes) -> None:
    bench = broken("thermostat", kind)
    options = Julabo.Options(minimum="5 degC", maximum="80 degC")
    before, said, after = asked(bench, Circulator(bench, "bath", options), b"in_pv_00\r")
    assert said.startswith(during)
    assert before.startswith(b"23.0")
    assert after.startswith(b"23.0")


@pytest.mark.parametrize(
    ("kind", "during"), [(Kind.NOT_A_NUMBER, "1 READ? CC nan nan"), (Kind.OUT_OF_RANGE, "1 READ? CC inf inf")]
)
def test_a_channel(kind: Kind, during: str) -> None:
    bench = broken("cycler", kind)
    channel = Channel(bench, "cell", SimulatedCycler.Options(channel=1))
    bench.cell.drive(VoltageSource(4.3, 1e-4))
    before, said, after = (unframed(answer[:-1]) for answer in asked(bench, channel, framed("1 READ?")))
    assert said == during
    assert before.endswith(" 0.00010000")
    assert after.endswith(" 0.00010000")


@pytest.mark.parametrize(("kind", "counts"), [(Kind.OUT_OF_RANGE, 1 - 2**31), (Kind.DRIFT, 2048 - 652)])
def test_a_servo(kind: Kind, counts: int) -> None:
    """A drift of 0.2 rad/s for 5 s: clockwise tightens, and clockwise counts down."""
    bench = broken("pressure_rig.negative", kind, 0.2 if kind is Kind.DRIFT else 0.0)
    options = DynamixelX.Options(direction="clockwise", reduction=1.0, torque_limit="1 N m", travel="30 rad")
    servo = Dynamixel(bench, "screw", options)
    bench.advance_to(15.0)
    assert servo.get(table.PRESENT_POSITION) == counts
    bench.advance_to(21.0)
    assert servo.get(table.PRESENT_POSITION) == 2048


@pytest.mark.parametrize(("kind", "counts"), [(Kind.OUT_OF_RANGE, 2**31 - 1), (Kind.DRIFT, 52152)])
def test_a_trinamic_module(kind: Kind, counts: int) -> None:
    """A drift of 0.2 rad/s for 5 s, at 65536 counts a turn and 5:1."""
    bench = broken("pressure_rig.negative", kind, 0.2 if kind is Kind.DRIFT else 0.0)
    module = Module(bench, "screw", TrinamicTMCL.Options.model_validate(TrinamicTMCL.EXAMPLE))
    before, said, after = asked(bench, module, Request(1, Command.GAP, 52).encode())
    assert decode_reply(said).value == counts
    assert decode_reply(before).value == decode_reply(after).value == 0


@pytest.mark.parametrize(
    ("kind", "during"), [(Kind.OUT_OF_RANGE, b"inf 0.000000\r\n"), (Kind.DRIFT, b"0.795775 0.000000\r\n")]
)
def test_an_odrive(kind: Kind, during: bytes) -> None:
    bench = broken("pressure_rig.negative", kind, 0.2 if kind is Kind.DRIFT else 0.0)
    board = Board(bench, "screw", OdriveV3.Options.model_validate(OdriveV3.EXAMPLE))
    before, said, after = asked(bench, board, b"f 0\n")
    assert said == during
    assert before == after == b"0.000000 0.000000\r\n"


# -- what the drivers make of it ---------------------------------------------------------------------------------------


class Wired:
    """A memory link to a simulator; `cut` makes it silent."""

    def __init__(self, bench: Bench, simulator: SimulatedInstrument, wire: Wire) -> None:
        self.clock = VirtualClock(0.0)
        self.cut = False
        self._bench = bench
        self._simulator = simulator
        self.link = MemoryLink(self._receive, simulator.reset_line, wire, "A1/it", self.clock)

    def _receive(self, data: bytes) -> bytes:
        self._bench.advance_to(self.clock.now())
        reply = self._simulator.receive(data)
        return silence(reply) if self.cut else reply


async def test_a_circulator_that_shows_fahrenheit_is_refused_by_its_set_point() -> None:
    bench = broken("thermostat", Kind.WRONG_UNIT)
    options = Julabo.Options(minimum="5 degC", maximum="80 degC")
    wired = Wired(bench, Circulator(bench, "bath", options), Julabo.WIRE)
    driver = Julabo(wired.link, options, wired.clock)
    await driver.connect()
    await driver.set_temperature(40.0)
    assert (await driver.read()).setpoint == 40.0
    await wired.clock.sleep_until(15.0)
    with pytest.raises(InstrumentRefused, match="has the set point 104 °C where 40 °C was set"):
        await driver.read()
    with pytest.raises(InstrumentRefused, match="has the set point 122 °C where 50 °C was set"):
        await driver.set_temperature(50.0)


async def test_a_gauge_that_lost_its_zero_is_refused_until_it_is_tared_again() -> None:
    bench = Bench.of(BenchParameters(), 1)
    gauge = Gauge(bench, "negative", Mark10.Options(capacity="500 N"))
    wired = Wired(bench, gauge, Mark10.WIRE)
    driver = Mark10(wired.link, Mark10.Options(capacity="500 N"), wired.clock)
    await driver.connect()
    await driver.tare()
    wired.cut = True
    with pytest.raises(Exception, match="no complete reply"):
        await driver.read()
    wired.cut = False
    assert await driver.read() == pytest.approx(0.0, abs=0.5), "a line that was silent alone loses nothing"
    gauge.restart()
    wired.cut = True
    with pytest.raises(Exception, match="no complete reply"):
        await driver.read()
    wired.cut = False
    for _ in range(2):
        with pytest.raises(InstrumentRefused, match="was restarted and has lost its zero"):
            await driver.read()
    await driver.tare()
    assert await driver.read() == pytest.approx(0.0, abs=0.5)


async def test_a_channel_that_speaks_in_millivolt_is_beyond_its_range() -> None:
    bench = broken("cycler", Kind.WRONG_UNIT)
    options = SimulatedCycler.Options(channel=1)
    wired = Wired(bench, Channel(bench, "cell", options), SimulatedCycler.WIRE)
    driver = SimulatedCycler(wired.link, options, wired.clock)
    await driver.connect()
    assert (await driver.read()).voltage == pytest.approx(bench.cell.voltage, abs=1e-4)
    await wired.clock.sleep_until(15.0)
    with pytest.raises(OverRange, match="beyond its range"):
        await driver.read()
