"""Servers that take alerts, as good and as bad as servers are, in the loop of the test."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from labctl.alerts.digest import Line, Message
from labctl.alerts.words import Sender
from labctl.api import Alarm, Alert, AlertChange
from labctl.reading import Severity

EPOCH = 1_795_258_567.0
ME = Sender("demo", "pc")


def alert(
    quantity: str = "voltage",
    sentence: str = "The voltage is above 4.3 V.",
    *,
    station: str = "A1",
    severity: Severity = Severity.ALARM,
    change: AlertChange = "raised",
    action: str = "circuit opened, pressure frozen",
    latched: bool = True,
) -> Alert:
    alarm = Alarm(
        id="1", since_unix_second=EPOCH, station=station, quantity=quantity, sentence=sentence, severity=severity,
        latched=latched, active=True, action=action,
    )  # fmt: skip
    return Alert(schema=1, change=change, said_unix_second=EPOCH, alarm=alarm)


def one(*alerts: Alert, more: int = 0) -> Message:
    return Message(tuple(Line(each, 1) for each in alerts or (alert(),)), more)


@dataclass
class Authority:
    """Vouches for 127.0.0.1 in a file that a configuration can name."""

    file: Path
    server: ssl.SSLContext

    @classmethod
    def of(cls, folder: Path) -> "Authority":
        ca = trustme.CA()
        file, server = folder / "ca.pem", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.cert_pem.write_to_path(file)
        ca.issue_cert("127.0.0.1").configure_cert(server)
        return cls(file, server)


@dataclass
class Letters:
    """What a mail server has taken; `refuse` is what it says to every letter instead."""

    letters: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    refuse: str = ""

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refuse:
            return self.refuse
        assert isinstance(envelope.content, bytes)
        letter = message_from_bytes(envelope.content, policy=default)
        assert isinstance(letter, EmailMessage)
        self.letters.append((list(envelope.rcpt_tos), letter))
        return "250 taken"


@asynccontextmanager
async def mail_server(
    letters: Letters, *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, password: str = ""
) -> AsyncIterator[int]:
    """Serve SMTP; where a password is given, the user "lab" must say it."""

    def knows(_server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, said: object) -> AuthResult:
        right = isinstance(said, LoginPassword) and (said.login, said.password) == (b"lab", password.encode())
        return AuthResult(success=right, handled=False)

    def protocol() -> SMTP:
        return SMTP(
            letters,
            hostname="127.0.0.1",
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_required=bool(password),
            auth_require_tls=starttls is not None,
            authenticator=knows,
            ident="test",
        )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def tcp_server(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve whatever a test wants; connections end with it."""
    works: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        work = asyncio.current_task()
        assert work is not None
        works.add(work)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)


@dataclass
class Posts:
    """What a web server has taken; it answers with the statuses in their order, and with the last one from then on."""

    statuses: tuple[str, ...] = ("204 No Content",)
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    tail: bytes = b"\r\n\r\n"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length")
        )
        self.bodies.append(await reader.readexactly(length))
        status = self.statuses[min(len(self.heads), len(self.statuses) - 1)]
        self.heads.append(head)
        writer.write(f"HTTP/1.1 {status}\r\nConnection: close".encode() + self.tail)
        await writer.drain()
