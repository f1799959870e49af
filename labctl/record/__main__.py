"""The recorder as its own process: `python -m labctl.record --database F --bus ADDRESS [--site S] [--name N]`."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from labctl.bus.address import Address
from labctl.bus.client import MqttBus
from labctl.bus.topics import Process
from labctl.errors import LabctlError
from labctl.logs import configure
from labctl.record.recorder import Recorder
from labctl.record.writer import Writer


def main() -> int:
    """Record until SIGTERM or SIGINT; the first line of output is the database."""
    parser = argparse.ArgumentParser(prog="python -m labctl.record", description=__doc__)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--bus", required=True, help="broker.json, a file of `labctl site`, or mqtt://127.0.0.1:port")
    parser.add_argument("--site", default="lab")
    parser.add_argument("--name", default="recorder")
    arguments = parser.parse_args()
    configure()
    try:
        address = Address.parse(arguments.bus)
        asyncio.run(record(address, Process(arguments.site, arguments.name), arguments.database))
    except LabctlError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


async def record(address: Address, process: Process, database: Path) -> None:
    """Record a site until a signal asks to stop."""
    writer = Writer(database)
    try:
        bus = MqttBus(address, process.alive)
        recorder = Recorder(bus, writer, process)
        works = [asyncio.create_task(bus.serve()), asyncio.create_task(recorder.serve())]
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, works[0].cancel)
        sys.stdout.write(f"{database}\n")
        sys.stdout.flush()
        done, _ = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
        for work in works:
            work.cancel()
        await asyncio.wait(works)
        for work in done:
            if not work.cancelled():
                work.result()
    finally:
        writer.close()


if __name__ == "__main__":
    sys.exit(main())
