"""A station's simulators on real wires, in a process of their own: serving them, starting that process, finding it.

`labctl sim --station A1` leaves a runtime file for each station that says where its control port and its instruments
are; a run finds it there. Where none is running, one is started, which ends with whoever asked for it.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from labctl.config import SIMULATED, Config
from labctl.errors import LabctlError
from labctl.instrument import SerialWire, Wire
from labctl.lab.assemble import bench_of, simulator_of
from labctl.sim.bench import ChannelSimulator
from labctl.sim.host import Host
from labctl.sim.schedule import Scheduled

START_TIMEOUT = 20.0
TCP = "tcp://127.0.0.1:0"


class Served(BaseModel):
    """Where simulators are: each instrument's address and, for those of a station, their control port.

    Attributes:
        newborn: whether they were started for who asks, with a fresh cell.
    """

    model_config = ConfigDict(frozen=True)

    station: str | None
    control: Annotated[str, StringConstraints(pattern=r"^[\w.:\[\]-]+:\d+$")] | None
    instruments: dict[str, str]
    newborn: bool = False


class SimulatorFailed(LabctlError):
    """The simulators' process did not start, or broke off."""


def runtime_file(folder: Path, name: str) -> Path:
    """Return where a running `labctl sim` tells its addresses: under its station's name, or one of its own."""
    return folder / "run" / f"sim-{name}.json"


def simulated_addresses(folder: Path) -> set[str]:
    """Return every address at which `labctl sim` serves, or was serving when it was killed.

    A run on one of them is simulated, also where the configuration gives it as if it were an instrument's.
    """
    told = (_told(path) for path in folder.glob("run/sim-*.json"))
    return {address for served in told if served is not None for address in served.instruments.values()}


@asynccontextmanager
async def serving(
    config: Config, stations: Sequence[str], seed: int, faults: Sequence[Scheduled] = ()
) -> AsyncIterator[dict[str, Served]]:
    """Serve every instrument of these stations on its own kind of wire, each station with a bench of its own.

    Instruments of one shared address ("sim://NAME") are channels of one mainframe, at one address. Faults happen at
    each station, at the same lab times.

    Raises:
        UnfitScript: a station has not what a fault is to happen to.
    """
    async with AsyncExitStack() as stack:
        hosts: dict[str, Host] = {}
        addresses: dict[str, dict[str, str]] = {station: {} for station in stations}
        shared: dict[str, list[tuple[str, str, ChannelSimulator]]] = {}
        for station in stations:
            bench = bench_of(config, station, seed, faults)
            host = hosts[station] = await stack.enter_async_context(Host(bench))
            for instrument, _, written in config.station(station).instruments():
                driver, _ = config.drivers[station, instrument]
                simulator = simulator_of(config, station, instrument, bench)
                if isinstance(simulator, ChannelSimulator) and written.address != SIMULATED:
                    shared.setdefault(written.address, []).append((station, instrument, simulator))
                else:
                    addresses[station][instrument] = await host.serve(simulator, listen_by_default(driver.wire))
        for users in shared.values():
            seats = {simulator.channel: hosts[station].seat(simulator) for station, _, simulator in users}
            address = await hosts[users[0][0]].serve_mainframe(seats, TCP)
            for station, instrument, _ in users:
                addresses[station][instrument] = address
        yield {
            station: Served(station=station, control=await hosts[station].control(), instruments=addresses[station])
            for station in stations
        }


def listen_by_default(wire: Wire) -> str:
    """Return where an instrument of this kind of wire is served: TCP or a pseudo-terminal."""
    return "pty" if isinstance(wire, SerialWire) else TCP


@asynccontextmanager
async def simulators(
    config_path: Path, stations: Sequence[str], seed: int, folder: Path
) -> AsyncIterator[dict[str, Served]]:
    """Yield each station's simulators: those that run, and one process for all others that ends with this block."""
    running = {station: await running_simulators(folder, station) for station in stations}
    found = {station: served for station, served in running.items() if served is not None}
    absent = [station for station in stations if station not in found]
    async with AsyncExitStack() as stack:
        if absent:
            found |= await stack.enter_async_context(_started(config_path, absent, seed))
        yield found


@asynccontextmanager
async def _started(config_path: Path, stations: Sequence[str], seed: int) -> AsyncIterator[dict[str, Served]]:
    """Start a process that serves these stations until the block ends."""
    named = [word for station in stations for word in ("--station", station)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "labctl", "--config", str(config_path)),
        *("sim", *named, "--seed", str(seed), "--json", "--while-stdin"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C ends the run, which makes its cell safe; the cell must live until then
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        try:
            async with asyncio.timeout(START_TIMEOUT):
                told = [Served.model_validate_json(await process.stdout.readline()) for _ in stations]
        except (TimeoutError, ValidationError) as error:
            raise SimulatorFailed(
                f"The simulators of {', '.join(stations)} did not start.",
                f"Run `labctl sim {' '.join(named)}` to see why.",
            ) from error
        yield {station: each.model_copy(update={"newborn": True}) for station, each in zip(stations, told, strict=True)}
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(5.0):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _told(path: Path) -> Served | None:
    """Return what a runtime file says."""
    try:
        return Served.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


async def running_simulators(folder: Path, station: str) -> Served | None:
    """Return the simulators that `labctl sim` serves for a station, if they still listen where they said."""
    served = _told(runtime_file(folder, station))
    if served is None or served.control is None:
        return None
    host, _, port = served.control.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return None
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return served


class Controller:
    """Tells the simulators' process what time it is; a VirtualClock follows it."""

    def __init__(self, served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, zero: float) -> None:
        self._served = served
        self._reader = reader
        self._writer = writer
        self._zero = zero

    async def follow(self, instant: float) -> None:
        """Bring the simulators to an instant of this run's lab time, which began at the bench's time then."""
        self._writer.write(b"%.9f\n" % (self._zero + instant))
        try:
            reached = await self._reader.readline()
        except OSError:
            reached = b""
        if not reached:
            raise SimulatorFailed(
                f"The simulators of station {self._served.station} broke off in the middle of a run.",
                "Start them again; the run cannot go on, because its cell is gone.",
            )


@asynccontextmanager
async def controlling(served: Served) -> AsyncIterator[Controller]:
    """Take over the time of a station's simulators."""
    assert served.control is not None
    host, _, port = served.control.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        zero = float(await reader.readline())
        yield Controller(served, reader, writer, zero)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
