"""Spectra of the simulated cycler: its wire to the byte, its time, its limits, and what faults make of it."""

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.simulated_cycler.analyser import GAIN_ERROR, NOISE
from drivers.simulated_cycler.driver import SimulatedCycler
from drivers.simulated_cycler.points import PAGE, Order, Report, frequency_page, ordered, page, unpaged
from drivers.simulated_cycler.sim import Simulator
from drivers.simulated_cycler.wire import framed, unframed
from labctl.errors import GarbledReply, InstrumentError, InstrumentRefused
from labctl.impedance import ImpedancePoint
from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.cell import CurrentSource, Open
from labctl.sim.schedule import Kind, Scheduled
from tests.contract.operations import SPECTRUM, half_a_spectrum, rested, start_spectrum
from tests.contract.stand import Stand

OPTIONS = SimulatedCycler.Options(channel=3)
REST = 3600.0
ORDER = "3 V 0.01 3.7 0.002 2.6 4.2"


def said(simulator: Simulator, request: str) -> str:
    reply = simulator.receive(framed(f"3 {request}"))
    return unframed(reply[:-1]).removeprefix("3 ")


def half_charged(seed: int = 1, *faults: Scheduled) -> tuple[Bench, Simulator]:
    """A cell that rests at 3.7 V, roughly, at a window."""
    bench = Bench.of(BenchParameters(), seed, faults)
    simulator = Simulator(bench, "cell", OPTIONS)
    bench.cell.drive(CurrentSource(5e-4, 4.4))
    bench.advance_to(REST)
    bench.cell.drive(Open())
    bench.advance_to(2.0 * REST)
    assert said(simulator, "WINDOW 2.5 4.3 0.002") == "WINDOW 2.5 4.3 0.002"
    return bench, simulator


def begun(seed: int = 1, *faults: Scheduled) -> tuple[Bench, Simulator]:
    bench, simulator = half_charged(seed, *faults)
    said(simulator, "FREQUENCIES 1 1000.0 10.0 0.5")
    order = f"3 V 0.01 {round(bench.cell.voltage, 5)!r} 0.002 2.6 4.2"
    assert said(simulator, f"SPECTRUM {order}") == f"SPECTRUM 1 {order}"
    return bench, simulator


# -- the wire ----------------------------------------------------------------------------------------------------------


