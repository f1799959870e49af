"""A laboratory whose simulators outlive its daemon, with a guard beside it; every process is a real one.

Station S1 has its simulators at addresses of their own, as instruments are, and lives in real time; V1 has its at
sim://. The simulators of both write down when their source was switched.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from labctl.api import Word
from labctl.client import Lab, connect
from labctl.clock import host_monotonic, host_sleep, host_sleep_blocking
from labctl.errors import CommandRefused
from labctl.lab.guarded import Report, read_report
from labctl.lab.heartbeat import read
from tests.daemon.kills import UNPRESSED, stations_of
from tests.guard.witness import HANG, LOG, install, outputs
from tests.stations import ROOT

PATIENCE = 40.0
GLANCE = 0.02
STATIONS = ("S1", "V1")
HEAD = 'schema = "1"\n[lab]\nsite = "demo"\n[bus]\nbroker = "embedded"\n[storage]\ndata = "{data}"\n'


def until(true: Callable[[], bool], what: Callable[[], str], patience: float = PATIENCE) -> None:
    """Wait until something is so."""
    begin = host_monotonic()
    while not true():
        assert host_monotonic() - begin < patience, f"not within {patience:g} s: {what()}"
        host_sleep_blocking(GLANCE)


class House:
    """Its processes by name; whoever leaves the block leaves none behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.hang = folder / "hang"
        self.simulated, self.config = folder / "simulated.toml", folder / "config.toml"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        install(folder / "installed")
        path = os.pathsep.join((str(folder / "installed"), str(ROOT)))
        self._environment = {**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"}
        stations = stations_of("A1").replace("station.A1", "station.S1")
        stations += stations_of("A3").replace("station.A3", "station.V1")
        stations = stations.replace("keithley-2450", "witness")
        self.simulated.write_text(HEAD.format(data=self.data) + stations)
        (folder / "cycling.toml").write_text(UNPRESSED)
        served = [self._serve(station) for station in STATIONS]
        self.config.write_text(_at(self.simulated.read_text(), "S1", json.loads(served[0].readline())["instruments"]))
        served[1].readline()

    def _serve(self, station: str):  # type: ignore[no-untyped-def]
        where = {LOG: str(self.log(station))}
        process = self.start(f"sim {station}", self.simulated, "sim", "--station", station, "--json", **where)
        return process.stdout

    def log(self, station: str) -> Path:
        return self.folder / f"output-{station}"

    def start(self, name: str, config: Path, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a process of labctl; what it logs goes into a file under its name."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "labctl", "--config", str(config), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if name.startswith("sim") else log,
                stderr=log,
                env={**self._environment, **environment},
            )
        return self.processes[name]

    def start_daemon(self) -> subprocess.Popen[bytes]:
        """Start the daemon, and wait until its heart beats and both stations answer."""
        daemon = self.start("daemon", self.config, "daemon", **{HANG: str(self.hang)})

        def lives() -> bool:
            beat = read(self.data)
            return beat is not None and beat.pid == daemon.pid and all(s.connected for s in beat.stations.values())

        until(lambda: lives() or daemon.poll() is not None, lambda: f"daemon; {self.said('daemon')}")
        assert daemon.poll() is None, self.said("daemon")
        return daemon

    def start_guard(self, *options: str) -> subprocess.Popen[bytes]:
        return self.start("guard", self.config, "guard", *options)

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Let a command of labctl come to its end."""
        command = [sys.executable, "-m", "labctl", "--config", str(self.config), *arguments]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=60, check=False)

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def is_on(self, station: str) -> bool:
        written = outputs(self.log(station))
        return bool(written) and written[-1][1] == "on"

    def switched_off(self, station: str, after: float) -> float:
        """Wait until a source is off; return the host seconds for which it was still on after an instant."""
        until(lambda: not self.is_on(station), lambda: f"{station} off; {self.said('guard')}")
        return outputs(self.log(station))[-1][0] - after

    def report(self) -> Report:
        """Wait for a complete report on the daemon that died last, and return it."""
        beat = read(self.data)
        assert beat is not None

        def found() -> bool:
            report = read_report(self.data)
            return report is not None and report.process == beat.process and report.complete

        until(found, lambda: f"report; {self.said('guard')}")
        report = read_report(self.data)
        assert report is not None
        return report

    def begin_runs(self) -> list[str]:
        """Start cycling on both stations, whatever was there before; return the sentences of alarms by the guard."""
        return asyncio.run(self._begin_runs())

    async def _begin_runs(self) -> list[str]:
        async with connect(self.config, user="anna", patience=PATIENCE) as lab, asyncio.timeout(PATIENCE):
            sentences = []
            for station in STATIONS:
                await _known(lab, station)
                alarms = lab.stations[station].alarms
                sentences += [alarm.sentence for alarm in alarms if alarm.quantity == "guard"]
                if alarms:
                    await lab.acknowledge(station, reason="seen")
                await _only(lab, station, (await lab.start(self.folder / "cycling.toml", station=station)).run)
            while not all(self.is_on(station) for station in STATIONS):
                await host_sleep(GLANCE)
            return sentences

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.communicate()


async def _known(lab: Lab, station: str) -> None:
    while not (state := lab.stations.get(station)) or not state.values:
        await lab.changed()


async def _only(lab: Lab, station: str, run: str) -> None:
    """Wait until a run charges; what the daemon before has left of another one is stopped."""
    while (state := lab.stations[station]).word is not Word.CHARGE or state.run is None or state.run.run != run:
        if state.run is not None and state.run.run != run:
            with suppress(CommandRefused):  # it is ending already
                await lab.stop(station)
        elif state.run is None and state.queue:
            with suppress(CommandRefused):  # it is not held any more
                await lab.resume(station)
        await lab.changed()


def _at(config: str, station: str, addresses: dict[str, str]) -> str:
    """Return a configuration with the instruments of a station at these addresses."""
    for name, address in addresses.items():
        table = re.escape(f"[station.{station}.{name}]")
        config, count = re.subn(rf'({table}\n(?:[^\[].*\n)*?address *= )"sim://"', rf'\1"{address}"', config)
        assert count == 1, name
    return config
