"""The folder of a site: who belongs to it, and every file that its broker and its users need.

```
site.json            hosts, port, users and what they are; no secret
authority.key        vouches for the broker; needed only to renew its certificate
broker/              all that the broker's machine needs: mosquitto.conf, keys, passwords, acl
users/NAME.json      for one user, with address, password and certificate; to be handed over and then deleted here
```
"""

import os
import re
import secrets
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labctl.bus.address import Address
from labctl.errors import RefusedForSafety, StorageError
from labctl.private import read_private, write_private
from labctl.roles import Role
from labctl.site import certificates, mosquitto
from labctl.site.certificates import Pair
from labctl.site.mosquitto import Account

ACCOUNTS: tuple[str, ...] = (*get_args(get_args(Account)[0]), *get_args(get_args(Account)[1]))
OWN: Mapping[str, Account] = {"daemon": "daemon", "recorder": "recorder"}
"""labctl's own processes, which every site has."""
_LOCAL = ("localhost", "127.0.0.1", "::1")
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")


class Members(BaseModel):
    """`site.json`."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = Field(1, alias="schema")
    site: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    hosts: Annotated[tuple[str, ...], Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 8883
    users: dict[str, Account] = {}


class Site:
    """A folder, its members, and what was done to it.

    Attributes:
        made: what was written anew in the present call, for people.
    """

    def __init__(self, folder: Path, members: Members) -> None:
        self.folder = folder
        self.members = members
        self.made: list[str] = []

    @classmethod
    def read(cls, folder: Path) -> "Site":
        """Return the site that a folder holds; raises StorageError."""
        path = folder / "site.json"
        try:
            return cls(folder, Members.model_validate_json(path.read_bytes()))
        except FileNotFoundError:
            raise StorageError(f"{folder} is no site: there is no {path.name} in it.", "labctl site init") from None
        except (OSError, ValidationError) as error:
            raise StorageError(f"{path} cannot be understood: {type(error).__name__}.", "Restore it.") from None

    @classmethod
    def init(
        cls, folder: Path, *, site: str, hosts: tuple[str, ...], port: int, users: Mapping[str, Account], force: bool
    ) -> "Site":
        """Write all files of a site; keys and passwords that are there stay, unless `force` makes every one anew.

        Raises:
            RefusedForSafety: a name is none, or the folder belongs to another site.
            StorageError: a file cannot be written or read.
        """
        for host in hosts:
            _require(_HOST, host, "host", "Give the name or the address under which other machines reach the broker.")
        known = cls.read(folder).members if (folder / "site.json").exists() else None
        if known is not None and known.site != site and not force:
            raise RefusedForSafety(
                f"{folder} belongs to the site {known.site}, not {site}.", "Take another folder, or --force."
            )
        everybody = {**OWN, **({} if known is None else known.users), **users}
        for user in everybody:
            _require(_USER, user, "user", "Letters, digits, dots, _ and -, at most 64.")
        made = cls(folder, Members(schema=1, site=site, hosts=hosts, port=port, users=everybody))
        try:
            made._write(force=force)
        except OSError as error:
            raise StorageError(
                f"The site cannot be written to {folder}: {error.strerror}.", "Choose another folder."
            ) from None
        return made

    def add(self, user: str, account: Account) -> None:
        """Let somebody in, or make of them what is said now; their password stays where their file is still here.

        Where it was handed over and deleted they get a new one, for a new role needs a new file.
        """
        _require(_USER, user, "user", "Letters, digits, dots, _ and -, at most 64.")
        if user in OWN and account != OWN[user]:
            raise RefusedForSafety(f'"{user}" is the name of a process of labctl.', "Choose another one.")
        self.members = self.members.model_copy(update={"users": {**self.members.users, user: account}})
        self._write(force=False, anew="" if (self.folder / "users" / f"{user}.json").exists() else user)

    def remove(self, user: str) -> None:
        """Let somebody in no more."""
        if user not in self.members.users or user in OWN:
            others = ", ".join(sorted(set(self.members.users) - set(OWN))) or "nobody"
            raise RefusedForSafety(f'"{user}" is no user of the site {self.members.site}.', f"There are: {others}.")
        left = {name: account for name, account in self.members.users.items() if name != user}
        self.members = self.members.model_copy(update={"users": left})
        (self.folder / "users" / f"{user}.json").unlink(missing_ok=True)
        self._write(force=False)

    # -- files -------------------------------------------------------------------------------------------------------

    def _write(self, *, force: bool, anew: str = "") -> None:
        """Write everything that is not there or is derived; `anew` is a user who gets another password."""
        for folder in (self.folder, self.folder / "broker", self.folder / "users"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        broker = self.folder / "broker"
        authority = self._certificates(force=force)
        self._passwords(authority.certificate_pem().decode(), anew=self.members.users if force else (anew,))
        configuration = mosquitto.configuration(broker.absolute(), self.members.port)
        write_private(broker / "acl", mosquitto.acl(self.members.site, self.members.users).encode())
        write_private(broker / "mosquitto.conf", configuration.encode())
        _give_to_owner(broker)
        write_private(self.folder / "site.json", self.members.model_dump_json(by_alias=True, indent=1).encode())

    def _certificates(self, *, force: bool) -> Pair:
        now, broker = certificates.now(), self.folder / "broker"
        authority = None if force else _pair(self.folder / "authority.key", self.folder / "authority.crt")
        if authority is None:
            authority = certificates.authority(self.members.site, now)
            _write_pair(authority, self.folder / "authority.key", self.folder / "authority.crt")
            self.made.append("an authority of its own")
        hosts = tuple(dict.fromkeys((*self.members.hosts, *_LOCAL)))
        shown = None if force else _pair(broker / "broker.key", broker / "broker.crt")
        if shown is None or not certificates.serves(shown, hosts, authority, now):
            key = certificates.new_key() if shown is None else shown.key
            shown = certificates.broker(hosts, key, authority, now)
            _write_pair(shown, broker / "broker.key", broker / "broker.crt")
            self.made.append(f"a certificate of the broker, good until {shown.ends():%Y-%m-%d}")
        return authority

    def _passwords(self, ca: str, *, anew: Container[str]) -> None:
        """Give a password to who has none, and everybody a file that says how the broker is reached now."""
        path = self.folder / "broker" / "passwords"
        known = {user: kept for user, kept in _hashes(path) if user not in anew} if path.exists() else {}
        for user, account in self.members.users.items():
            file = self.folder / "users" / f"{user}.json"
            password = Address.read(file).password if user in known and file.exists() else None
            if user not in known:
                password = secrets.token_urlsafe(24)
                known[user] = mosquitto.hashed(password)
                self.made.append(f"a password of {user}")
            if password is not None:
                write_private(file, orjson.dumps(self._credentials(user, account, password, ca).to_json()))
        lines = [f"{user}:{known[user]}\n" for user in self.members.users]
        write_private(path, "".join(lines).encode())

    def _credentials(self, user: str, account: Account, password: str, ca: str) -> Address:
        role: Role = account if account != "daemon" and account != "recorder" else "admin"
        return Address(self.members.hosts[0], self.members.port, user, password, tls=True, ca=ca, role=role)


def _give_to_owner(folder: Path) -> None:
    """Let who owns a folder, which may be the broker's own user, read the files that root has written into it."""
    if os.geteuid() == 0:
        owner = folder.stat()
        for file in folder.iterdir():
            os.chown(file, owner.st_uid, owner.st_gid)


def _require(form: re.Pattern[str], name: str, what: str, remedy: str) -> None:
    if not form.fullmatch(name):
        raise RefusedForSafety(f'"{name}" cannot be the name of a {what}.', remedy)


def _hashes(path: Path) -> Iterable[tuple[str, str]]:
    for line in read_private(path, "The password file").decode().splitlines():
        user, _, hashed = line.partition(":")
        yield user, hashed


def _pair(key: Path, certificate: Path) -> Pair | None:
    """Read a pair; None where there is none. A broken one is never replaced in silence."""
    if not key.exists():
        return None
    try:
        return Pair.read(read_private(key, "The key"), certificate.read_bytes())
    except (OSError, ValueError):
        raise StorageError(
            f"{key} and {certificate.name} are no key and certificate.", "Restore them, or make all anew with --force."
        ) from None


def _write_pair(pair: Pair, key: Path, certificate: Path) -> None:
    write_private(key, pair.key_pem())
    write_private(certificate, pair.certificate_pem())
