"""From instrument to committed row: through labctl, straight to SQLite, and as the naive pipeline does it.

All three ask the same instruments, simulated Keithley 2450 in a process of their own on TCP, each polled by a task of
its own as at a station, through the same driver; they count charge and assemble rows as the engine does, into the same
tables with synchronous FULL. They differ in the way up:

- labctl: journal, MQTT (the embedded broker), recorder, 50 records a message;
- straight: executemany of 50 rows a transaction, no journal and no bus;
- naive: one JSON message a reading, its acknowledgement awaited, and one sqlite-utils insert a message.
"""

import asyncio
import itertools
import subprocess
import sys
import uuid
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import aiomqtt
import orjson
from sqlite_utils import Database
from sqlite_utils.db import Table

from benchmarks.records import started
from benchmarks.report import Figure, Goal, Report, options, ratio, run
from labctl.bus.address import Address
from labctl.bus.broker import Broker
from labctl.bus.client import MqttBus
from labctl.bus.topics import Process
from labctl.clock import RealClock, host_monotonic
from labctl.engine.board import Board
from labctl.engine.ledger import Ledger
from labctl.engine.rows import RowWriter, When
from labctl.instrument import Cycler, Range
from labctl.link import open_link
from labctl.reading import COLUMNS, Reading
from labctl.record.datapath import open_data_path
from labctl.record.schema import connect
from labctl.registry import load_driver

ROUNDS = 5
READINGS = 3000
"""In a round of each variant: about a second for the fastest."""
INSTRUMENTS = 1
"""More of them share the cores with their simulators; the ratios stay about the same."""
BATCH = 50
DRIVER = "keithley-2450"
TOPIC = "naive/readings"


class Sampler:
    """Reads the cycler and turns what it says into a row, as the engine does at each poll."""

    def __init__(self, cycler: Cycler) -> None:
        self._cycler = cycler
        self._clock = RealClock()
        self._board = Board()
        self._ledger = Ledger(self._clock.now())
        self._rows = RowWriter(self._board, self._ledger, cycler.poll_period)

    async def sample(self) -> Reading:
        """Ask once."""
        reading = await self._cycler.read()
        now = self._clock.now()
        self._board.see_cell(reading, now)
        self._ledger.add(reading, now)
        when = When(self._clock.unix(), now - self._ledger.start_time, now - self._ledger.step_start)
        return self._rows.row(reading, now, when, cycle=0, step_count=1, step_id=1)


Samplers = list[Sampler]
Variant = Callable[[Samplers, int, Path, Address], Awaitable[float]]
"""Takes so many readings of each into a database; returns seconds from the first question to the last commit."""


async def each(samplers: Samplers, poll: Callable[[Sampler], Coroutine[None, None, None]]) -> None:
    """Poll every instrument in a task of its own."""
    async with asyncio.TaskGroup() as group:
        for sampler in samplers:
            group.create_task(poll(sampler))


async def through_labctl(samplers: Samplers, count: int, folder: Path, broker: Address) -> float:
    process = Process("benchmark", "host")
    async with open_data_path(MqttBus(broker, process.alive), process, folder / "journals", folder / "lab.db") as path:
        delivery = path.begin(str(uuid.uuid4()), "A1", simulated=True)
        delivery.record(started(delivery.run, "A1"))
        await delivery.settled()

        async def poll(sampler: Sampler) -> None:
            for _ in range(count):
                delivery.record(await sampler.sample())

        begin = host_monotonic()
        await each(samplers, poll)
        await delivery.settled()
        seconds = host_monotonic() - begin
        await delivery.close()
    return seconds


async def straight(samplers: Samplers, count: int, folder: Path, _broker: Address) -> float:
    connection = connect(folder / "lab.db")
    connection.execute("INSERT INTO runs (id, uuid) VALUES (1, 'benchmark')")
    insert = f"INSERT INTO readings VALUES (1, 0, {', '.join('?' * (1 + len(COLUMNS)))})"
    rows: list[tuple[float | int | None, ...]] = []
    numbers = itertools.count(1)

    def commit() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, rows)
        connection.execute("COMMIT")
        rows.clear()

    async def poll(sampler: Sampler) -> None:
        for _ in range(count):
            rows.append((next(numbers), *(await sampler.sample()).values))
            if len(rows) >= BATCH:
                commit()

    begin = host_monotonic()
    await each(samplers, poll)
    commit()
    seconds = host_monotonic() - begin
    connection.close()
    return seconds


