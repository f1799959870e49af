"""The folder of a site: what is written, what stays, and what is never told."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from labctl.bus.address import Address
from labctl.bus.topics import Process, Station, echo, matches
from labctl.cli import app
from labctl.errors import RefusedForSafety, StorageError
from labctl.private import write_private
from labctl.roles import ROLES
from labctl.site import certificates, mosquitto
from labctl.site.certificates import Pair
from labctl.site.site import Site
from tests.site.broker import PEOPLE


def init(folder: Path, *, hosts: tuple[str, ...] = ("lab-pc.example", "192.0.2.7"), force: bool = False) -> Site:
    return Site.init(folder, site="demo", hosts=hosts, port=8883, users=PEOPLE, force=force)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nobody_else_can_read_any_of_it(tmp_path: Path) -> None:
    init(tmp_path / "site")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "site").rglob("*")}
    assert modes == {0o600, 0o700}


def test_once_more_changes_nothing_and_force_changes_every_secret(tmp_path: Path) -> None:
    init(tmp_path)
    first = contents(tmp_path)
    again = init(tmp_path)
    assert (again.made, contents(tmp_path)) == ([], first)
    init(tmp_path, force=True)
    same = {name for name, content in contents(tmp_path).items() if first[name] == content}
    assert same == {"site.json", "broker/acl", "broker/mosquitto.conf"}


def test_a_user_has_all_that_a_connection_needs(tmp_path: Path) -> None:
    init(tmp_path)
    anna = Address.read(tmp_path / "users" / "anna.json")
    assert (str(anna), anna.username, anna.role) == ("mqtts://lab-pc.example:8883", "anna", "operator")
    assert anna.ca == (tmp_path / "authority.crt").read_text()
    assert "KEY" not in anna.ca
    line = next(
        line for line in (tmp_path / "broker" / "passwords").read_text().splitlines() if line.startswith("anna:")
    )
    _, kind, iterations, salt, digest = line.split("$")
    assert (kind, int(iterations), len(salt), len(digest)) == ("7", 1000, 16, 88)
    assert len({Address.read(path).password for path in (tmp_path / "users").iterdir()}) == 5


def test_a_new_name_of_the_machine_is_a_new_certificate_of_the_same_key(tmp_path: Path) -> None:
    init(tmp_path)
    key = (tmp_path / "broker" / "broker.key").read_bytes()
    made = init(tmp_path, hosts=("other.example",)).made
    assert [each.startswith("a certificate of the broker") for each in made] == [True]
    assert (tmp_path / "broker" / "broker.key").read_bytes() == key
    shown = x509.load_pem_x509_certificate((tmp_path / "broker" / "broker.crt").read_bytes())
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["other.example", "localhost"]
    assert Address.read(tmp_path / "users" / "anna.json").host == "other.example"


@pytest.mark.parametrize(("days", "renewed"), [(59, True), (61, False)])
def test_a_certificate_is_renewed_before_it_expires(tmp_path: Path, days: int, renewed: bool) -> None:
    init(tmp_path)
    authority = Pair.read((tmp_path / "authority.key").read_bytes(), (tmp_path / "authority.crt").read_bytes())
    begin = certificates.now() - certificates.BROKER_LIFE + timedelta(days=days)
    hosts = ("lab-pc.example", "192.0.2.7", "localhost", "127.0.0.1", "::1")
    old = certificates.broker(hosts, certificates.new_key(), authority, begin)
    write_private(tmp_path / "broker" / "broker.key", old.key_pem())
    write_private(tmp_path / "broker" / "broker.crt", old.certificate_pem())
    assert bool(init(tmp_path).made) is renewed


def test_a_broken_key_is_not_replaced_in_silence(tmp_path: Path) -> None:
    init(tmp_path)
    write_private(tmp_path / "authority.key", b"torn")
    with pytest.raises(StorageError, match="are no key and certificate"):
        init(tmp_path)
    init(tmp_path, force=True)


def test_another_site_is_not_written_over(tmp_path: Path) -> None:
    init(tmp_path)
    with pytest.raises(RefusedForSafety, match="belongs to the site demo, not mine"):
        Site.init(tmp_path, site="mine", hosts=("h",), port=1, users={}, force=False)
    with pytest.raises(StorageError, match="is no site"):
        Site.read(tmp_path / "absent")


def test_a_user_whose_file_was_handed_over_keeps_the_password_until_the_role_changes(tmp_path: Path) -> None:
    init(tmp_path)
    file, passwords = tmp_path / "users" / "ben.json", tmp_path / "broker" / "passwords"
    before = passwords.read_text()
    file.unlink()
    init(tmp_path)
    assert not file.exists()
    assert passwords.read_text() == before
    site = Site.read(tmp_path)
    site.add("ben", "operator")
    assert Address.read(file).role == "operator"
    assert site.made == ["a password of ben"]
    site.add("ben", "admin")
    assert (Address.read(file).role, site.made) == ("admin", ["a password of ben"])


def test_who_is_removed_is_nowhere_any_more(tmp_path: Path) -> None:
    site = init(tmp_path)
    site.remove("ben")
    assert not any(b"ben" in content for content in contents(tmp_path).values())
    for user in ("ben", "daemon"):
        with pytest.raises(RefusedForSafety, match="There are: anna, chris"):
            site.remove(user)


@pytest.mark.parametrize("user", ["", "a b", "a/b", "+", "#", "a:b", "-a", "a\nuser chris", "%u", "ä", "../x"])
def test_a_name_that_could_mean_something_to_the_broker_is_refused(tmp_path: Path, user: str) -> None:
    with pytest.raises(RefusedForSafety, match="cannot be the name of a user"):
        Site.init(tmp_path, site="demo", hosts=("h",), port=1, users={user: "viewer"}, force=False)
    assert contents(tmp_path) == {}


def test_a_process_of_labctl_cannot_be_made_a_person(tmp_path: Path) -> None:
    with pytest.raises(RefusedForSafety, match="is the name of a process"):
        init(tmp_path).add("daemon", "viewer")


def test_the_rights_cover_every_topic_that_there_is() -> None:
    host, station = Process("demo", "pc"), Station(Process("demo", "pc"), "A1")
    told = [
        getattr(station, name) for name, one in vars(Station).items() if isinstance(one, property) and name[0] != "_"
    ]
    said = [host.alive, host.state, *told, host.reply("u", "c")]
    assert station.readings in said
    rights = mosquitto.acl("demo", {"pc": "daemon", "recorder": "recorder", "u": "operator"}).split("\nuser ")
    daemon, recorder, operator = (_rights(part) for part in rights[1:])
    for topic in (*said, host.watermark("r")):
        assert _may("write", topic, daemon), topic
    for topic in (host.command("viewer", "u"), host.command("admin", "u"), Process("demo", "recorder").watermark("r")):
        assert _may("read", topic, daemon)
        assert not _may("write", topic, daemon) or "watermark" in topic
    for topic in said:
        assert _may("read", topic, operator), topic
        assert not _may("write", topic, operator), topic
    assert [_may("write", host.command(role, "u"), operator) for role in ROLES] == [True, True, False]
    assert _may("write", echo("demo", "u", "t"), operator)
    mine = Process("demo", "recorder")
    for topic in (mine.alive, mine.state, mine.watermark("r")):
        assert _may("write", topic, recorder), topic
    for topic in (host.alive, host.state, host.watermark("r"), host.command("viewer", "recorder")):
        assert not _may("write", topic, recorder), topic


def _rights(part: str) -> list[tuple[str, str]]:
    return [(words[1], words[2]) for line in part.splitlines() if (words := line.split())[:1] == ["topic"]]


def _may(access: str, topic: str, rights: list[tuple[str, str]]) -> bool:
    return any(access in granted and matches(pattern, topic) for granted, pattern in rights)


# -- the commands ------------------------------------------------------------------------------------------------------


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["labctl", "site", *words])
    return app.run()


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_commands_tell_what_is_next_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], form: tuple[str, ...]
) -> None:
    folder = str(tmp_path)
    assert run(monkeypatch, "init", folder, "--name", "demo", "--host", "pc", "--user", "anna:operator", *form) == 0
    assert run(monkeypatch, "add", folder, "ben", "--role", "viewer", *form) == 0
    passwords = [str(Address.read(path).password) for path in (tmp_path / "users").iterdir()]
    assert run(monkeypatch, "remove", folder, "ben", *form) == 0
    said = "".join(capsys.readouterr())
    assert "a password of ben" in said
    assert ("systemctl reload mosquitto" in said) is not bool(form)
    assert len(passwords) == 4
    assert not any(password in said for password in passwords)
    assert "PRIVATE KEY" not in said


def test_a_wrong_role_is_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "init", str(tmp_path), "--name", "demo", "--host", "pc", "--user", "anna:boss") == 2
    assert "the roles are viewer, operator, admin" in " ".join(capsys.readouterr().err.split())
    assert contents(tmp_path) == {}
