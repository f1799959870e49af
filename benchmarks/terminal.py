"""What the dashboard costs and how fast it answers: its process in a pty, fed over a real broker by a speaker.

First paint, keys, frames, processor, memory and bytes are those of the whole dashboard (the speaker and the broker are
other processes); the raster is measured alone.
"""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.report import Figure, Goal, Report, options, run
from benchmarks.speaker import names
from labctl.bus.broker import Broker
from labctl.clock import host_monotonic, host_sleep_blocking
from labctl.plot.raster import Mode, Window, raster

ROUNDS = 3
SECONDS = 10.0
"""In which a scene's processor time and bytes are counted."""
SIZE = (120, 40)
SETTLED = 3.0
"""Seconds after its first station before a scene is looked at."""
KEYS = 15
FOOTER = b"F12"
"""What the first frame has, whether the laboratory has been heard or not."""
DOWN, UP = b"\x1b[B", b"\x1b[A"
QUIET = 0.03
"""Seconds without a byte that end a frame."""
PATIENCE = 20.0
RASTERISED = 15


@dataclass(frozen=True, slots=True)
class Scene:
    """What goes on in the laboratory and on the screen."""

    name: str
    stations: int
    rate: float
    points: int = 240
    repaint: float | None = None


USUAL = Scene("16 stations at 1 Hz", 16, 1.0)
CROWDED = Scene("256 stations at 2 Hz, 100k points at 1 Hz", 256, 2.0, 100_000)
STRESS = Scene("64 stations at 10 Hz, 100k points at 10 Hz", 64, 10.0, 100_000, 0.1)


@dataclass
class Terminal:
    """A process in a pty, and when it wrote what."""

    process: subprocess.Popen[bytes]
    master: int
    born: float
    chunks: list[tuple[float, bytes]] = field(default_factory=list)

    def read(self) -> None:
        """Note what the process writes until it ends."""
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:  # Linux says EIO when the last writer is gone
                return
            if not data:
                return
            self.chunks.append((host_monotonic(), data))

    def first(self, words: bytes) -> float:
        """Wait until these words have been written, and return the instant."""
        deadline = host_monotonic() + PATIENCE
        while host_monotonic() < deadline:
            whole, chunks = b"", list(self.chunks)
            for instant, data in chunks:
                whole += data
                if words in whole:
                    return instant
            host_sleep_blocking(0.01)
        raise TimeoutError(f"{words!r} did not appear: {b''.join(data for _, data in self.chunks)[-2000:]!r}")

    def frame_after(self, instant: float, until: float) -> float | None:
        """Return when the last byte of the first frame behind an instant had come."""
        end: float | None = None
        for at, _ in list(self.chunks):
            if instant <= at < until and (end is None or at - end < QUIET):
                end = at
        return end

    def press(self, key: bytes) -> float:
        """Press a key while nothing is being painted; return the seconds until its first byte came back."""
        while host_monotonic() - self.chunks[-1][0] < 2 * QUIET:
            host_sleep_blocking(0.002)
        seen, pressed = len(self.chunks), host_monotonic()
        os.write(self.master, key)
        while len(self.chunks) == seen and host_monotonic() - pressed < PATIENCE:
            host_sleep_blocking(0.0005)
        return self.chunks[seen][0] - pressed

    def written(self, begin: float, end: float) -> int:
        """Return the number of bytes between two instants."""
        return sum(len(data) for at, data in list(self.chunks) if begin <= at < end)

    @property
    def processor_time(self) -> float:
        """Seconds in all threads of the process."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident(self) -> float:
        """MB in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


