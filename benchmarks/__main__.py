"""Runs every benchmark, each in a fresh process: `python -m benchmarks`; options go to all of them."""

import subprocess
import sys

NAMES = ("startup", "pipeline", "wires", "channels", "rehearsal", "terminal")

for name in NAMES:
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]], check=False)
