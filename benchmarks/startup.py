"""How much longer `labctl --help` and `labctl status --json` take than Python itself, and what they import for it."""

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.report import Figure, Goal, Report, options, ratio, run
from labctl.clock import host_monotonic

ROUNDS = 20
MOST_MORE = 0.15
"""Seconds."""
HEAVY = ("textual", "numpy", "pint", "matplotlib", "sqlite3", "pyvisa", "serial")

CONFIG = Path(__file__).parent.parent / "config.toml"
LABCTL = str(Path(sys.executable).parent / "labctl")
COMMANDS = {"labctl --help": ["--help"], "labctl status --json": ["status", "--json"]}
BARE = [sys.executable, "-c", "pass"]
LIBRARIES = [sys.executable, "-c", "import typer, asyncio, aiomqtt, pydantic.main, pydantic.fields"]
"""What a client on the bus cannot do without."""
ASK_WHAT_IS_IMPORTED = (
    "import sys; from labctl.cli.app import run; run();"
    f"sys.stderr.write(' '.join(name for name in {HEAVY} if name in sys.modules))"
)


def measure(arguments: Namespace) -> Report:
    with daemon() as environment:
        rounds = [one_round(environment) for _ in range(1 + arguments.rounds)][1:]  # the first fills caches
        heavy = {name: imported(words, environment) for name, words in COMMANDS.items()}
    bare = Figure("python -c pass", "s", [spent["python"] for spent in rounds])
    libraries = Figure("a client's libraries imported, nothing else", "s", [spent["libraries"] for spent in rounds])
    figures, goals = [bare, libraries], []
    for name in COMMANDS:
        figure = Figure(name, "s", [spent[name] for spent in rounds])
        figures += [
            figure,
            ratio(f"{name}, times Python itself", figure, bare),
            ratio(f"{name}, times the libraries", figure, libraries),
        ]
        more = Figure(f"{name}, beyond Python, of medians", "s", [figure.median - bare.median])
        goals += [
            Goal(more, "at most", MOST_MORE),
            Goal(Figure(f"{name}: heavy imports", "", [heavy[name]]), "at most", 0),
        ]
    return Report("startup", figures, goals, [f"Heavy are {', '.join(HEAVY)}."])


def one_round(environment: Mapping[str, str]) -> dict[str, float]:
    spent = {name: seconds([LABCTL, *words], environment) for name, words in COMMANDS.items()}
    return {"python": seconds(BARE, environment), "libraries": seconds(LIBRARIES, environment), **spent}


def seconds(command: list[str], environment: Mapping[str, str]) -> float:
    begin = host_monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return host_monotonic() - begin


def imported(words: list[str], environment: Mapping[str, str]) -> int:
    """Return how many heavy libraries a command has imported when it is done."""
    asked = [sys.executable, "-c", ASK_WHAT_IS_IMPORTED, *words]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, env=environment)
    return len(done.stderr.split())


@contextmanager
def daemon() -> Iterator[dict[str, str]]:
    """Let a daemon of the simulated laboratory live while the block runs; yield the environment that finds it.

    In it bytecode is kept, as in an installation, whatever this shell says of it.
    """
    with TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {
            "LABCTL_DATA": folder,
            "LABCTL_CONFIG": str(CONFIG),
            "PYTHONPYCACHEPREFIX": f"{folder}/bytecode",
        }
        process = subprocess.Popen([LABCTL, "daemon", "--simulate"], env=environment, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        try:
            next(line for line in process.stderr if "stations:" in line)
            yield environment
        finally:
            process.terminate()
            process.communicate()


if __name__ == "__main__":
    run(options(__doc__, ROUNDS), measure)
