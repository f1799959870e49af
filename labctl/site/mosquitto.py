"""What Mosquitto reads: its configuration, who may say and hear what, and the hashes of passwords.

Formats: mosquitto.conf(5) and mosquitto_passwd(1) of Mosquitto 2.0.
"""

import base64
import hashlib
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from labctl.bus.codec import PAYLOAD_LIMIT
from labctl.bus.topics import ROOT
from labctl.roles import ROLES, Role

Account = Role | Literal["daemon", "recorder"]
"""What somebody at the broker is: a person with a role, or one of labctl's own processes."""

_TOLD = ("+/alive", "+/state", "+/+/state", "+/+/readings", "+/+/events", "+/+/alerts")
"""What daemons tell everybody."""
_ITERATIONS = 1000
"""Of PBKDF2. Passwords are made here and cannot be guessed; a broker that counts for long lets everybody wait."""


def hashed(password: str, salt: bytes | None = None) -> str:
    """Return a password as Mosquitto keeps it: `$7$iterations$salt$hash`, PBKDF2 with HMAC-SHA-512."""
    salted = secrets.token_bytes(12) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salted, _ITERATIONS)
    return f"$7${_ITERATIONS}${base64.b64encode(salted).decode()}${base64.b64encode(digest).decode()}"


def configuration(folder: Path, port: int) -> str:
    """Return the configuration of a broker whose files lie in a folder."""
    return f"""\
# Written by `labctl site`; what is changed here is lost the next time.
listener {port}
certfile {folder}/broker.crt
keyfile {folder}/broker.key
tls_version tlsv1.2
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
message_size_limit {PAYLOAD_LIMIT}
"""


def acl(site: str, users: Mapping[str, Account]) -> str:
    """Return who may say and hear what; what is not named here is refused."""
    lines = ["# Written by `labctl site`; what is changed here is lost the next time."]
    for user, account in users.items():
        lines += ["", f"# {account}", f"user {user}"]
        lines += [f"topic {access} {ROOT}/{site}/{topic}" for access, topic in _rights(user, account)]
    return "\n".join(lines) + "\n"


def _rights(user: str, account: Account) -> Iterator[tuple[str, str]]:
    yield "readwrite", f"echo/{user}/+"
    match account:
        case "daemon":
            yield "read", "#"
            for topic in (*_TOLD, "+/reply/+/+", "+/watermark/+"):
                yield "write", topic
            yield from _commands(user, "admin")
        case "recorder":
            for topic in ("+/+/readings", "+/+/events"):
                yield "read", topic
            yield "write", f"{user}/+"
            yield "write", f"{user}/watermark/+"
        case role:
            for topic in (*_TOLD, f"+/reply/{user}/+"):
                yield "read", topic
            yield from _commands(user, role)


def _commands(user: str, role: Role) -> Iterator[tuple[str, str]]:
    """Yield the right to give commands in one's own name, in a role or a lower one."""
    for each in ROLES[: ROLES.index(role) + 1]:
        yield "write", f"+/command/{each}/{user}"
