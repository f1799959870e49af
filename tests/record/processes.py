"""Processes that tests start and kill: any of labctl's own modules, and brokers of both kinds."""

import os
import subprocess
import sys
from pathlib import Path

import orjson

from labctl.private import write_private
from tests.laboratory import MosquittoBroker

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}


class EmbeddedBroker:
    """The embedded broker as its own process; started again, it is where it was."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.bus = str(folder / "broker.json")
        self.start()

    def start(self) -> None:
        self._process = start("-m", "labctl.bus", "--directory", str(self._folder))
        first_line(self._process)

    def kill(self) -> None:
        kill(self._process)


class Mosquitto(MosquittoBroker):
    """Debian's broker, without persistence: it forgets as much as the embedded one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.bus = str(folder / "broker.json")
        write_private(Path(self.bus), orjson.dumps(self.address.to_json()))


def start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, env=ENVIRONMENT)


def first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"{process.args} ended with {process.wait()}"
    return line


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
