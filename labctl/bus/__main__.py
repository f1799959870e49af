"""The embedded broker as its own process: `python -m labctl.bus --directory D [--port P]`."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from labctl.bus.broker import Broker
from labctl.errors import LabctlError
from labctl.logs import configure


def main() -> int:
    """Serve until SIGTERM or SIGINT; the first line of output is the runtime file."""
    parser = argparse.ArgumentParser(prog="python -m labctl.bus", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="for the runtime file broker.json")
    parser.add_argument("--port", type=int, help="default: a free one")
    arguments = parser.parse_args()
    configure()
    try:
        asyncio.run(_serve(Broker(arguments.directory, arguments.port)))
    except LabctlError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


async def _serve(broker: Broker) -> None:
    await asyncio.to_thread(broker.start)
    sys.stdout.write(f"{broker.runtime_file}\n")
    sys.stdout.flush()
    service = asyncio.create_task(broker.serve())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, service.cancel)
    await asyncio.wait([service])
    if not service.cancelled():
        service.result()


if __name__ == "__main__":
    sys.exit(main())
