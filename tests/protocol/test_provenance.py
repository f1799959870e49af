"""Where a protocol came from: its name and folder, and what a git checkout that it lies in says of its file."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from labctl.protocol.provenance import Provenance, provenance_of

TEXT = 'schema = "1"\n'

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *words: str) -> str:
    who = {f"GIT_{role}_{key}": "a@b" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        env=os.environ | who | {"GIT_CONFIG_GLOBAL": os.devnull, "HOME": str(folder)},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one protocol, committed, and one that git ignores."""
    file = tmp_path / "lab" / "protocols" / "ma-2024" / "lto-0.2C.toml"
    file.parent.mkdir(parents=True)
    file.write_text(TEXT)
    (tmp_path / "lab" / ".gitignore").write_text("draft.toml\n")
    git(tmp_path / "lab", "init", "--quiet")
    git(tmp_path / "lab", "add", ".")
    git(tmp_path / "lab", "commit", "--quiet", "--message", "x")
    return tmp_path / "lab"


def test_the_first_folder_of_the_search_path_gives_the_name(tmp_path: Path) -> None:
    file = tmp_path / "protocols" / "ma-2024" / "lto-0.2C.toml"
    file.parent.mkdir(parents=True)
    file.write_text(TEXT)
    folders = (tmp_path / "other", tmp_path / "protocols", tmp_path)
    assert provenance_of(file, folders) == Provenance("ma-2024/lto-0.2C", str(tmp_path / "protocols"))
    found = provenance_of(file)
    assert found == Provenance("lto-0.2C", str(file.parent))
    assert found.sentence == f'The protocol is "lto-0.2C" of {file.parent}.'


def test_what_cannot_be_found_out_fails_nobody(tmp_path: Path) -> None:
    circle = tmp_path / "circle.toml"
    circle.symlink_to(circle)
    assert provenance_of(circle) == Provenance("circle", str(tmp_path))
    assert provenance_of(tmp_path / "gone.toml") == Provenance("gone", str(tmp_path))
    strange = tmp_path / os.fsdecode(b"a\xff.toml")
    strange.write_text(TEXT)
    assert provenance_of(strange).name == "a\ufffd"
    assert len(provenance_of(tmp_path / ("x" * 150) / f"{'y' * 150}.toml", (tmp_path,)).name) == 200


@needs_git
def test_a_checkout_says_the_commit_and_whether_the_file_is_another_one(checkout: Path) -> None:
    file, commit = checkout / "protocols" / "ma-2024" / "lto-0.2C.toml", git(checkout, "rev-parse", "HEAD")
    found = provenance_of(file, (checkout / "protocols",))
    assert found == Provenance("ma-2024/lto-0.2C", str(checkout / "protocols"), commit, modified=False)
    assert found.sentence.endswith(f", git commit {commit}, as committed.")
    file.write_text(TEXT + "# changed\n")
    assert provenance_of(file).modified is True
    git(checkout, "add", ".")
    found = provenance_of(file)
    assert (found.commit, found.modified) == (commit, True), "what is staged is not committed"
    assert found.sentence.endswith(f", git commit {commit}, with changes that are not committed.")
    file.write_bytes(TEXT.replace("\n", "\r\n").encode())
    assert provenance_of(file).modified is False, "line ends are an affair of git"


@needs_git
def test_what_git_does_not_know_is_of_no_commit(checkout: Path) -> None:
    draft = checkout / "draft.toml"
    draft.write_text(TEXT)
    assert provenance_of(draft) == Provenance("draft", str(checkout))


@needs_git
def test_a_checkout_that_tells_git_to_run_programs_runs_none(checkout: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {told}\n")
    program.chmod(0o755)
    for key in (
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "filter.x.clean",
        "filter.x.smudge",
        "diff.external",
    ):
        git(checkout, "config", key, str(program))
    git(checkout, "config", "remote.origin.url", f"ext::{program}")
    git(checkout, "config", "remote.origin.promisor", "true")
    (checkout / ".gitattributes").write_text("*.toml filter=x\n")
    file = checkout / "protocols" / "ma-2024" / "lto-0.2C.toml"
    assert provenance_of(file).modified is False
    shutil.rmtree(checkout / ".git" / "objects")
    (checkout / ".git" / "objects").mkdir()
    assert provenance_of(file).modified is None
    assert not told.exists()


@needs_git
@pytest.mark.parametrize("trouble", [FileNotFoundError(), subprocess.TimeoutExpired("git", 1.0)])
def test_without_an_answer_the_commit_alone_is_known(
    trouble: Exception, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise trouble

    commit = git(checkout, "rev-parse", "HEAD")
    monkeypatch.setattr("labctl.protocol.provenance.subprocess.run", fail)
    found = provenance_of(checkout / "protocols" / "ma-2024" / "lto-0.2C.toml")
    assert (found.commit, found.modified) == (commit, None)
    assert found.sentence.endswith(f", git commit {commit}.")