@contextmanager
def terminal(command: Sequence[str], size: tuple[int, int] = SIZE) -> Iterator[Terminal]:
    """Run a command in a pty of so many columns and rows while the block runs."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    born = host_monotonic()
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True, close_fds=True
    )
    os.close(slave)
    shown = Terminal(process, master, born)
    reader = threading.Thread(target=shown.read)
    reader.start()
    try:
        yield shown
    finally:
        _end(process)
        reader.join()
        os.close(master)


@contextmanager
def speaker(broker: Path, scene: Scene) -> Iterator[subprocess.Popen[bytes]]:
    """Let a daemon of this scene talk while the block runs."""
    command = [sys.executable, "-m", "benchmarks.speaker", str(broker)]
    process = subprocess.Popen([*command, "--stations", str(scene.stations), "--rate", str(scene.rate)])
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


@dataclass(frozen=True, slots=True)
class Seen:
    """What was measured of one scene; seconds, share of a core, bytes a second, MB."""

    painted: float
    known: float
    busy: float
    rate: float
    resident: float
    frames: list[float]
    keys: list[float]


def look(folder: Path, broker: Path, scene: Scene, seconds: float) -> Seen:
    """Show a scene and measure it; its keys are pressed last, when the daemon has fallen silent."""
    ticks = folder / "ticks"
    command = [sys.executable, "-m", "benchmarks.screen", str(broker), str(ticks), "--points", str(scene.points)]
    command += [] if scene.repaint is None else ["--repaint", str(scene.repaint)]
    with speaker(broker, scene) as daemon:
        host_sleep_blocking(1.0)
        with terminal(command) as shown:
            painted = shown.first(FOOTER) - shown.born
            known = shown.first(names(1)[0].encode()) - shown.born
            host_sleep_blocking(SETTLED)
            begin, used = host_monotonic(), shown.processor_time
            host_sleep_blocking(seconds)
            end, busy = host_monotonic(), shown.processor_time - used
            instants = [float(line) for line in ticks.read_text().splitlines()]
            pairs = [pair for pair in pairwise(instants) if begin <= pair[0] and pair[1] <= end]
            frames = [(tick, shown.frame_after(tick, following)) for tick, following in pairs]
            resident = shown.resident
            keys = _press_keys(shown, daemon)
            rate = shown.written(begin, end) / (end - begin)
    latencies = [frame - tick for tick, frame in frames if frame is not None]
    return Seen(painted, known, busy / (end - begin), rate, resident, latencies, keys)


def _press_keys(shown: Terminal, daemon: subprocess.Popen[bytes]) -> list[float]:
    daemon.send_signal(signal.SIGSTOP)
    try:
        return [shown.press(DOWN if number % 2 == 0 else UP) for number in range(KEYS)]
    finally:
        daemon.send_signal(signal.SIGCONT)


def rasterised(points: int) -> Figure:
    """Measure a series of so many points, with noise, into braille of 110 x 30 cells."""
    x = np.arange(points, dtype=np.float64)
    y = np.sin(x / points * 20) + np.random.default_rng(1).normal(scale=0.05, size=points)
    window = Window(0.0, float(points), -1.2, 1.2)
    values = []
    for _ in range(RASTERISED):
        begin = host_monotonic()
        raster([(x, y, y)], window, 110, 30, Mode.BRAILLE)
        values.append(1e3 * (host_monotonic() - begin))
    return Figure(f"rasterise {points:_} points".replace("_", " "), "ms", values)


def measure(arguments: Namespace) -> Report:
    scenes: dict[str, list[Seen]] = {}
    with TemporaryDirectory() as folder:
        broker = Broker(Path(folder))
        broker.start()
        try:
            for _ in range(arguments.rounds):
                for scene in (USUAL, CROWDED, STRESS):
                    seen = look(Path(folder), broker.runtime_file, scene, arguments.seconds)
                    scenes.setdefault(scene.name, []).append(seen)
        finally:
            broker.stop()
    usual = scenes[USUAL.name]
    return Report(
        "terminal",
        [
            Figure("process start to the first station shown", "s", [s.known for s in usual]),
            *(
                Figure(f"bytes, {scene.name}", "kB/s", [seen.rate / 1e3 for seen in scenes[scene.name]])
                for scene in (CROWDED, STRESS)
            ),
        ],
        [
            Goal(Figure("process start to first paint", "s", [s.painted for s in usual]), "at most", 0.6),
            *(
                Goal(
                    Figure(f"core, {scene.name}", "%", [100 * seen.busy for seen in scenes[scene.name]]),
                    "at most",
                    most,
                )
                for scene, most in ((USUAL, 2), (CROWDED, 4), (STRESS, 25))
            ),
            Goal(Figure("key to paint, median of 15", "ms", [_middle(s.keys) for s in usual]), "at most", 20),
            Goal(Figure("key to paint, slowest of 15", "ms", [1e3 * max(s.keys) for s in usual]), "at most", 80),
            Goal(Figure("repaint to whole frame, 95 %", "ms", [_most(s.frames) for s in usual]), "at most", 50),
            Goal(Figure("memory", "MB", [s.resident for s in usual]), "at most", 90),
            Goal(Figure(f"bytes, {USUAL.name}", "kB/s", [s.rate / 1e3 for s in usual]), "at most", 30),
            Goal(rasterised(100_000), "at most", 10),
            Goal(rasterised(1_000_000), "at most", 40),
        ],
        [f"{SIZE[0]} x {SIZE[1]}, {arguments.seconds:g} s a scene; every number of every station changes each time"],
    )


def _middle(seconds: Sequence[float]) -> float:
    return 1e3 * float(np.median(seconds))


def _most(seconds: Sequence[float]) -> float:
    return 1e3 * quantiles(seconds, n=20)[-1]


if __name__ == "__main__":
    parser = options(__doc__.splitlines()[0], ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"that each scene is counted ({SECONDS:g})")
    run(parser, measure)