def test_a_spectrum_to_the_byte() -> None:
    bench, simulator = begun()
    assert said(simulator, "SPECTRUM? 0") == "SPECTRUM? running 1 3 0 ohm"
    bench.advance_to(2.0 * REST + 2.0)
    head, first, second = said(simulator, "SPECTRUM? 0").split(";")
    assert head == "SPECTRUM? running 1 3 2 ohm"
    assert re.fullmatch(r"1000\.0,\d\.\d{6}e\+\d\d,-\d\.\d{6}e[+-]\d\d,1000", first)
    assert re.fullmatch(r"10\.0,\d\.\d{6}e\+\d\d,-\d\.\d{6}e[+-]\d\d,2000", second)
    assert said(simulator, "SPECTRUM? 1") == f"SPECTRUM? running 1 3 1 ohm;{second}"
    assert said(simulator, "READ?").startswith("READ? CV ")
    bench.advance_to(2.0 * REST + 7.99)
    assert said(simulator, "SPECTRUM? 2") == "SPECTRUM? running 1 3 0 ohm"
    bench.advance_to(2.0 * REST + 8.0)
    assert said(simulator, "SPECTRUM? 2").startswith("SPECTRUM? done 1 3 1 ohm;0.5,")
    assert said(simulator, "READ?").startswith("READ? OFF ")


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        ("SPECTRUM? 0", "SPECTRUM? none 0 0 0 ohm"),
        ("SPECTRUM? x", "ERROR give the number of a point"),
        (f"SPECTRUM {ORDER}", "ERROR there are 0 frequencies"),
        ("SPECTRUM 3 W 0.01 3.7 0.002 2.6 4.2", "ERROR give the number of frequencies, V or A, amplitude, bias, ..."),
        ("SPECTRUM 3 V 0.01 nan 0.002 2.6 4.2", "ERROR give the number of frequencies, V or A, amplitude, bias, ..."),
        ("SPECTRUM 3 V 0.01 3.7 0.003 2.6 4.2", "ERROR outside the window of 2.5 V to 4.3 V and 1e-06 A to 0.002 A"),
        ("SPECTRUM 3 V 0.01 3.7 0.002 2.4 4.2", "ERROR outside the window of 2.5 V to 4.3 V and 1e-06 A to 0.002 A"),
        ("FREQUENCIES 2 10.0", "ERROR give from 1 to 100 frequencies, from number 1 or less on"),
        ("FREQUENCIES 1", "ERROR give from 1 to 100 frequencies, from number 1 or less on"),
        ("FREQUENCIES 1 1e-4", "ERROR a frequency is from 0.001 Hz to 7e+06 Hz"),
        ("FREQUENCIES 1 7000000.1", "ERROR a frequency is from 0.001 Hz to 7e+06 Hz"),
        ("FREQUENCIES 1 1e3 0.1", "FREQUENCIES 1 1000.0 0.1"),
    ],
)
def test_what_it_answers_before_a_spectrum(request_: str, reply: str) -> None:
    _, simulator = half_charged()
    assert said(simulator, request_) == reply.replace("...", "current, low, high")


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ("2 V 0.01 3.7 0.002 2.6 4.2", "there are 1 frequencies"),
        ("1 V 0.01 4.19 0.002 2.6 4.2", "4.19 V with a peak of 0.0141 V is not inside 2.6 V to 4.2 V"),
        ("1 V 0.6 3.7 0.002 2.6 4.2", "an amplitude of 0.6 V is not within 0.0001 to 0.5 V"),
        ("1 A 1e-07 0.0 0.002 2.6 4.2", "an amplitude of 1e-07 A is not within 1e-06 to 0.1 A"),
        ("1 A 1e-06 1e-07 0.002 2.6 4.2", "a bias is 0 A, or from 1e-06 A on"),
        ("1 A 0.001 0.001 0.002 2.6 4.2", "0.001 A with a peak of 0.00141 A is beyond 0.002 A"),
        ("1 A 0.001 0.0 0.002 4.1 4.2", "the cell is not inside 4.1 V to 4.2 V"),
    ],
)
def test_what_it_refuses(order: str, reason: str) -> None:
    bench, simulator = half_charged()
    said(simulator, "FREQUENCIES 1 1000.0")
    assert said(simulator, f"SPECTRUM {order}") == f"ERROR {reason}"
    assert isinstance(bench.cell.source, Open)


def test_no_window_no_spectrum() -> None:
    simulator = Simulator(Bench.of(BenchParameters(), seed=1), "cell", OPTIONS)
    said(simulator, "FREQUENCIES 1 10.0 20.0 30.0")
    assert said(simulator, f"SPECTRUM {ORDER}") == "ERROR no WINDOW was set"


@pytest.mark.parametrize(
    "command", ["OFF", "REST", "WINDOW 2.5 4.3 0.002", "ERASE", "PAUSE", "STOP", "FREQUENCIES 1 3.0", "DRIVE 1 9"]
)
def test_any_command_ends_it_also_one_that_is_refused(command: str) -> None:
    bench, simulator = begun()
    bench.advance_to(2.0 * REST + 1.5)
    for question in ("READ?", "IDN?", "STATUS?", "SPECTRUM? 0", "LINE? 1"):
        said(simulator, question)
        assert not isinstance(bench.cell.source, Open)
    said(simulator, command)
    assert isinstance(bench.cell.source, Open)
    name = command.partition(" ")[0]
    assert said(simulator, "SPECTRUM? 1") == f"SPECTRUM? ended 1 3 0 ohm by {name}"
    assert said(simulator, "SPECTRUM? 0").startswith(f"SPECTRUM? ended 1 3 1 ohm by {name};1000.0,")


def test_not_beside_a_program() -> None:
    _, simulator = half_charged()
    said(simulator, "FREQUENCIES 1 10.0 20.0 30.0")
    said(simulator, "LINE 1 LIMIT 2.5 4.2 0.01 inf")
    said(simulator, "LINE 2 STEP REST; END NEXT T>=60.0")
    assert said(simulator, "START token") == "START token"
    assert said(simulator, f"SPECTRUM {ORDER}") == "ERROR a program is being executed; STOP it first"


FREQUENCY = st.floats(1e-3, 7e6)
NUMBER = st.floats(-1e9, 1e9)


