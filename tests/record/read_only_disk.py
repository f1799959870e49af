"""A disk that is mounted read-only for a while: `unshare -rm python -m tests.record.read_only_disk FOLDER`.

The database is on a tmpfs of this process on FOLDER; its journals are beside it, on another disk. Prints what the
recorder said, and how many records were stored in the end.
"""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from labctl.bus.local import LocalBus
from labctl.bus.topics import Process
from labctl.clock import host_sleep
from labctl.record import recorder
from labctl.record.datapath import open_data_path
from labctl.record.writer import Writer
from tests.laboratory import ended, new_run, reading, started
from tests.record.evidence import assert_whole, stored


async def measure(disk: Path, journals: Path) -> None:
    recorder._PAUSE_IN_TROUBLE = 0.02
    database = disk / "lab.db"
    Writer(database).close()
    mount("-o", "remount,ro", str(disk))
    async with (
        asyncio.timeout(60),
        open_data_path(LocalBus(), Process("lab", "pc"), journals, database, patient=True) as path,
    ):
        delivery = path.begin(run := new_run(), "A1", simulated=True)
        delivery.record(started(run))
        for number in range(2, 41):
            delivery.record(reading(number))
        delivery.record(ended(41.0))
        while not path.trouble:
            await host_sleep(0.01)
        print(path.trouble)
        mount("-o", "remount,rw", str(disk))
        assert await delivery.close()
    assert_whole(database)
    print(len(stored(database)[run]))


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(sys.argv[1]), Path(folder)))
