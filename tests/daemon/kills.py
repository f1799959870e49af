"""A laboratory of separate processes: broker, recorder, simulators, daemon, and a dashboard whose screen is read."""

import asyncio
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pyte

from labctl.client import Lab, connect
from labctl.clock import host_sleep, host_unix
from labctl.drill.household import GLANCE, PATIENCE, Household
from labctl.tui.sight import Sight
from labctl.tui.words import BLIND
from tests.record.processes import ENVIRONMENT, Mosquitto
from tests.stations import CONFIG, HEAD

SIZE = (120, 40)
DISTURBING = ("NO_COLOR", "COLUMNS", "LINES")
"""Variables that would change what the dashboard paints."""
BRIGHT = 0.75
"""Part of full brightness above which a character stands out; dim text of the dark theme has less."""
OFTEN = HEAD.replace('interval = "60 s"', 'interval = "2 s"')
CYCLING = """
[[step]]
repeat = 1000
counts = "cycle"
do = [
  { charge = "C/5", until = "3.6 V", timeout = "30 h" },
  { discharge = "C/5", until = "2.4 V", timeout = "30 h" },
]
"""
PRESSED = OFTEN + CYCLING
"""A protocol for a station with a rig, recorded so often that every kill hits records on their way."""
UNPRESSED = OFTEN.replace("pressure.negative", "# pressure.negative") + CYCLING


def stations_of(*names: str) -> str:
    """Return stations of the repository's config.toml."""
    parts = CONFIG.read_text().split("# -- A")[1:]
    return "".join(f"# -- A{part}" for part in parts if f"A{part[0]}" in names)


class Home(Household):
    """A household with dashboards, over a broker of either kind."""

    def __init__(self, folder: Path, stations: str, mosquitto: Mosquitto | None = None) -> None:
        super().__init__(folder, stations, mosquitto and mosquitto.bus)
        self.screens: list[Screen] = []
        self._mosquitto = mosquitto

    def start_broker(self) -> None:
        if self._mosquitto is None:
            super().start_broker()
        else:
            self._mosquitto.start()

    def kill_broker(self) -> None:
        if self._mosquitto is None:
            self.kill("broker")
        else:
            self._mosquitto.kill()

    def protocol(self, name: str, text: str) -> Path:
        path = self.folder / f"{name}.toml"
        path.write_text(text)
        return path

    def close(self) -> None:
        for screen in list(self.screens):
            screen.kill()
        super().close()
        if self._mosquitto is not None:
            self._mosquitto.kill()


class Eyes:
    """What somebody at a client believes, looked at again and again: `sight` judges, as the dashboard's does.

    Attributes:
        oldest: the greatest age, in host seconds, of a state that was ever held for live with a number in it.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.sight = Sight(lab)
        self.oldest = 0.0

    async def watch(self) -> None:
        while True:
            for seen in self.sight.stations():
                if seen.state is not None and seen.word not in BLIND and seen.state.values:
                    self.oldest = max(self.oldest, host_unix() - seen.state.said_unix_second)
            await host_sleep(GLANCE)

    @property
    def stored(self) -> bool:
        """Whether everything is live and records are being stored."""
        return not self.sight.trouble and self.sight.daemon is not None and not self.sight.daemon.recorder

    def word(self, station: str) -> str:
        return self.sight.station(station).word.value


@asynccontextmanager
async def watching(household: Home) -> AsyncIterator[Eyes]:
    """Connect as a client does, as soon as the daemon answers, and look while the block runs."""
    async with connect(household.config, user="anna", patience=PATIENCE) as lab:
        eyes = Eyes(lab)
        look = asyncio.create_task(eyes.watch())
        try:
            yield eyes
        finally:
            look.cancel()
            await asyncio.wait([look])


class Screen:
    """A dashboard in a terminal of its own, of which only the screen is read."""

    def __init__(self, household: Home) -> None:
        self._screen = pyte.Screen(*SIZE)
        self._stream = pyte.ByteStream(self._screen)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        environment = {name: value for name, value in ENVIRONMENT.items() if name not in DISTURBING}
        environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "labctl", "--config", str(household.config), "tui"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._read)
        self._household = household
        household.screens.append(self)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 65536)
        except BlockingIOError:
            return
        except OSError:  # Linux says EIO when the last writer is gone
            asyncio.get_running_loop().remove_reader(self._master)
            return
        self._stream.feed(data)

    @property
    def text(self) -> str:
        return "\n".join(self._screen.display)

    def rows(self, *stations: str) -> list[str]:
        """Return the rows of the grid."""
        return [line for line in self._screen.display if line[:6].strip(" ▶>").startswith(stations)]

    def bright_numbers(self, *stations: str) -> str:
        """Return every digit in the rows of these stations, behind their names, that is as bright as a live number."""
        found = ""
        for y, line in enumerate(self._screen.display):
            if line in self.rows(*stations):
                cells = (self._screen.buffer[y][x] for x in range(8, SIZE[0]))
                found += "".join(cell.data for cell in cells if cell.data.isdigit() and _brightness(cell.fg) > BRIGHT)
        return found

    def kill(self) -> None:
        """End the dashboard; its terminal goes with it."""
        self._household.screens.remove(self)
        self._process.kill()
        self._process.wait()
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)


def _brightness(colour: str) -> float:
    """Return the brightness of a colour as a terminal keeps it: six hexadecimal digits, or a name, which is bright."""
    try:
        return max(bytes.fromhex(colour)) / 255
    except ValueError:
        return 1.0