@given(st.lists(FREQUENCY, min_size=1, max_size=250))
def test_frequencies_arrive_unaltered(frequencies: list[float]) -> None:
    simulator = Simulator(Bench.of(BenchParameters(), seed=1), "cell", OPTIONS)
    for first in range(1, len(frequencies) + 1, PAGE):
        text = frequency_page(first, frequencies)
        assert len(text) < 4000, "a line has room for it"
        assert said(simulator, f"FREQUENCIES {text}") == f"FREQUENCIES {text}"
    assert simulator._analyser._frequencies == frequencies


def test_a_full_page_arrives_byte_by_byte() -> None:
    simulator = Simulator(Bench.of(BenchParameters(), seed=1), "cell", OPTIONS)
    text = frequency_page(1, [math.pi * 10.0 ** (k / 20.0 - 3.0) for k in range(PAGE)])
    line = framed(f"3 FREQUENCIES {text}")
    replies = [simulator.receive(line[k : k + 1]) for k in range(len(line))]
    assert set(replies[:-1]) == {b""}
    assert replies[-1] == line, "it repeats what it has understood"


POINT = st.builds(ImpedancePoint, FREQUENCY, NUMBER, NUMBER, st.integers(0, 10**9).map(lambda ms: ms / 1000.0))
REPORT = st.builds(
    Report,
    st.sampled_from(["running", "done", "ended"]),
    st.integers(1, 10**6),
    st.integers(1, 1000),
    st.lists(POINT, max_size=5).map(tuple),
    st.just("ohm"),
    st.sampled_from(["", "by OFF", "the current is 1 with a peak of 2, beyond 3 A"]),
)


@given(REPORT)
def test_a_page_is_read_as_it_was_written(report: Report) -> None:
    read = unpaged(page(report))
    assert replace(read, points=()) == replace(report, points=())
    for got, sent in zip(read.points, report.points, strict=True):
        assert (got.frequency, got.time) == (sent.frequency, sent.time)
        assert (got.real, got.imaginary) == pytest.approx((sent.real, sent.imaginary), rel=1e-6)
    assert page(read) == page(report), "what is read is exactly what was sent"


@given(REPORT, st.data())
def test_half_a_page_is_none(report: Report, data: st.DataObject) -> None:
    written = page(replace(report, reason=""))
    cut = data.draw(st.integers(0, written.rfind(";") if report.points else written.rfind(" ")))
    with pytest.raises(ValueError):
        unpaged(written[:cut])


@given(st.builds(Order, st.integers(1, 1000), st.sampled_from(["V", "A"]), NUMBER, NUMBER, NUMBER, NUMBER, NUMBER))
def test_an_order_is_read_as_it_was_written(order: Order) -> None:
    assert ordered(str(order)) == order


# -- what it measures --------------------------------------------------------------------------------------------------


def test_time_in_any_pieces_gives_the_same_bytes() -> None:
    replies = []
    for pieces in (1, 7, 977):
        bench, simulator = begun()
        for k in range(1, pieces + 1):
            bench.advance_to(2.0 * REST + 9.0 * k / pieces)
            said(simulator, "READ?")
        replies.append(said(simulator, "SPECTRUM? 0"))
    assert replies[0].startswith("SPECTRUM? done 1 3 3 ohm;")
    assert replies[0] == replies[1] == replies[2]


def test_its_errors_are_those_it_states() -> None:
    ratios = []
    for seed in range(1, 31):
        bench, simulator = begun(seed)
        bench.advance_to(2.0 * REST + 8.0)
        for point in unpaged(said(simulator, "SPECTRUM? 0").partition(" ")[2]).points:
            true = bench.cell.impedance(point.frequency)
            value = complex(point.real, point.imaginary)
            ratios.append(abs(value) / abs(true) - 1.0)
            assert (value / true).imag == pytest.approx(0.0, abs=1e-4), "the phase is right"
    mean = sum(ratios) / len(ratios)
    deviation = math.sqrt(sum((ratio - mean) ** 2 for ratio in ratios) / len(ratios))
    assert mean == pytest.approx(GAIN_ERROR, abs=3.0 * NOISE / math.sqrt(len(ratios)))
    assert deviation == pytest.approx(NOISE, rel=0.3)


