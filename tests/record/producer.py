"""A process that measures: delivers what dead ones left, then records a run and says how far it is.

`python producer.py JOURNALS BUS ROWS`: one line for each 20 records, and "done" when all are in the database.
"""

import asyncio
import sys
from pathlib import Path

from labctl.bus.address import Address
from labctl.bus.client import MqttBus
from labctl.bus.topics import Process
from labctl.record.datapath import open_data_path
from tests.laboratory import ended, new_run, reading, started

HOST = Process("lab", "pc")


async def measure(journals: Path, address: Address, rows: int) -> None:
    async with open_data_path(MqttBus(address, HOST.alive), HOST, journals) as path:
        left = path.recover()
        delivery = path.begin(run := new_run(), "A1", simulated=True)
        delivery.record(started(run))
        for number in range(rows):
            step = 1 + number // 30
            delivery.record(reading(number, cycle=(step + 1) // 2, step=step))
            if number % 20 == 0:
                print(number, flush=True)
                await delivery.settled(at_most=60)
        delivery.record(ended(float(rows)))
        for each in [*left, delivery]:
            assert await each.close(patience=60.0)
    print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(measure(Path(sys.argv[1]), Address.parse(sys.argv[2]), int(sys.argv[3])))
