"""A station's simulators on real wires, in a process of their own: serving them, starting that process, finding it.

`labctl sim --station A1` leaves a runtime file that says where its control port and its instruments are; a run finds
it there. Where none is running, a run starts one for itself, which ends with it.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from labctl.config import Config
from labctl.errors import LabctlError
from labctl.instrument import VisaWire
from labctl.lab.assemble import simulator_of
from labctl.sim.bench import Bench
from labctl.sim.host import Host

START_TIMEOUT = 20.0


class Served(BaseModel):
    """Where simulators are: each instrument's address and, for those of a station, their control port."""

    model_config = ConfigDict(frozen=True)

    station: str | None
    control: Annotated[str, StringConstraints(pattern=r"^[\w.:\[\]-]+:\d+$")] | None
    instruments: dict[str, str]


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
async def serving(config: Config, station: str, seed: int) -> AsyncIterator[Served]:
    """Serve every instrument of a station on its own kind of wire, sharing one bench."""
    bench = Bench.of(config.station(station).simulation, seed)
    async with Host(bench) as host:
        addresses: dict[str, str] = {}
        for instrument, _, _ in config.station(station).instruments():
            driver, _ = config.drivers[station, instrument]
            listen = "tcp://127.0.0.1:0" if isinstance(driver.wire, VisaWire) else "pty"
            addresses[instrument] = await host.serve(simulator_of(config, station, instrument, bench), listen)
        yield Served(station=station, control=await host.control(), instruments=addresses)


@asynccontextmanager
async def simulators(config_path: Path, station: str, seed: int, folder: Path) -> AsyncIterator[Served]:
    """Yield the station's running simulators, or start a process of them that ends with this block."""
    found = await _running(_told(runtime_file(folder, station)))
    if found is not None:
        yield found
        return
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "labctl", "--config", str(config_path)),
        *("sim", "--station", station, "--seed", str(seed), "--json", "--while-stdin"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        try:
            async with asyncio.timeout(START_TIMEOUT):
                line = await process.stdout.readline()
            served = Served.model_validate_json(line)
        except (TimeoutError, ValidationError) as error:
            raise SimulatorFailed(
                f"The simulators of station {station} did not start.",
                f"Run `labctl sim --station {station}` to see why.",
            ) from error
        yield served
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


async def _running(served: Served | None) -> Served | None:
    """Return the simulators, if they still listen where they said."""
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