def test_a_bias_that_takes_too_much_current_ends_it_at_once() -> None:
    bench, simulator = half_charged()
    said(simulator, "FREQUENCIES 1 10.0")
    high = round(bench.cell.voltage, 5) + 0.4
    said(simulator, f"SPECTRUM 1 V 0.01 {high!r} 0.0001 2.6 4.2")
    assert isinstance(bench.cell.source, Open)
    assert said(simulator, "SPECTRUM? 0") == (
        f"SPECTRUM? ended 1 1 0 ohm the bias of {high:g} V takes the cell beyond 0.0001 A"
    )


def test_the_peak_of_the_current_counts() -> None:
    """10 mV (root mean square) drive as much as the impedance lets them."""
    bench, simulator = half_charged()
    said(simulator, "FREQUENCIES 1 10.0 100000.0")
    bias = round(bench.cell.voltage, 5)
    peaks = [math.sqrt(2.0) * 0.01 / abs(bench.cell.impedance(f)) for f in (10.0, 100000.0)]
    assert peaks[0] < peaks[1]
    said(simulator, f"SPECTRUM 2 V 0.01 {bias!r} {0.5 * sum(peaks)!r} 2.6 4.2")
    bench.advance_to(2.0 * REST + 1.0)
    assert isinstance(bench.cell.source, Open), "the second frequency is not begun"
    reply = said(simulator, "SPECTRUM? 0")
    assert reply.startswith("SPECTRUM? ended 1 2 1 ohm the current is ")
    assert f"with a peak of {peaks[1]:.3g}, beyond" in reply


def test_a_limit_of_voltage_is_found_at_the_look_behind_it() -> None:
    bench, simulator = half_charged()
    said(simulator, "FREQUENCIES 1 0.001")
    high = bench.cell.voltage + 5e-4 * abs(bench.cell.impedance(0.1)) + 0.01
    said(simulator, f"SPECTRUM 1 A 1e-06 0.0005 0.002 2.6 {high!r}")
    peak, before = math.sqrt(2.0) * 1e-6 * abs(bench.cell.impedance(1e-3)), 0.0
    for _ in range(300_000):
        bench.advance_to(bench.time + 0.01)
        if isinstance(bench.cell.source, Open):
            break
        before = bench.cell.voltage
    assert before + peak == pytest.approx(high, abs=2e-5), "within two looks"
    assert "not below" in said(simulator, "SPECTRUM? 0")


def test_without_power_it_opens_and_forgets() -> None:
    bench, simulator = begun()
    bench.advance_to(2.0 * REST + 2.5)
    simulator.restart()
    assert isinstance(bench.cell.source, Open)
    assert said(simulator, "SPECTRUM? 0") == "SPECTRUM? none 0 0 0 ohm"
    bench.advance_to(2.0 * REST + 100.0)
    assert isinstance(bench.cell.source, Open)


# -- faults ------------------------------------------------------------------------------------------------------------

BEGIN = 2.0 * REST + 1.5


@pytest.mark.parametrize("kind", [Kind.NOT_A_NUMBER, Kind.OUT_OF_RANGE])
def test_what_is_no_impedance_ends_it(kind: Kind) -> None:
    bench, simulator = begun(1, Scheduled("cycler", kind, BEGIN, BEGIN + 1.0))
    bench.advance_to(BEGIN + 5.0)
    assert isinstance(bench.cell.source, Open)
    assert said(simulator, "SPECTRUM? 1") == ("SPECTRUM? ended 1 3 0 ohm the impedance at 10 Hz could not be measured")


def test_a_stuck_converter_goes_on_with_its_last_magnitude() -> None:
    bench, simulator = begun(1, Scheduled("cycler", Kind.STUCK, BEGIN, BEGIN + 100.0))
    bench.advance_to(BEGIN + 10.0)
    first, second, third = unpaged(said(simulator, "SPECTRUM? 0").partition(" ")[2]).points
    magnitudes = [math.hypot(point.real, point.imaginary) for point in (first, second, third)]
    assert magnitudes[1] == pytest.approx(magnitudes[2], rel=1e-6)
    assert magnitudes[0] != pytest.approx(magnitudes[1], rel=1e-2)