async def naive(samplers: Samplers, count: int, folder: Path, broker: Address) -> float:
    connection = connect(folder / "lab.db")
    connection.execute("INSERT INTO runs (id, uuid) VALUES (1, 'benchmark')")
    table = cast("Table", Database(connection)["readings"])
    async with client(broker) as publisher, client(broker) as subscriber:
        await subscriber.subscribe(TOPIC, qos=1)

        async def insert_each() -> None:
            inserted = 0
            async for message in subscriber.messages:
                table.insert(orjson.loads(message.payload))
                inserted += 1
                if inserted == count * len(samplers):
                    return

        numbers = itertools.count(1)

        async def poll(sampler: Sampler) -> None:
            for _ in range(count):
                values = dict(zip(COLUMNS, (await sampler.sample()).values, strict=True))
                message = {"run_id": 1, "channel": 0, "seq": next(numbers), **values}
                await publisher.publish(TOPIC, orjson.dumps(message), qos=1)

        begin = host_monotonic()
        recorder = asyncio.create_task(insert_each())
        await each(samplers, poll)
        await recorder
        seconds = host_monotonic() - begin
    connection.close()
    return seconds


VARIANTS: dict[str, Variant] = {"labctl": through_labctl, "straight": straight, "naive": naive}


def client(broker: Address) -> aiomqtt.Client:
    return aiomqtt.Client(broker.host, broker.port, username=broker.username, password=broker.password)


@contextmanager
def simulator() -> Iterator[str]:
    """Serve the instrument in a process of its own; yield its address."""
    command = [sys.executable, "-m", "labctl", "sim", DRIVER, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield orjson.loads(process.stdout.readline())["address"]
        finally:
            process.terminate()


@asynccontextmanager
async def resting_cycler(address: str) -> AsyncIterator[Cycler]:
    """Connect the driver, its output closed at 0 A, so that every reading is a measurement."""
    driver, clock = load_driver(DRIVER), RealClock()
    link = open_link(address, driver.wire, "A1/cycler", clock, simulated=True)
    cycler = cast("Cycler", driver.make(link, driver.example_options({}), clock))
    try:
        await cycler.connect()
        await cycler.arm(Range(0.0, 5.0), 1e-3)
        await cycler.rest()
        yield cycler
    finally:
        await cycler.off()
        await link.close()


async def rates(rounds: int, readings: int, instruments: int) -> dict[str, list[float]]:
    """Return readings a second of each variant, round by round."""
    found: dict[str, list[float]] = {name: [] for name in VARIANTS}
    with TemporaryDirectory() as scratch, ExitStack() as stack:
        addresses = [stack.enter_context(simulator()) for _ in range(instruments)]
        broker = Broker(Path(scratch) / "broker")
        listening = await asyncio.to_thread(broker.start)
        try:
            async with AsyncExitStack() as connected:
                cyclers = [await connected.enter_async_context(resting_cycler(address)) for address in addresses]
                for number in range(-1, rounds):
                    for name, variant in VARIANTS.items():
                        folder = Path(scratch) / f"{name}-{number}"
                        folder.mkdir()
                        count = (readings if number >= 0 else BATCH * instruments) // instruments
                        samplers = [Sampler(cycler) for cycler in cyclers]
                        seconds = await variant(samplers, count, folder, listening)
                        if number >= 0:  # the round before the first warms everything up
                            found[name].append(count * instruments / seconds)
        finally:
            await asyncio.to_thread(broker.stop)
    return found


def measure(arguments: Namespace) -> Report:
    found = asyncio.run(rates(arguments.rounds, arguments.readings, arguments.instruments))
    labctl, limit, plain = (Figure(name, "readings/s", values) for name, values in found.items())
    return Report(
        "pipeline",
        [labctl, limit, plain],
        [
            Goal(ratio("labctl / straight", labctl, limit), "at least", 0.6),
            Goal(ratio("labctl / naive", labctl, plain), "at least", 4.0),
        ],
    )


if __name__ == "__main__":
    parser = options("From instrument to committed row.", ROUNDS)
    parser.add_argument("--readings", type=int, default=READINGS, help=f"in each round of each variant ({READINGS})")
    parser.add_argument("--instruments", type=int, default=INSTRUMENTS, help=f"polled at once ({INSTRUMENTS})")
    run(parser, measure)
