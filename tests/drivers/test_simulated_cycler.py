"""The simulated cycler: its wire to the byte, its counters that wrap, its ring of records, its channels."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.simulated_cycler.driver import SimulatedCycler
from drivers.simulated_cycler.language import LanguageError, parse
from drivers.simulated_cycler.records import BITS, PAGE, Entry, page, unpaged, unwrapped
from drivers.simulated_cycler.sim import RING, Simulator
from drivers.simulated_cycler.wire import framed, unframed
from labctl.clock import RealClock, VirtualClock
from labctl.errors import GarbledReply, InstrumentRefused, WrongInstrument
from labctl.instrument import Range
from labctl.link import BaseLink, open_link
from labctl.program import Kept, Program, ProgramState
from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.counts import Counts
from labctl.sim.host import Host
from tests.contract.stand import Stand
from tests.link.echo import TCP

OPTIONS = SimulatedCycler.Options(channel=3)


@pytest.fixture
def bench() -> Bench:
    return Bench.of(BenchParameters(), seed=1)


@pytest.fixture
def simulator(bench: Bench) -> Simulator:
    return Simulator(bench, "cell", OPTIONS)


def said(simulator: Simulator, request: str) -> str:
    reply = simulator.receive(framed(request))
    assert reply.endswith(b"\n")
    return unframed(reply[:-1])


def upload(simulator: Simulator, text: str) -> str:
    """Upload a program, and return what START answers."""
    assert said(simulator, "3 ERASE") == "3 ERASE"
    for number, line in enumerate(text.split("\n"), 1):
        assert said(simulator, f"3 LINE {number} {line}") == f"3 LINE {number}"
    return said(simulator, "3 START token")


# -- the wire ----------------------------------------------------------------------------------------------------------


def test_a_line_to_the_byte(simulator: Simulator) -> None:
    assert framed("3 READ?") == b"3 READ?*EA88\n"
    assert simulator.receive(b"3 IDN?*%04X\n" % int(framed("3 IDN?")[-5:], 16)) == framed(
        "3 IDN? labctl,SC-16,SC16-0001,1.0"
    )
    assert unframed(simulator.receive(b"3 READ?*0000\n")[:-1]) == "0 ERROR its checksum is wrong"


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_a_line_that_was_altered_anywhere_is_noticed(text: str) -> None:
    line = framed(text)[:-1]
    assert unframed(line) == text
    for place in range(len(line)):
        for bit in (0x01, 0x80):
            with pytest.raises(ValueError, match="checksum"):
                unframed(line[:place] + bytes([line[place] ^ bit]) + line[place + 1 :])


@given(st.binary(max_size=80))
def test_hostile_bytes_change_nothing(data: bytes) -> None:
    bench = Bench.of(BenchParameters(), seed=1)
    simulator = Simulator(bench, "cell", OPTIONS)
    source = bench.cell.source
    simulator.receive(data + b"\n")
    assert bench.cell.source == source
    assert said(simulator, "3 STATUS?") == "3 STATUS? none - 0 0 0 0"


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        ("3 DRIVE 0.001 4.0", "3 ERROR no WINDOW was set"),
        ("3 WINDOW 2.5 5.1 0.001", "3 ERROR a window lies within -1 V to 5 V and 0.1 A"),
        ("3 WINDOW nan 4 0.001", "3 ERROR 3 numbers belong here"),
        ("3 WINDOW 2.5 4.2", "3 ERROR 3 numbers belong here"),
        ("3 FLY", "3 ERROR there is no such command"),
        ("7 READ?", "7 ERROR there is no such channel among the 16, or nothing behind it"),
        ("3 LINE 2 ENDLOOP", "3 ERROR the next line is number 1 of at most 1000"),
        ("3 LINE? 1", "3 ERROR there are 0 lines"),
        ("3 START token", "3 ERROR line 1: '' is not understood"),
        ("3 PAUSE", "3 ERROR the program is none, not running or paused"),
        ("3 SKIP", "3 ERROR the program is none, not running"),
        ("3 RECORDS? 0", "3 ERROR give the low and the high word of a number"),
        ("3 RECORDS? 0 0", "3 RECORDS? 0"),
        ("3 STOP", "3 STOP"),
        ("3 READ?", "3 READ? OFF 3.32140 0.00000000"),
    ],
)
def test_what_it_answers_before_anything_was_done(simulator: Simulator, request_: str, reply: str) -> None:
    assert said(simulator, request_) == reply


def test_a_program_rules_alone(simulator: Simulator, bench: Bench) -> None:
    assert said(simulator, "3 WINDOW 2.5 4.2 0.01") == "3 WINDOW 2.5 4.2 0.01"
    assert upload(simulator, "LIMIT 2.5 4.2 0.01 inf\nSTEP CC 0.001 4.0; END NEXT V>=4.0") == "3 START token"
    for request in ("3 DRIVE 0.001 4.0", "3 REST", "3 ERASE"):
        assert said(simulator, request) == "3 ERROR a program is being executed; STOP it first"
    assert said(simulator, "3 LINE 3 ENDLOOP") == "3 ERROR the program in memory is not changed; ERASE it first"
    assert said(simulator, "3 OFF") == "3 OFF"
    assert said(simulator, "3 STATUS?") == "3 STATUS? stopped token 2 0 1 0"
    assert said(simulator, "3 START again") == "3 ERROR a program is executed once; ERASE it and upload again"


# -- programs ----------------------------------------------------------------------------------------------------------

STEP = "STEP REST; END NEXT T>=1.0"
LIMIT = "LIMIT 2.5 4.2 0.01 inf"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (LIMIT, "a program has from 1 step to 1000 lines"),
        ("LIMIT 2.5 4.2 0.01\n" + STEP, "line 1: 'LIMIT 2.5 4.2 0.01' is not understood"),
        ("LIMIT 4.2 2.5 0.01 inf\n" + STEP, "line 1: limits lie within -1 V to 5 V and 0.1 A"),
        ("LIMIT nan 4.2 0.01 inf\n" + STEP, "line 1: limits lie within -1 V to 5 V and 0.1 A"),
        ("LIMIT 2.5 4.2 0.01 nan\n" + STEP, "line 1: the limit of charge is not above 0 C"),
        (f"{LIMIT}\nSTEP REST", "line 2: this step has no end"),
        (f"{LIMIT}\nSTEP CC 0.02 4.0; END NEXT T>=1.0", "line 2: 0.02 A is not within 1e-06 A to 0.01 A"),
        (f"{LIMIT}\nSTEP CC nan 4.0; END NEXT T>=1.0", "line 2: nan A is not within 1e-06 A to 0.01 A"),
        (f"{LIMIT}\nSTEP CC 0.01 4.3; END NEXT T>=1.0", "line 2: 4.3 V is not within 2.5 V to 4.2 V"),
        (f"{LIMIT}\nSTEP REST; END NEXT T>=nan", "line 2: 'STEP REST; END NEXT T>=nan' is not understood"),
        (f"{LIMIT}\nSTEP REST; RECORD T=0.0; END NEXT T>=1.0", "line 2: 'STEP REST; RECORD T=0.0; END NEXT T>=1.0' is"),
        (f"{LIMIT}\nLOOP 2 COUNT\n{STEP}", "line 2: this loop has no end"),
        (f"{LIMIT}\n{STEP}\nENDLOOP", "line 3: there is no loop with a step to end here"),
        (f"{LIMIT}\n{STEP}\nLOOP 2 PLAIN\nENDLOOP", "line 4: there is no loop with a step to end here"),
        (f"{LIMIT}\nLOOP 0 PLAIN\n{STEP}\nENDLOOP", "line 2: loops are nested up to 4 deep and have from 1"),
        (f"{LIMIT}\n" + "LOOP 2 PLAIN\n" * 5 + f"{STEP}\n" + "ENDLOOP\n" * 4 + "ENDLOOP", "line 6: loops are nested"),
        (f"{LIMIT}\nSTEP REST; END GOTO 9 T>=1.0", "line 2: GOTO leads to no line, or into a loop from outside"),
        (f"{LIMIT}\nSTEP REST; END GOTO 4 T>=1.0\nLOOP 2 PLAIN\n{STEP}\nENDLOOP", "line 2: GOTO leads to no line"),
    ],
)
def test_a_program_that_is_none_is_refused_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(LanguageError) as caught:
        parse(text)
    assert str(caught.value).startswith(sentence)


def test_a_program_is_written_as_it_is_read() -> None:
    text = """LIMIT 2.5 4.2 0.01 18.000000000000004
