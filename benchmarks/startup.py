"""How much longer `labctl --help` takes than Python itself, and that nothing heavy is imported for it."""

import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from benchmarks.report import Figure, Goal, Report, options, run
from labctl.clock import host_monotonic

ROUNDS = 20
MOST_MORE = 0.15
"""Seconds."""
HEAVY = ("textual", "numpy", "pint")

HELP = [str(Path(sys.executable).parent / "labctl"), "--help"]
BARE = [sys.executable, "-c", "pass"]
ASK_WHAT_IS_IMPORTED = (
    "import sys; from labctl.cli.app import run; sys.argv = ['labctl', '--help']; run();"
    f"sys.stderr.write(' '.join(name for name in {HEAVY} if name in sys.modules))"
)


def measure(arguments: Namespace) -> Report:
    pairs = [(seconds(HELP), seconds(BARE)) for _ in range(1 + arguments.rounds)][1:]  # the first fills caches
    help_ = Figure("labctl --help", "s", [one for one, _ in pairs])
    bare = Figure("python -c pass", "s", [other for _, other in pairs])
    more = Figure("difference of the medians", "s", [help_.median - bare.median])
    asked = [sys.executable, "-c", ASK_WHAT_IS_IMPORTED]
    found = subprocess.run(asked, capture_output=True, text=True, check=True).stderr.split()
    imported = Figure(f"imported by it, of {', '.join(HEAVY)}", "", [len(found)])
    return Report("startup", [help_, bare], [Goal(more, "at most", MOST_MORE), Goal(imported, "at most", 0)])


def seconds(command: list[str]) -> float:
    begin = host_monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return host_monotonic() - begin


if __name__ == "__main__":
    run(options(__doc__, ROUNDS), measure)
