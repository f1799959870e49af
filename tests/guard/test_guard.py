"""A guard in this event loop, over stations that answer, that do not, that are gone, and that another process has."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from drivers.keithley_2450.driver import Keithley2450
from drivers.keithley_2450.sim import Simulator
from drivers.simulated_cycler.driver import SimulatedCycler
from drivers.simulated_cycler.sim import Simulator as Mainframe
from labctl.clock import RealClock, host_sleep
from labctl.config import load
from labctl.errors import RefusedForSafety
from labctl.guard import guard as module
from labctl.guard.guard import Guard
from labctl.instrument import Range
from labctl.lab.guarded import Outcome, Report, StationReport, read_report
from labctl.lab.heartbeat import Beat
from labctl.lab.locks import daemon_lock, hold, station_lock
from labctl.link import open_link
from labctl.plan import Bound, Compare, ConstantCurrent, End, Limits, Operator, Quantity, Step
from labctl.program import ProgramState
from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.host import Host
from tests.guard.beats import dead, leave, mine

STATION = """
[station.{name}.cycler]
driver = "keithley-2450"
address = "{address}"
[station.{name}.limits]
voltage = ["0 V", "5 V"]
current = "10 mA"
"""


class Guarded:
    """A data folder with a configuration, and guards of it."""

    def __init__(self, folder: Path, **addresses: str) -> None:
        self.path = folder / "config.toml"
        self.data = folder / "data"
        stations = "".join(STATION.format(name=name, address=address) for name, address in addresses.items())
        self.path.write_text(f'schema = "1"\n[storage]\ndata = "{self.data}"\n{stations}')

    async def once(self, beat: Beat) -> Report | None:
        """Let a guard look once at a daemon that said this last."""
        leave(self.data, beat)
        guard = Guard(load(self.path), self.path, 1.0)
        await guard.serve(asyncio.Event(), once=True)
        return guard.report

    async def station(self, name: str, **more: object) -> StationReport:
        report = await self.once(dead(name, **more))
        assert report is not None
        assert report == read_report(self.data)
        return report.stations[name]


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY", 0.01)


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address at which nobody listens while the test runs."""
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        yield f"TCPIP::127.0.0.1::{held.getsockname()[1]}::SOCKET"


async def serve(host: Host, port: int = 0) -> str:
    """Serve a source that drives the cell; return its address."""
    simulator = Simulator(host._bench, "cell", Keithley2450.Options())
    simulator.receive(b":SOUR:FUNC VOLT;:SOUR:VOLT 2.5;:OUTP ON\n")
    return await host.serve(simulator, f"tcp://127.0.0.1:{port}")


async def test_a_source_is_found_driving_and_left_open(tmp_path: Path) -> None:
    bench = Bench.of(BenchParameters(), seed=1)
    async with Host(bench) as host:
        lab = Guarded(tmp_path, A1=await serve(host))
        assert bench.cell.limiting is not None
        report = await lab.station("A1")
        assert bench.cell.limiting is None
    assert report.outcome is Outcome.SAFE
    assert "cycler confirmed at" in report.sentence
    assert "2450" in report.instruments["cycler"].identity


async def test_what_does_not_answer_is_said_and_hinders_no_other_station(tmp_path: Path, nowhere: str) -> None:
    bench = Bench.of(BenchParameters(), seed=1)
    async with Host(bench) as host:
        lab = Guarded(tmp_path, A1=nowhere, A2=await serve(host))
        report = await lab.once(dead("A1", "A2"))
        assert bench.cell.limiting is None
    assert report is not None
    assert not report.complete
    assert report.stations["A1"].outcome is Outcome.UNCONFIRMED
    assert "Go there" in report.stations["A1"].sentence
    assert report.stations["A2"].outcome is Outcome.SAFE


async def test_it_keeps_trying_until_the_instrument_is_back(tmp_path: Path) -> None:
    bench = Bench.of(BenchParameters(), seed=1)
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    port = held.getsockname()[1]
    lab = Guarded(tmp_path, A1=f"TCPIP::127.0.0.1::{port}::SOCKET")
    leave(lab.data, dead("A1"))
    guard, end = Guard(load(lab.path), lab.path, 1.0), asyncio.Event()
    work = asyncio.create_task(guard.serve(end))
    async with asyncio.timeout(10.0), Host(bench) as host:
        while guard.report is None:
            await host_sleep(0.01)
        assert not guard.report.complete
        held.close()
        await serve(host, port)
        while not guard.report.complete:
            await host_sleep(0.01)
        assert bench.cell.limiting is None
        end.set()
        await work


