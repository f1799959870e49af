"""A laboratory left alone: three protocols on four simulated stations for a simulated month, its memory watched.

    python -m benchmarks.soak --days 30

The daemon is a process of its own; stations live in virtual time, as fast as the machine allows. Memory is its resident
set, sampled while it works: flat means that the last third is not above the middle third by more than 2 %.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

from labctl.api import StationState
from labctl.client import Lab, connect
from labctl.clock import host_monotonic, host_sleep

ROOT = Path(__file__).parent.parent
DAY = 86400.0
PROTOCOLS = {
    "A1": ("doerrer-2021/asymmetric.toml", {"cycles": "1000"}),
    "A2": ("ma-2024/lto-0.2C.toml", {"cycles": "200"}),
    "A3": ("wang-2023/cccv.toml", {"cycles": "4000"}),
    "A4": ("wang-2023/cccv.toml", {"cycles": "4000"}),
}
SAMPLE = 2.0


@dataclass
class Samples:
    """What was seen while the laboratory lived."""

    resident: list[float] = field(default_factory=list)
    """MB"""
    days: dict[str, float] = field(default_factory=dict)
    """of lab time, by station"""

    def growth(self) -> float:
        """Return the last third of memory over the middle third."""
        third = len(self.resident) // 3
        return mean(self.resident[-third:]) / mean(self.resident[third:-third])


async def soak(days: float, data: Path) -> Samples:
    """Let the laboratory live for so many days of lab time on every station, then stop it by name."""
    environment = {**os.environ, "LABCTL_DATA": str(data), "LABCTL_CONFIG": str(ROOT / "config.toml")}
    os.environ.update(environment)
    log = data / "daemon.log"
    daemon = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "labctl", "daemon", "--simulate", "--speed", "max"),
        env=environment,
        stderr=log.open("wb"),
    )
    while "stations:" not in log.read_text():
        await host_sleep(0.1)
    try:
        samples = Samples()
        async with connect(ROOT / "config.toml", patience=30.0) as lab:
            for station, (file, inputs) in PROTOCOLS.items():
                await lab.start(ROOT / "protocols" / file, station=station, inputs=inputs)
            await _watch(lab, days, daemon.pid, samples)
        return samples
    finally:
        daemon.send_signal(signal.SIGTERM)
        await daemon.wait()


async def _watch(lab: Lab, days: float, pid: int, samples: Samples) -> None:
    began: dict[str, float] = {}
    last = host_monotonic()
    while True:
        await host_sleep(SAMPLE)
        for name, state in lab.stations.items():
            began.setdefault(name, state.lab_unix_second)
            samples.days[name] = (state.lab_unix_second - began[name]) / DAY
        samples.resident.append(_resident(pid))
        if host_monotonic() - last > 30.0:
            last = host_monotonic()
            print(_line(samples, lab.stations), flush=True)
        if all(samples.days.get(name, 0.0) >= days or _is_over(lab.stations[name]) for name in PROTOCOLS):
            return


def _is_over(state: StationState) -> bool:
    return state.run is None and not state.queue


def _line(samples: Samples, stations: dict[str, StationState]) -> str:
    where = "  ".join(f"{name} {samples.days[name]:.1f} d {state.word}" for name, state in stations.items())
    return f"{samples.resident[-1]:6.1f} MB  {where}"


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Run and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--days", type=float, default=30.0)
    days = arguments.parse_args().days
    with tempfile.TemporaryDirectory() as folder:
        samples = asyncio.run(soak(days, Path(folder)))
        print(f"memory: last third / middle third = {samples.growth():.3f}, at most {max(samples.resident):.0f} MB")


if __name__ == "__main__":
    main()
