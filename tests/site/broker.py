"""Debian's mosquitto on the files that labctl writes, and a real daemon that is reached through it alone."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from labctl.bus.address import Address
from labctl.bus.client import MqttBus
from labctl.clock import host_sleep_blocking
from labctl.config import load
from labctl.daemon.daemon import Daemon
from labctl.lab.laboratory import Pace
from labctl.lab.recording import journals_of, process_of
from labctl.record.datapath import open_data_path
from labctl.site.mosquitto import Account
from labctl.site.site import Site
from tests.stations import CONFIG

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
PEOPLE: dict[str, Account] = {"anna": "operator", "ben": "viewer", "chris": "admin"}


class SiteBroker:
    """A broker of a site called "demo" on this machine."""

    def __init__(self, folder: Path) -> None:
        if MOSQUITTO is None:
            pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = folder
        self.site = Site.init(folder, site="demo", hosts=("127.0.0.1",), port=self.port, users=PEOPLE, force=False)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it listens; as root it would become another user, who may not read these files."""
        assert MOSQUITTO is not None
        written = (self.folder / "broker" / "mosquitto.conf").read_text()
        as_root = self.folder / "as-root.conf"
        as_root.write_text(written + ("user root\n" if os.geteuid() == 0 else ""))
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", as_root], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(250):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            host_sleep_blocking(0.02)
        raise AssertionError("mosquitto did not start")

    def reload(self) -> None:
        """What `systemctl reload mosquitto` does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def file(self, user: str) -> Path:
        return self.folder / "users" / f"{user}.json"

    def address(self, user: str) -> Address:
        return Address.read(self.file(user))


@asynccontextmanager
async def served(address: Address) -> AsyncIterator[MqttBus]:
    """A connection that keeps itself alive while the block runs."""
    bus = MqttBus(address)
    service = asyncio.create_task(bus.serve())
    try:
        yield bus
    finally:
        service.cancel()
        await asyncio.wait([service])


@asynccontextmanager
async def living(broker: SiteBroker) -> AsyncIterator[Daemon]:
    """Let a daemon live on the repository's stations with its own credentials; its data is where LABCTL_DATA says."""
    config, told_to_end, ready = load(CONFIG), asyncio.Event(), asyncio.Event()
    process, database = process_of(config), config.storage.database
    daemon = Daemon(config, CONFIG, Pace(in_memory=True, speed=600.0, seed=1), lambda where: ready.set())
    bus = MqttBus(broker.address("daemon"), process.alive)
    async with open_data_path(bus, process, journals_of(database), database) as path:
        life = asyncio.create_task(daemon.serve_on(bus, "mqtts", path, told_to_end))
        try:
            await asyncio.wait([life, asyncio.create_task(ready.wait())], return_when=asyncio.FIRST_COMPLETED)
            yield daemon
        finally:
            told_to_end.set()
            await life
