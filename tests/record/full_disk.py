"""A disk that really is full: journals and database on a small tmpfs of this process, which is filled and emptied.

`unshare -rm python -m tests.record.full_disk FOLDER`: mounts it on FOLDER and prints what it saw as JSON.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from labctl.bus.local import LocalBus
from labctl.bus.topics import Process
from labctl.clock import host_sleep
from labctl.record import datapath, recorder
from labctl.record.datapath import DataPath, open_data_path
from tests.laboratory import ended, new_run, reading, started
from tests.record.evidence import assert_whole, stored

ROWS = 600


async def measure(folder: Path) -> dict[str, object]:
    datapath.RETRY = recorder._PAUSE_IN_TROUBLE = 0.02
    told: list[str] = []
    process = Process("lab", "pc")
    async with (
        asyncio.timeout(60),
        open_data_path(LocalBus(), process, folder / "lab.db.journal", folder / "lab.db") as path,
    ):
        path.on_disk.append(told.append)
        delivery = path.begin(run := new_run(), "A1", simulated=True)
        delivery.record(started(run))
        await delivery.settled()
        fill(folder / "ballast")
        for number in range(ROWS):
            delivery.record(reading(number, step=1 + number // 50))
        await until(path, troubled=True)
        words, kept = path.disk_trouble, delivery.journal.buffered
        (folder / "ballast").unlink()
        await until(path, troubled=False)
        delivery.record(ended(float(ROWS)))
        delivered = await delivery.close()
    assert_whole(folder / "lab.db")
    [records] = stored(folder / "lab.db").values()
    return {
        "trouble": words,
        "in_memory": kept,
        "stored": len(records),
        "delivered": delivered,
        "told_the_end": told[-1] == "" and len(told) > 1,
        "left": [each.name for each in (folder / "lab.db.journal").iterdir()],
    }


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue


async def until(path: DataPath, *, troubled: bool) -> None:
    while bool(path.disk_trouble) is not troubled:
        await host_sleep(0.01)


if __name__ == "__main__":
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", sys.argv[1]], check=True)
    print(json.dumps(asyncio.run(measure(Path(sys.argv[1])))))