async def test_simulators_that_ended_with_their_daemon_are_nothing_to_make_safe(tmp_path: Path) -> None:
    report = await Guarded(tmp_path, A1="sim://").station("A1")
    assert report.outcome is Outcome.NOTHING
    assert "nothing there to make safe" in report.sentence


async def test_a_daemon_that_simulated_real_addresses_has_touched_no_instrument(tmp_path: Path, nowhere: str) -> None:
    assert (await Guarded(tmp_path, A1=nowhere).station("A1", simulate=True)).outcome is Outcome.NOTHING


async def test_a_station_that_another_process_has_is_left_alone(tmp_path: Path, nowhere: str) -> None:
    lab = Guarded(tmp_path, A1=nowhere)
    run = hold(station_lock(lab.data, "A1"), "Station A1")
    report = await lab.station("A1")
    run.release()
    assert report.outcome is Outcome.LEFT_ALONE


async def test_a_station_that_was_taken_out_of_the_configuration_is_named(tmp_path: Path, nowhere: str) -> None:
    report = await Guarded(tmp_path, A1=nowhere).station("B7")
    assert report.outcome is Outcome.UNCONFIRMED
    assert "B7" in report.sentence


async def test_a_new_daemon_is_not_disturbed(tmp_path: Path, nowhere: str) -> None:
    lab = Guarded(tmp_path, A1=nowhere)
    daemon = hold(daemon_lock(lab.data), "This laboratory")
    assert await lab.once(dead("A1")) is None
    daemon.release()


@pytest.mark.parametrize("beat", [mine("A1", ended=True), mine("A1")], ids=["ended", "alive"])
async def test_a_daemon_that_needs_no_guard_is_left_alone(tmp_path: Path, nowhere: str, beat: Beat) -> None:
    lab = Guarded(tmp_path, A1=nowhere)
    work = asyncio.create_task(lab.once(beat))
    while not work.done():
        await host_sleep(0.02)
        if not beat.ended:
            leave(lab.data, beat.model_copy(update={"monotonic_second": beat.monotonic_second + 1.0}))
    assert await work is None


async def test_a_daemon_is_acted_for_once_whoever_guards(tmp_path: Path) -> None:
    lab = Guarded(tmp_path, A1="sim://")
    beat = dead("A1")
    first = await lab.once(beat)
    assert await lab.once(beat) == first


async def test_a_second_guard_is_refused(tmp_path: Path, nowhere: str) -> None:
    lab = Guarded(tmp_path, A1=nowhere)
    first = Guard(load(lab.path), lab.path, 1.0)
    with pytest.raises(RefusedForSafety, match="guard of this laboratory"):
        Guard(load(lab.path), lab.path, 1.0)
    await first.serve(asyncio.Event(), once=True)


LONG = Step(1, "charge", "long", ConstantCurrent(1e-3, 4.0), (End(Compare(Quantity.TIME, Operator.GE, 1e5), "time"),))
CHANNEL = '\n[station.A1.cycler]\ndriver = "simulated-cycler"\naddress = "{address}"\nchannel = 1\n'


@pytest.mark.parametrize(
    ("program", "state"), [("run-1", ProgramState.PAUSED), ("", ProgramState.STOPPED)], ids=["known", "unknown"]
)
async def test_a_program_is_paused_for_the_next_daemon_where_it_is_known(
    tmp_path: Path, program: str, state: ProgramState
) -> None:
    bench = Bench.of(BenchParameters(), seed=1)
    async with Host(bench) as host:
        address = await host.serve(Mainframe(bench, "cell", SimulatedCycler.Options(channel=1)), "tcp://127.0.0.1:0")
        clock = RealClock()
        link = open_link(address, SimulatedCycler.WIRE, "A1/cycler", clock, simulated=True)
        cycler = SimulatedCycler(link, SimulatedCycler.Options(channel=1), clock)
        await cycler.connect()
        await cycler.arm(Range(0.0, 4.5), 5e-3)
        compiled = cycler.compile((LONG,), Limits(voltage=Bound(0.0, 4.5), current=5e-3, capacity=1e3))
        assert compiled is not None
        await cycler.start_program(compiled, "run-1")
        await link.close()
        assert bench.cell.limiting is not None
        lab = Guarded(tmp_path)
        limits = '[station.A1.limits]\nvoltage = ["0 V", "5 V"]\ncurrent = "10 mA"\n'
        lab.path.write_text(lab.path.read_text() + CHANNEL.format(address=address) + limits)
        report = await lab.station("A1", stations={"A1": {"connected": True, "addresses": {}, "program": program}})
        assert bench.cell.limiting is None
        assert report.outcome is Outcome.SAFE
        cycler.expect_program("run-1")
        await cycler.connect()
        assert (await cycler.program_status()).state is state
        await link.close()