def test_another_unit_is_named() -> None:
    bench, simulator = begun(1, Scheduled("cycler", Kind.WRONG_UNIT, BEGIN, BEGIN + 1.0))
    bench.advance_to(BEGIN)
    in_milliohm = unpaged(said(simulator, "SPECTRUM? 0").partition(" ")[2])
    bench.advance_to(BEGIN + 1.0)
    in_ohm = unpaged(said(simulator, "SPECTRUM? 0").partition(" ")[2])
    assert (in_milliohm.unit, in_ohm.unit) == ("mohm", "ohm")
    assert in_milliohm.points[0].real == pytest.approx(1e3 * in_ohm.points[0].real, rel=1e-6)


# -- the driver --------------------------------------------------------------------------------------------------------


async def test_the_driver_refuses_another_unit() -> None:
    stand = Stand("simulated-cycler", [Scheduled("cycler", Kind.WRONG_UNIT, 20_000.0, 20_010.0)])
    await rested(stand)
    await stand.clock.sleep(20_000.0 - stand.clock.now() - 2.0)
    await start_spectrum(stand)
    assert (await stand.potentiostat.spectrum(0)).running
    await stand.clock.sleep(4.0)
    with pytest.raises(GarbledReply, match="mohm"):
        await stand.potentiostat.spectrum(0)
    await stand.clock.sleep(10.0)
    assert len((await stand.potentiostat.spectrum(0)).points) == 4


FORGED = {
    "no number": (rb"(;100000\.0,)[^,]+", rb"\1nan"),
    "another frequency": (rb";100000\.0,", b";100000.1,"),
    "a point too few": (rb";1234\.5678,[^;*]*", b""),
    "another stage": (rb"running", b"resting"),
}


@pytest.mark.parametrize(("what", "becomes"), FORGED.values(), ids=FORGED.keys())
async def test_the_driver_refuses_points_that_are_not_those_asked_for(what: bytes, becomes: bytes) -> None:
    def forge(reply: bytes) -> bytes:
        """Alter a line, and give it the checksum that belongs to it."""
        return framed(re.sub(what, becomes, unframed(reply[:-1]).encode()).decode())

    stand = Stand("simulated-cycler")
    await half_a_spectrum(stand)
    stand.break_replies(forge, (1,))
    with pytest.raises(GarbledReply):
        await stand.potentiostat.spectrum(0)
    assert len((await stand.potentiostat.spectrum(0)).points) == 3, "once"


async def test_a_spectrum_of_somebody_else_is_none_of_ours() -> None:
    stand = Stand("simulated-cycler")
    await half_a_spectrum(stand)
    simulator = stand.simulator
    order = "1 V 0.01 3.7 0.002 2.6 4.2"
    for request in ("OFF", "FREQUENCIES 1 5000.0", f"SPECTRUM {order}"):
        simulator.receive(framed(f"1 {request}"))
    status = await stand.potentiostat.spectrum(0)
    assert (status.running, status.points) == (False, ())
    assert status.reason == "it is at spectrum 2, not at 1"


async def test_why_it_ended_is_told() -> None:
    stand = Stand("simulated-cycler")
    await half_a_spectrum(stand)
    await stand.cycler.off()
    status = await stand.potentiostat.spectrum(3)
    assert (status.running, status.points, status.reason) == (False, (), "by OFF")


async def test_a_spectrum_that_is_not_taken_opens_the_circuit() -> None:
    stand = Stand("simulated-cycler")
    await rested(stand)
    stand.look().cell.drive(CurrentSource(1e-4, 4.4))
    with pytest.raises(InstrumentRefused, match="is not inside"):
        await stand.potentiostat.start_spectrum(
            replace(SPECTRUM, of="current", amplitude=1e-5, window=replace(SPECTRUM.window, high=2.7)), 0.0
        )
    assert isinstance(stand.look().cell.source, Open)


async def test_a_program_is_not_expected_any_more_once_a_spectrum_was_begun() -> None:
    """The line breaks: were a finished program still expected, nobody would open the circuit."""
    stand = Stand("simulated-cycler")
    await rested(stand)
    stand.instrument.expect_program("-")  # type: ignore[attr-defined]  # the token of no program
    await start_spectrum(stand)
    stand.lost = range(1, 10_000)
    stand.messages = 0
    with pytest.raises(InstrumentError):
        await stand.cycler.read()
    stand.mend()
    await stand.cycler.read()
    assert isinstance(stand.look().cell.source, Open)
