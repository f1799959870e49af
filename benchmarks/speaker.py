"""A daemon that only talks: N stations whose states it says at a rate, for what a screen costs.

python -m benchmarks.speaker BROKER_FILE --stations 16 --rate 1
"""

import asyncio
import math
from argparse import ArgumentParser
from pathlib import Path

from labctl import __version__
from labctl.api import LabState, RunStatus, StationState, Value, Word
from labctl.bus.address import Address
from labctl.bus.client import MqttBus
from labctl.bus.topics import Process, Station
from labctl.clock import host_monotonic, host_sleep, host_unix

DAEMON = Process("benchmark", "speaker")
RUN = "00000000-0000-4000-8000-{:012d}"
AT_ONCE = 16
"""Messages that await their acknowledgement."""


def names(stations: int) -> list[str]:
    return [f"C{number:03d}" for number in range(stations)]


def lab_state(stations: int) -> LabState:
    return LabState(
        site=DAEMON.site,
        host=DAEMON.name,
        version=__version__,
        pid=1,
        stations=tuple(names(stations)),
        started_unix_second=0.0,
        said_unix_second=host_unix(),
        rows_per_second=16.0,
        schema=1,
    )


def station_state(number: int, name: str, now: float) -> StationState:
    """Every number changes with every message: nothing is spared because it looks as before."""
    wave = math.sin(now + number)
    values = {
        "voltage_volt": 3.6 + 0.6 * wave,
        "current_ampere": 7e-4 * wave,
        "negative_pressure_pa": 2.5e6 + 1e4 * wave,
        "positive_pressure_pa": 2e5 + 1e3 * wave,
        "ambient_temperature_celsius": 45.0 + 0.1 * wave,
    }
    return StationState(
        station=name,
        word=Word.CHARGE if wave > 0 else Word.DISCHARGE,
        simulated=True,
        speed=1.0,
        said_unix_second=host_unix(),
        lab_unix_second=host_unix(),
        values={quantity: Value(value=value, age=0.1, period=1.0) for quantity, value in values.items()},
        run=RunStatus(
            run=RUN.format(number),
            protocol="benchmark",
            title="",
            cell=f"NMC811-{number:02d}",
            operator="nobody",
            started_unix_second=0.0,
            step=5,
            steps=12,
            step_name="",
            verb="charge",
            next_step="rest",
            step_time_second=now % 3600,
            cycle=156,
            cycles=400,
            test_time_second=now,
            left_second=3600.0 + 60 * wave,
            fraction=0.5 + 0.5 * wave,
            specific_mah_per_gram=150 + 50 * wave,
        ),
        schema=1,
    )


async def speak(broker: Path, stations: int, rate: float) -> None:
    bus = MqttBus(Address.read(broker), DAEMON.alive)
    service = asyncio.create_task(bus.serve())
    try:
        await bus.connected()
        topics = [(number, name, Station(DAEMON, name).state) for number, name in enumerate(names(stations))]
        due = host_monotonic()
        while True:
            await bus.retain(DAEMON.state, lab_state(stations).model_dump_json(by_alias=True).encode())
            for begin in range(0, stations, AT_ONCE):
                said = [
                    bus.retain(topic, station_state(number, name, due).model_dump_json(by_alias=True).encode())
                    for number, name, topic in topics[begin : begin + AT_ONCE]
                ]
                await asyncio.gather(*said)
            due += 1 / rate
            await host_sleep(max(0.0, due - host_monotonic()))
    finally:
        service.cancel()
        await asyncio.wait([service])


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("broker", type=Path)
    parser.add_argument("--stations", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    arguments = parser.parse_args()
    asyncio.run(speak(arguments.broker, arguments.stations, arguments.rate))
