"""Alerts as mail, against servers: TLS in both ways, users, refusals, servers that hang, and hostile text."""

import asyncio
import re
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.alerts.channel import Undelivered
from labctl.alerts.mail import Mail
from labctl.alerts.words import LONGEST_SUBJECT, as_json, subject, text
from labctl.errors import LabctlError
from labctl.settings import MailConfig

from .servers import ME, Authority, Letters, Serve, alert, mail_server, one, tcp_server


def mail(port: int, folder: Path, **keys: Any) -> Mail:
    words = {"host": "127.0.0.1", "port": port, "sender": "lab@example.org", "to": ("anna@example.org",), **keys}
    return Mail(MailConfig.model_validate(words), folder)


def of_its_own(folder: Path, name: str, content: str) -> str:
    file = folder / name
    file.write_text(content)
    file.chmod(0o600)
    return f"file:{name}"


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_letter_goes_over_tls_with_the_password_of_a_file(security: str, tmp_path: Path) -> None:
    authority, letters = Authority.of(tmp_path), Letters()
    here = {security: authority.server}
    password = "geheim" if security == "starttls" else ""  # the test's server offers AUTH after STARTTLS only
    async with mail_server(letters, password=password, **here) as port:
        keys: dict[str, Any] = {"security": security, "ca": "ca.pem", "to": ("anna@example.org", "ben@example.org")}
        if password:
            keys |= {"user": "lab", "password": of_its_own(tmp_path, "word", f"{password}\n")}
        await mail(port, tmp_path, **keys).send(ME, one(alert(sentence="µA and °C are 4.3 V."), more=17))
    ((recipients, letter),) = letters.letters
    assert recipients == ["anna@example.org", "ben@example.org"]
    assert letter["Subject"] == "[labctl demo/pc] ALARM A1 voltage: µA and °C are 4.3 V. (and 17 more)"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content().splitlines() == [
        "ALARM at A1, voltage, raised 2026-11-21 10:56:07 UTC",
        "  µA and °C are 4.3 V.",
        "  Done about it: circuit opened, pressure frozen.",
        "  The station starts nothing until somebody acknowledges this.",
        "",
        "And 17 more: `labctl status` shows what stands.",
        "",
        "Site demo, host pc.",
    ]


async def test_a_server_that_nobody_vouches_for_or_that_has_no_tls_gets_nothing(tmp_path: Path) -> None:
    authority, letters = Authority.of(tmp_path), Letters()
    async with mail_server(letters, starttls=authority.server) as port:
        with pytest.raises(Undelivered, match=r"did not take an alert: .*certificate verify failed"):
            await mail(port, tmp_path).send(ME, one())
    async with mail_server(letters) as port:
        with pytest.raises(Undelivered, match=r"did not take an alert: .*STARTTLS"):
            await mail(port, tmp_path, ca="ca.pem").send(ME, one())
    assert letters.letters == []


async def test_a_wrong_password_a_refused_letter_and_a_closed_port_are_told(tmp_path: Path) -> None:
    authority, letters = Authority.of(tmp_path), Letters()
    async with mail_server(letters, starttls=authority.server, password="right") as port:
        keys = {"ca": "ca.pem", "user": "lab", "password": of_its_own(tmp_path, "word", "very-wrong")}
        with pytest.raises(Undelivered, match=r"127\.0\.0\.1 did not take an alert: .*535") as caught:
            await mail(port, tmp_path, **keys).send(ME, one())
        assert "very-wrong" not in str(caught.value)
    letters.refuse = "451 \x1b[31mfull" + "x" * 400
    async with mail_server(letters) as port:
        with pytest.raises(Undelivered, match=r"451.*\\x1b\[31mfullx") as caught:
            await mail(port, tmp_path, security="none").send(ME, one())
        assert len(caught.value.sentence) < 300
    with pytest.raises(Undelivered, match=r"127\.0\.0\.1 did not take an alert: "):
        await mail(port, tmp_path, security="none").send(ME, one())
    assert letters.letters == []


async def _silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _dripping(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"220-and more\r\n")
        await writer.drain()
        await asyncio.sleep(0.005)


async def _silent_after_starttls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 here\r\n")
    await reader.readline()
    writer.write(b"250-here\r\n250 STARTTLS\r\n")
    await reader.readline()
    writer.write(b"220 go on\r\n")
    await reader.read()


@pytest.mark.parametrize("server", [_silent, _dripping, _silent_after_starttls])
async def test_a_server_that_hangs_is_let_go_of_at_once(server: Serve, tmp_path: Path) -> None:
    async with tcp_server(server) as port:
        sending = asyncio.create_task(mail(port, tmp_path).send(ME, one()))
        done, _ = await asyncio.wait([sending], timeout=0.05)
        assert not done
        sending.cancel()
        async with asyncio.timeout(1.0):
            await asyncio.wait([sending])
        assert sending.cancelled()


@pytest.mark.parametrize("why", ["password", "ca"])
async def test_what_the_configuration_names_and_is_not_there_is_told(why: str, tmp_path: Path) -> None:
    key = {"password": "file:none"} if why == "password" else {"ca": "none.pem"}
    with pytest.raises(LabctlError, match="none"):
        await mail(1, tmp_path, **key).send(ME, one())


HOSTILE = st.text(max_size=60) | st.sampled_from(
    [
        "x\r\nBcc: eve@example.org",
        "x\nBcc: eve@example.org\n\nbody",
        "a\x00b",
        "\x1b[2J",
        "\ud800",
        "%s{}" * 9,
        "é" * 900,
    ]
)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_hostile_text_makes_no_header_no_second_line_and_no_escape(station: str, quantity: str, said: str) -> None:
    message = one(alert(quantity, said, station=station, action=said))
    line = subject(ME, message)
    assert line.isprintable()
    assert len(line) <= LONGEST_SUBJECT
    written = mail(1, Path())._written(ME, message)
    heads = bytes(written).partition(b"\r\n\r\n")[0]
    names = re.findall(rb"^([A-Za-z-]+):", heads, re.MULTILINE)
    assert b"Bcc" not in names
    assert len(names) == len(set(names)) == 9
    assert str(make_header(decode_header(str(written["Subject"])))) == line
    assert all(each.isprintable() for each in text(ME, message).split("\n"))
    assert len(text(ME, message).splitlines()) <= 6
    as_json(ME, message, 0.0)
