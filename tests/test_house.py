"""The house stays in order: lint, format, types, directions of import, and what no file may do."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["lint-imports"],
    ],
    ids=["ruff", "format", "mypy", "imports"],
)
@pytest.mark.timeout(600)
def test_tools_are_content(command: list[str]) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _lines(pattern: str, *folders: str) -> list[str]:
    found = []
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if re.search(pattern, line):
                    found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    return found


def test_only_the_clock_reads_clocks_and_sleeps() -> None:
    pattern = r"\basyncio\.sleep\(|\btime\.(sleep|time|monotonic|perf_counter)\(|datetime\.(now|utcnow|today)\("
    assert [line for line in _lines(pattern, "labctl", "drivers") if not line.startswith("labctl/clock.py")] == []


def test_no_test_sleeps_longer_than_fifty_milliseconds() -> None:
    longer = []
    for line in _lines(r"(asyncio|time)\.sleep\(|host_sleep(_blocking)?\(", "tests"):
        match = re.search(r"sleep(?:_blocking)?\(([^)]*)\)", line)
        if match and re.fullmatch(r"[\d.]+", match[1]) and float(match[1]) > 0.05:
            longer.append(line)
    assert longer == []


def test_nothing_depends_on_what_lies_beside_the_project() -> None:
    shared = "/".join(["..", "shared"])
    assert _lines(re.escape(shared), "labctl", "drivers") == []


def test_heavy_libraries_are_not_imported_before_they_are_needed() -> None:
    code = (
        "import sys; from labctl.cli.app import run; sys.argv = ['labctl', '--help']; run();"
        "heavy = {'textual', 'numpy', 'pint', 'pydantic', 'pyvisa', 'serial', 'aiomqtt', 'sqlite_utils'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_file_says_in_its_first_line_what_it_is_for() -> None:
    files = [path for folder in ("labctl", "drivers") for path in sorted((ROOT / folder).rglob("*.py"))]
    assert [str(path.relative_to(ROOT)) for path in files if not path.read_text().startswith('"""')] == []
