"""A file that somebody names is data: whatever it is and wherever it leads, it is read within bounds or refused."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.cells.shelf import Shelf
from labctl.client.lab import _protocol
from labctl.config import load
from labctl.errors import MOST_FINDINGS, ConfigError, InvalidInput, LabctlError, ProtocolError
from labctl.lint import check, check_source
from labctl.literal import literal
from labctl.protocol.load import load_cell
from labctl.protocol.source import parse
from labctl.secret import reveal
from labctl.settings import load_settings
from labctl.textfile import MAX_BYTES, Unreadable, is_inside, read_text
from tests.stations import CONFIG, HEAD

READERS: dict[str, Callable[[Path], object]] = {
    "protocol": lambda path: _refused(check(path)),
    "cell": load_cell,
    "config": load,
    "settings": load_settings,
    "client": lambda path: _protocol(path, ()),
}


def _refused(findings: object) -> None:
    if findings:
        raise ProtocolError(findings)  # type: ignore[arg-type]


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(path))


def _circle(path: Path) -> None:
    path.symlink_to(path)


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100_000_000)


THINGS: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (_pipe, "this is a pipe, a socket or a device, not a file"),
    "socket": (_socket, "this is a pipe, a socket or a device, not a file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "this is a pipe, a socket or a device, not a file"),
    "folder": (Path.mkdir, "this is a folder, not a file"),
    "circle": (_circle, "Too many levels of symbolic links"),
    "huge": (_huge, f"this file is larger than {MAX_BYTES // 1000} kB"),
    "binary": (lambda path: path.write_bytes(b"\n\xff"), "byte 0xff is not UTF-8"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("thing", THINGS)
def test_what_is_no_text_is_refused_before_it_is_read(thing: str, reader: str, tmp_path: Path) -> None:
    make, reason = THINGS[thing]
    path = tmp_path / "a.toml"
    make(path)
    with pytest.raises(InvalidInput) as caught:
        READERS[reader](path)
    if (thing, reader) not in {("circle", "config"), ("circle", "settings")}:  # there is no such configuration
        assert reason in str(caught.value)
    assert all(finding.remedy for finding in caught.value.findings)


@pytest.mark.parametrize("reader", READERS)
def test_a_path_with_a_nul_is_refused(reader: str) -> None:
    with pytest.raises(InvalidInput):
        READERS[reader](Path("a\x00b.toml"))


def test_a_file_up_to_the_limit_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x\r\n" * 10)
    assert read_text(path) == "x\r\n" * 10
    assert read_text(path, 30) == "x\r\n" * 10
    with pytest.raises(Unreadable, match="larger than"):
        read_text(path, 29)


def test_links_that_lead_out_are_seen(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    (inside / "circle").symlink_to(inside / "circle")
    (inside / "own").symlink_to(inside / "b")
    assert is_inside(inside / "none", inside)
    assert is_inside(inside / "own", inside)
    for path in (
        inside / "link" / "x",
        inside / ".." / "out",
        inside / "circle",
        Path("/etc/passwd"),
        tmp_path / "\x00",
    ):
        assert not is_inside(path, inside)
    assert is_inside(inside / "link" / "x", inside, outside)


def test_a_cell_file_that_leads_out_of_its_folder_is_not_read_aloud(tmp_path: Path) -> None:
    secret, folder = tmp_path / "secret.toml", tmp_path / "cells"
    secret.write_text("very secret\n")
    folder.mkdir()
    (folder / "x.toml").symlink_to(secret)
    shelf = Shelf.read(folder)
    (finding,) = shelf.findings
    assert finding.reason == "this leads out of the folder of the cells"
    with pytest.raises(ProtocolError) as caught:
        shelf.cell("x")
    assert "very secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", ".x", "", "x\x00", "a\nb", "x" * 101, "\u202ex"])
def test_a_cell_whose_name_is_no_name_of_a_file_is_not_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(ProtocolError):
        Shelf.read(tmp_path / "cells").add(name, {}, {})
    assert list(tmp_path.rglob("*.toml")) == []


BOMBS = {
    "dotted keys": "\n".join("k" + str(i) + ".a" * 450 + " = 1" for i in range(200)),
    "one dotted key": "a" + ".a" * 200_000 + " = 1",
    "sixty thousand tables": "\n".join(f"[t{i}]" for i in range(60_000)),
    "nesting": "a = " + "\n[" * 100_000,
    "nested tables": "a = " + "{a=" * 1200,
    "unknown keys": "\n".join(f"k{i} = 1" for i in range(50_000)),
    "wrong steps": "[[step]]\nrest = 'x'\n" * 5000,
    "inputs": "[inputs]\n" + "\n".join(f"k{i} = {{ default = 1 }}" for i in range(15_000)),
    "placeholders": "[inputs]\n"
    + "\n".join(f"k{i} = {{ default = 1 }}" for i in range(2000))
    + "\n[[step]]\nrest = '''" + "{x}" * 1000 + ("\n" + "{x}" * 1000) * 90 + "'''",
    "unfolding": "[[step]]\nfor = { a = [" + "1,\n" * 19_000 + "] }\ndo = [ { repeat = 1, do = [\n"
    + '{ rest = "1 s" },\n' * 10_000 + "] } ]",
    "digits": "a = " + "9" * 4900,
    "exponent": "[[step]]\nrest = '1e999999999 s'",
    "infinity": "[[step]]\nrest = 1e400\n[[step]]\nrest = inf\n[[step]]\nrest = nan",
    "count": "[[step]]\nrepeat = 99999999999999999999999999999999\ndo = [ { rest = '1 s' } ]",
}  # fmt: skip


@pytest.mark.timeout(30)
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_with_few_sentences(bomb: str) -> None:
    text = HEAD.replace("[cell]", "\n[cell]", 1) + BOMBS[bomb] if bomb != "inputs" else BOMBS[bomb]
    try:
        findings = check_source(parse("f.toml", text, ProtocolError))
    except ProtocolError as error:
        findings = error.findings
    assert 0 < len(findings) <= MOST_FINDINGS
    assert sum(len(str(finding)) for finding in findings) < 200_000


@pytest.mark.parametrize("bomb", ["unknown keys", "sixty thousand tables", "nesting", "digits"])
def test_a_configuration_that_is_a_bomb_is_refused(bomb: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(BOMBS[bomb] + "\n" + CONFIG.read_text("utf-8")[:100])
    for reader in (load, load_settings):
        with pytest.raises(ConfigError) as caught:
            reader(path)
        assert len(caught.value.findings) <= MOST_FINDINGS


TRICKS = ["{__class__}", "%s%n", "${HOME}", "$(id)", "\\u001b[2J", "\\u202e", "`id`", "\\u0000", "\\u009b31m", "' OR 1"]


@pytest.mark.parametrize("trick", TRICKS)
def test_tricks_in_names_stay_text(trick: str) -> None:
    written = trick.replace("{", "{{").replace("}", "}}")
    text = HEAD + f'[[step]]\nname = "{written}"\nrest = "{written}"\n'
    said = "\n".join(
        literal(line) for each in check_source(parse("f.toml", text, ProtocolError)) for line in [str(each)]
    )
    assert said
    assert all(line.isprintable() for line in said.split("\n"))
    assert "class 'labctl" not in said


def test_a_secret_stands_in_a_file_of_its_own_or_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "word"
    file.write_text("geheim\n")
    file.chmod(0o600)
    monkeypatch.setenv("WORD", "other")
    assert (reveal("file:word", tmp_path), reveal(f"file:{file}", Path()), reveal("env:WORD", Path())) == (
        "geheim",
        "geheim",
        "other",
    )
    file.chmod(0o640)
    with pytest.raises(LabctlError, match="read by others"):
        reveal("file:word", tmp_path)
    file.chmod(0o600)
    file.write_text("\n")
    for name in ("file:word", "file:none", "env:NO_SUCH_WORD"):
        with pytest.raises(LabctlError):
            reveal(name, tmp_path)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ('[alerts.mail]\nhost = "m"\nsender = "a@b"\nto = ["c@d"]\npassword = "geheim"', "password"),
        ('[alerts.mail]\nhost = "m"\nsender = "a@b"\nto = ["c@d"]\nsecurity = "none"', "this machine only"),
        ('[alerts.mail]\nhost = "m"\nsender = "a\\r\\n@b"\nto = ["c@d"]', "sender"),
        ('[alerts.mail]\nhost = "m"\nsender = "a@b"\nto = []', "wrong number"),
        ('[alerts.webhook]\nurl = "ftp://x"', "url"),
        ("[alerts]\nhourly = 0", "less than 1"),
        ('[alerts]\nseverity = "loud"', "severity"),
    ],
)
def test_alerts_that_could_not_work_are_refused(written: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.read_text("utf-8") + f"\n{written}\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    assert reason in str(caught.value)