LOOP 4000 COUNT
STEP CCCV 0.0029688050576423546 4.3000000000000001; RECORD T=60.0 V=0.005; END NEXT CV TCV>=900.0; END EXIT T>=1e4
STEP CC -0.003 2.7; LIMIT 2.6 4.2 0.005 inf; RECORD I=0.001 Q=1.5; END GOTO 6 V<=2.7 OR |Q|>=3.0; END NEXT |E|>1.0
ENDLOOP
STEP CV 4.0 0.001; END NEXT |I|<0.0001 OR P<=0.1""".replace("4.3000000000000001", "4.2")
    listing = parse(text.replace("1e4", "10000.0"))
    assert listing.text() == text.replace("1e4", "10000.0")
    assert parse(listing.text()).lines == listing.lines


# -- counters that wrap ------------------------------------------------------------------------------------------------


@given(st.integers(0, 1 << 70), st.integers(0, (1 << 16) - 1))
def test_a_counter_is_unwrapped_up_to_a_whole_turn_later(last: int, later: int) -> None:
    assert unwrapped((last + later) & 0xFFFF, last, 16) == last + later


def test_what_does_not_fit_is_no_counter() -> None:
    with pytest.raises(ValueError, match="does not fit into 16 bits"):
        unwrapped(1 << 16, 0, 16)


@st.composite
def histories(draw: st.DrawFn) -> list[Entry]:
    """Records one after the other, at any age of the counters; each step begins with its clock at 0."""
    number, clock, steps, cycles = (draw(st.integers(0, 1 << 40)) for _ in range(4))
    step_clock = draw(st.integers(0, 1 << 40))
    entries = []
    for k in range(draw(st.integers(1, 12))):
        starts = draw(st.booleans())
        gap = draw(st.integers(0, (1 << 31)))
        clock, step_clock = clock + gap, 0 if starts else step_clock + gap
        steps, cycles = steps + starts, cycles + draw(st.integers(0, 3))
        kept = Kept.START if starts else draw(st.sampled_from([Kept.SAMPLE, Kept.END]))
        counts = Counts(*(round(draw(st.floats(0, 1e6)), 7) for _ in range(4)))
        voltage, current = round(draw(st.floats(-5, 5)), 5), round(draw(st.floats(-0.1, 0.1)), 8)
        end = draw(st.none() | st.integers(0, 9)) if kept is Kept.END else None
        entries.append(
            Entry(
                number + k,
                clock,
                step_clock,
                steps,
                cycles,
                draw(st.integers(1, 99)),
                voltage,
                current,
                counts,
                kept,
                end,
            )
        )
    return entries


@given(histories())
def test_a_page_is_read_as_it_was_kept(entries: list[Entry]) -> None:
    written = page(entries)
    assert unpaged(written) == entries
    low = [list(map(int, one.split(",")[: len(BITS)])) for one in written.split(";")[1:]]
    assert all(value < 1 << bits for values in low for value, bits in zip(values, BITS.values(), strict=True))


@given(st.text(st.sampled_from("0123456789,;.-SME "), max_size=60))
def test_what_is_no_page_is_refused(text: str) -> None:
    if text != "0":
        with pytest.raises(ValueError, match=r"page|record|bits"):
            unpaged(text)


# -- the ring ----------------------------------------------------------------------------------------------------------


async def test_twenty_thousand_records_are_kept_and_older_ones_asked_for_are_refused() -> None:
    stand = Stand("simulated-cycler")
    cycler = stand.instrument
    assert isinstance(cycler, SimulatedCycler)
    await cycler.connect()
    text = f"LIMIT 0.0 5.0 0.01 inf\nLOOP 33000 COUNT\nSTEP REST; END NEXT T>=0.01\nENDLOOP\n{STEP}"
    program = Program(text.encode(), (7, 8), (True,))
    await cycler.start_program(program, "token")
    await stand.unpolled(400.0)
    status = await cycler.program_status()
    assert (status.records, status.oldest) == (66_002, 66_002 - RING + 1), "the number on the wire has 16 bits"
    with pytest.raises(InstrumentRefused, match="records up to number 46002 have been overwritten"):
        await cycler.program_records(program, status.oldest - 2)
    got = []
    while records := await cycler.program_records(program, status.oldest - 1 + len(got)):
        assert len(records) <= PAGE
        got += records
    assert [record.number for record in got] == [*range(status.oldest, 66_003)]
    assert got[-1].step_count == 33_001
    assert got[-1].cycle == 33_000
    assert all(0.0 <= b.time - a.time <= 1.0 for a, b in pairwise(got))
    assert got[-1].time == pytest.approx(331.0)


# -- the driver --------------------------------------------------------------------------------------------------------


async def test_another_instrument_in_its_place(bench: Bench) -> None:
    stand = Stand("simulated-cycler")
    await stand.instrument.connect()
    stand.break_replies(lambda _: framed("1 IDN? labctl,SC-16,SC16-0002,1.0"), (1,))
    stand.link._dirty = True
    with pytest.raises(WrongInstrument, match=r"is now labctl SC-16 .*SC16-0002.*, but was"):
        await stand.cycler.read()
    other = Stand("simulated-cycler")
    other.break_replies(lambda _: framed("1 IDN? ACME,SC-16,1,1.0"), (1,))
    with pytest.raises(WrongInstrument, match="is a ACME SC-16, not a labctl SC-16"):
        await other.instrument.connect()


async def test_a_line_that_was_not_stored_as_sent_is_not_executed() -> None:
    stand = Stand("simulated-cycler")
    cycler = stand.instrument
    assert isinstance(cycler, SimulatedCycler)
    await cycler.connect()
    program = Program(f"{LIMIT}\n{STEP}".encode(), (1,))
    stand.break_replies(lambda _: framed("1 LINE? 2 STEP REST; END NEXT T>=1.5"), (8,))
    with pytest.raises(GarbledReply, match="expected the line as it was sent"):
        await cycler.start_program(program, "token")
    assert (await cycler.program_status()).state is ProgramState.NONE


async def test_records_of_another_program_are_no_records() -> None:
    stand = Stand("simulated-cycler")
    cycler = stand.instrument
    assert isinstance(cycler, SimulatedCycler)
    await cycler.connect()
    program = Program(f"{LIMIT}\n{STEP}\n{STEP}".encode(), (1, 2))
    await cycler.start_program(program, "token")
    await stand.clock.sleep(5.0)
    with pytest.raises(GarbledReply, match="expected records from number 1 on"):
        await cycler.program_records(Program(b"", (1,)), 0)


# -- several channels and clients --------------------------------------------------------------------------------------


@asynccontextmanager
async def mainframe(channels: int) -> AsyncIterator[tuple[str, list[Host], list[Bench]]]:
    """Serve channels 1, 2, … each on a bench and in a time of its own, at one address."""
    benches = [Bench.of(BenchParameters(), seed=k) for k in range(channels)]
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(Host(bench)) for bench in benches]
        seats = {
            k: host.seat(Simulator(bench, "cell", SimulatedCycler.Options(channel=k)))
            for k, (host, bench) in enumerate(zip(hosts, benches, strict=True), 1)
        }
        yield await hosts[0].serve_mainframe(seats, TCP), hosts, benches


def driver_at(address: str, channel: int, clock: VirtualClock | RealClock) -> tuple[SimulatedCycler, BaseLink]:
    link = open_link(address, SimulatedCycler.WIRE, f"C{channel}/cycler", clock, simulated=True)
    return SimulatedCycler(link, SimulatedCycler.Options(channel=channel), clock), link


async def test_sixteen_stations_drive_sixteen_cells_at_one_address_at_once() -> None:
    clock = RealClock()
    async with mainframe(16) as (address, _, benches):
        drivers = [driver_at(address, channel, clock) for channel in range(1, 17)]
        try:

            async def charge(channel: int, cycler: SimulatedCycler) -> None:
                await cycler.connect()
                await cycler.arm(Range(2.0, 4.3), 0.01)
                await cycler.drive(channel * 1e-4, 4.2)
                reading = await cycler.read()
                assert reading.current == pytest.approx(channel * 1e-4, abs=1e-8)

            await asyncio.gather(*(charge(k, cycler) for k, (cycler, _) in enumerate(drivers, 1)))
            assert [round(bench.cell.current, 9) for bench in benches] == [round(k * 1e-4, 9) for k in range(1, 17)]
            await drivers[4][0].off()
            assert benches[4].cell.current == 0.0
            assert sum(bench.cell.current > 0.0 for bench in benches) == 15
        finally:
            for _, link in drivers:
                await link.close()


async def test_each_channel_lives_in_the_time_of_its_own_station() -> None:
    async with mainframe(2) as (address, hosts, benches):
        host, _, port = (await hosts[1].control()).partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        await reader.readline()
        writer.write(b"5000.0\n")
        assert await reader.readline() == b"5000.000000000\n"
        parts = address.split("::")
        one, other = [await asyncio.open_connection(parts[1], int(parts[2])) for _ in range(2)]
        # Two clients, each in the middle of a line of its own.
        one[1].write(framed("1 READ?")[:4])
        other[1].write(framed("2 READ?")[:6])
        await asyncio.gather(one[1].drain(), other[1].drain())
        one[1].write(framed("1 READ?")[4:])
        other[1].write(framed("2 READ?")[6:] + framed("9 READ?"))
        assert (await one[0].readline()).startswith(b"1 READ? OFF ")
        assert (await other[0].readline()).startswith(b"2 READ? OFF ")
        assert (await other[0].readline()).startswith(b"9 ERROR there is no such channel")
        assert benches[1].time == 5000.0
        assert benches[0].time < 100.0
        for _, each in (one, other, (reader, writer)):
            each.close()
            await each.wait_closed()


async def test_a_page_over_a_real_wire() -> None:
    stand = Stand("simulated-cycler")
    async with Host(stand.bench) as host:
        cycler, link = driver_at(await host.serve(stand.simulator, TCP), 1, stand.clock)
        try:
            await cycler.connect()
            text = "LIMIT 0.0 5.0 0.01 inf\nLOOP 100 COUNT\nSTEP REST; END NEXT T>=0.01\nENDLOOP\n" + STEP
            program = Program(text.encode(), (7, 8), (True,))
            await cycler.start_program(program, "token")
            stand.bench.advance_to(stand.bench.time + 60.0)
            records = await cycler.program_records(program, 0)
            assert len(records) == PAGE
            assert math.isclose(records[-1].time, 0.5)
        finally:
            await link.close()
