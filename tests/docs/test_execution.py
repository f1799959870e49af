"""What the tutorial and the how-to pages show is what happens: their files, commands and programs are run."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from .pages import DOCS, ROOT, Block, blocks, name_of

EXECUTED = [
    page
    for folder in ("tutorial", "how-to")
    for page in sorted((DOCS / folder).glob("*.md"))
    if any(block.language == "console" or block.file for block in blocks(page))
]
EXECUTED.append(ROOT / "README.md")
BY_HAND = {"alerts.md", "run-separate-processes.md", "site.md", "use-the-dashboard.md"}
"""Pages that need a server, a second terminal, or a person at one, for all they show."""
STATUS = re.compile(r"\s+# exit status (\d+)$")


class Reader:
    """Somebody who does what a page says, in a folder of their own with the protocols of the clone beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "protocols").symlink_to(ROOT / "protocols")
        (folder / "config.toml").write_bytes((ROOT / "config.toml").read_bytes())
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LABCTL_", "XDG_"))}
        self.environment = kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "LABCTL_DATA": str(folder / "data"),
            "PYTHONPATH": str(folder),
            "PYTHONWARNINGS": "error",
        }

    def follow(self, page: list[Block]) -> None:
        """Write the files and run the commands of a page in order."""
        for block in page:
            if block.file:
                self.save(block)
            elif block.language == "console":
                for command, shown in sessions(block.text):
                    self.run(command, shown, block.line)

    def save(self, block: Block) -> None:
        file = self.folder / block.file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text, "utf-8")
        if block.file == "pyproject.toml":
            self.install(tomllib.loads(block.text)["project"])

    def install(self, project: dict[str, object]) -> None:
        """Do what `pip install --editable .` does for a package in this folder: tell where its entry points are."""
        told = self.folder / f"{str(project['name']).replace('-', '_')}-{project['version']}.dist-info"
        told.mkdir()
        told.joinpath("METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
        entry_points = project["entry-points"]
        assert isinstance(entry_points, dict)
        lines = [
            line
            for group, entries in entry_points.items()
            for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
        ]
        told.joinpath("entry_points.txt").write_text("\n".join(lines) + "\n")

    def run(self, command: str, shown: list[str], line: int) -> None:
        status = STATUS.search(command)
        done = subprocess.run(
            ["bash", "-c", STATUS.sub("", command)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        told = f"line {line}: {command}\nleaves with {done.returncode} and prints\n{done.stdout}"
        if done.returncode != (int(status[1]) if status else 0):
            pytest.fail(told, pytrace=False)
        if not agree(as_shape("\n".join(shown)), as_shape(done.stdout)):
            pytest.fail(told + "\nwhere the page shows\n" + "\n".join(shown), pytrace=False)


def sessions(text: str) -> list[tuple[str, list[str]]]:
    """Split a console block into commands and what the page shows that they print."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return found


def as_shape(text: str) -> list[str]:
    """Make printed lines comparable: a number is a number, whichever, and a run of spaces is one space."""
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{8}\b", "UUID", text.strip())
    return [" ".join(line.split()) for line in re.sub(r"[+-]?\d+(\.\d+)?", "0", text).splitlines()]


def agree(shown: list[str], printed: list[str]) -> bool:
    """Whether lines are as shown; `…` alone on a line stands for any lines, within a line for anything."""
    if not shown:
        return not printed
    if shown[0] == "…":
        return any(agree(shown[1:], printed[skipped:]) for skipped in range(len(printed) + 1))
    pattern = ".*".join(map(re.escape, shown[0].split("…")))
    return bool(printed) and bool(re.fullmatch(pattern, printed[0])) and agree(shown[1:], printed[1:])


@pytest.mark.parametrize("page", [page for page in EXECUTED if page.name not in BY_HAND], ids=name_of)
def test_a_page_shows_what_happens(page: Path, tmp_path: Path) -> None:
    Reader(tmp_path).follow(blocks(page))


def test_every_program_and_protocol_of_a_page_is_executed() -> None:
    for page in [*DOCS.glob("tutorial/*.md"), *DOCS.glob("how-to/*.md")]:
        if page.name not in BY_HAND:
            loose = [block.line for block in blocks(page) if block.language in ("python", "toml") and not block.file]
            assert loose == [], f"{page}: blocks that are shown and not executed"


def test_the_example_driver_passes_the_contract(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    for block in blocks(DOCS / "how-to" / "write-a-driver.md"):
        if block.file:
            reader.save(block)
    command = [sys.executable, "-m", "pytest", "tests/contract", "-k", "acme-lc1", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=ROOT, env=reader.environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout
