"""A site's broker, for real: who is let in, what each may say and hear, and that no secret gets out."""

import asyncio
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiomqtt
import pytest

from labctl.api import EveryStation, Request
from labctl.bus.address import Address
from labctl.bus.base import BusDown
from labctl.bus.tls import context, expiry
from labctl.client import Lab, connect
from labctl.clock import host_sleep, host_unix
from labctl.config import load
from labctl.errors import CommandRefused, StorageError
from labctl.lab.doctor.bus import bus as examine_bus
from labctl.lab.recording import process_of
from labctl.private import write_private
from labctl.record.queries import Queries
from labctl.site import certificates
from labctl.site.certificates import Pair
from tests.site.broker import PEOPLE, SiteBroker, living, served
from tests.stations import CONFIG

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
"""paho lets the interpreter close a socket whose handshake has failed."""

Come = Callable[[str], AbstractAsyncContextManager[Lab]]
HOST = process_of(load(CONFIG))


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SiteBroker]:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    broker = SiteBroker(tmp_path / "site")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def come(broker: SiteBroker, monkeypatch: pytest.MonkeyPatch) -> Come:
    """Come as a user, with the file that was handed over."""

    def come(user: str) -> AbstractAsyncContextManager[Lab]:
        monkeypatch.setenv("LABCTL_BUS", str(broker.file(user)))
        return connect(CONFIG, patience=10.0)

    return come


def estop(user: str, sent: float | None = None) -> bytes:
    request = Request(
        id=f"by {user} at {sent}",
        client="x",
        user=user,
        sent_unix_second=host_unix() if sent is None else sent,
        action=EveryStation(do="estop"),
    )
    return request.model_dump_json(by_alias=True).encode()


def commanded(broker: SiteBroker) -> list[tuple[str, str, bool]]:
    """Who commanded what at station A1 and was it accepted, as it is stored."""
    with Queries(load(CONFIG).storage.database) as queries:
        stored = [
            event.data for run in queries.runs(watches=True) if run.station == "A1" for event in queries.events(run.id)
        ]
    return [(d["user"], d["action"], d["accepted"]) for d in stored if "accepted" in d and broker.site]


async def test_each_does_what_the_role_allows_and_everything_is_written_down(broker: SiteBroker, come: Come) -> None:
    async with living(broker):
        async with come("ben") as ben:
            assert ben.user == "ben"
            assert (await ben.runs()).runs == ()
            with pytest.raises(CommandRefused, match=r'"estop" needs the role operator; ben came as viewer') as refused:
                await ben.estop("me too")
            assert refused.value.exit_code == 6
            assert ben.stations["A1"].values, "a viewer sees what is measured"
        async with come("anna") as anna:
            assert set((await anna.estop("smoke")).stations) == set(anna.stations)
            with pytest.raises(CommandRefused, match="needs the role admin"):
                await anna.reset("it was steam")
        async with come("chris") as chris:
            await chris.reset("it was steam")
    assert commanded(broker) == [
        ("ben", "estop", False),
        ("anna", "estop", True),
        ("anna", "reset", False),
        ("chris", "reset", True),
    ]


async def test_nobody_commands_in_another_name_or_role(broker: SiteBroker, come: Come) -> None:
    async with living(broker):
        for user, topics in {
            "ben": [HOST.command("operator", "ben"), HOST.command("admin", "anna"), HOST.command("viewer", "anna")],
            "anna": [HOST.command("admin", "anna"), HOST.command("operator", "chris")],
            "recorder": [HOST.command("admin", "recorder"), HOST.command("operator", "anna"), HOST.commands[:-4]],
        }.items():
            async with served(broker.address(user)) as bus, asyncio.timeout(10):
                await bus.connected()
                for topic in topics:
                    with suppress(BusDown):  # mosquitto takes what it drops
                        await bus.publish(topic, estop(topic.rpartition("/")[2]))
        async with come("anna") as anna:  # what comes after them has an answer, so they would have had one
            await anna.runs()
            assert not any(state.word == "estop" for state in anna.stations.values())
            lying = Request.model_validate_json(estop("chris"))
            async with served(broker.address("anna")) as bus, asyncio.timeout(10):
                await bus.connected()
                await bus.publish(HOST.command("operator", "anna"), lying.model_dump_json(by_alias=True).encode())
            await anna.runs()
            assert not any(state.word == "estop" for state in anna.stations.values())
    assert commanded(broker) == [("anna", "estop", False)], "only what came in one's own name is known at all"


async def test_a_viewer_hears_neither_commands_nor_the_replies_to_others(broker: SiteBroker) -> None:
    heard: list[str] = []
    topics = [
        HOST.reply("anna", "c"),
        HOST.reply("ben", "c"),
        HOST.state,
        HOST.alive,
        f"labctl/demo/{HOST.name}/A1/readings",
        HOST.watermark("run"),
    ]
    async with served(broker.address("ben")) as ben, served(broker.address("daemon")) as daemon, asyncio.timeout(10):
        await ben.subscribe("#", lambda topic, _: heard.append(topic))
        await ben.connected()
        await daemon.connected()
        for topic in (*topics, HOST.command("admin", "daemon"), "labctl/other/x/state", HOST.reply("ben", "last")):
            await daemon.publish(topic, b"{}")
        while HOST.reply("ben", "last") not in heard:
            await host_sleep(0.01)
    assert heard == [HOST.reply("ben", "c"), HOST.state, HOST.alive, topics[4], HOST.reply("ben", "last")]


# -- who is let in -----------------------------------------------------------------------------------------------------


async def trouble(address: Address) -> str:
    """Why there is no connection; fails where there is one."""
    async with served(address) as bus, asyncio.timeout(10):
        while "has not answered yet" in bus.trouble:
            await host_sleep(0.01)
        assert bus.session == 0, "let in"
        return bus.trouble


async def test_who_is_nobody_is_not_let_in(broker: SiteBroker) -> None:
    anna = broker.address("anna")
    for stranger in (replace(anna, password="guess"), replace(anna, username="nobody")):
        assert "Not authorized" in await trouble(stranger)
    plain = Address("127.0.0.1", broker.port)  # neither user nor TLS
    assert "does not answer" in await trouble(plain)
    with pytest.raises(aiomqtt.MqttError, match="Not authorized"):
        async with aiomqtt.Client("127.0.0.1", broker.port, tls_context=context(anna), timeout=5):
            pass


async def test_a_broker_that_cannot_show_who_it_is_hears_nothing(broker: SiteBroker) -> None:
    anna = broker.address("anna")
    other = certificates.authority("other", certificates.now()).certificate_pem().decode()
    assert "is not trusted, and nothing was said to it" in await trouble(replace(anna, ca=other))
    assert "is not trusted" in await trouble(replace(anna, ca=None)), "nor by the authorities of the web"
    assert "IP address mismatch" in await trouble(replace(anna, host="127.0.0.2"))


async def test_an_expired_certificate_is_refused_and_one_that_soon_does_is_told(
    broker: SiteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, anna = broker.folder, broker.address("anna")
    authority = Pair.read((folder / "authority.key").read_bytes(), (folder / "authority.crt").read_bytes())
    monkeypatch.setenv("LABCTL_BUS", str(broker.file("anna")))

    async def left(days: float) -> None:
        """Show a certificate that is good for so long."""
        broker.stop()
        begin = certificates.now() - certificates.BROKER_LIFE + timedelta(days=days)
        shown = certificates.broker(("127.0.0.1",), certificates.new_key(), authority, begin)
        write_private(folder / "broker" / "broker.key", shown.key_pem())
        write_private(folder / "broker" / "broker.crt", shown.certificate_pem())
        broker.start()

    await left(-1)
    assert "certificate has expired" in await trouble(anna)
    await left(30)
    checks = {check.part: check for check in await examine_bus(load(CONFIG))}
    assert checks["broker"].verdict == "fine"
    assert "good for 30 days" in checks["certificate"].found
    assert "labctl site init" in checks["certificate"].remedy
    until = expiry(anna, 5.0)
    assert until is not None
    assert abs(until - host_unix() - 30 * 86400) < 60


async def test_tls_before_1_2_is_not_spoken(broker: SiteBroker) -> None:
    how = ssl.create_default_context(cadata=broker.address("anna").ca)
    how.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    how.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        how.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, OSError)):
        await asyncio.open_connection("127.0.0.1", broker.port, ssl=how)


async def test_who_was_removed_is_not_let_in_again(broker: SiteBroker) -> None:
    anna = broker.address("anna")
    async with served(anna) as bus, asyncio.timeout(10):
        await bus.connected()
        broker.site.remove("anna")
        broker.reload()
        while not bus.trouble:
            await host_sleep(0.01)
    assert "Not authorized" in await trouble(anna)
    broker.site.add("dora", "viewer")
    broker.reload()
    async with served(broker.address("dora")) as bus, asyncio.timeout(10):
        await bus.connected()


async def test_one_comes_in_ones_own_name(broker: SiteBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_BUS", str(broker.file("ben")))
    with pytest.raises(StorageError, match="you are ben, not anna"):
        async with connect(CONFIG, user="anna"):
            pass


# -- secrets -----------------------------------------------------------------------------------------------------------


async def test_no_password_reaches_log_bus_database_or_report(
    broker: SiteBroker, come: Come, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    passwords = [str(broker.address(user).password) for user in (*PEOPLE, "daemon", "recorder")]
    said: list[str] = []
    caplog.set_level(0)
    async with living(broker), served(broker.address("daemon")) as ear:
        await ear.subscribe("#", lambda topic, payload: said.append(f"{topic} {payload!r}"))
        async with come("anna") as anna:
            await anna.start(_protocol(tmp_path), station="A1")
            await anna.estop("smoke")
            said.append(repr(vars(anna)))
        said += [str(check) for check in await examine_bus(load(CONFIG))]
        said.append(await trouble(replace(broker.address("anna"), username="anne")))
    said.append(caplog.text)
    said += [json.dumps(broker.site.members.model_dump()), *broker.site.made]
    said += [path.read_bytes().decode("latin-1") for path in (tmp_path / "data").rglob("*") if path.is_file()]
    said += [path.read_text() for path in (broker.folder / "broker").iterdir()]
    everything = "\n".join(said)
    assert "estop" in everything
    assert "run.started" in everything
    assert [password for password in passwords if password in everything] == []


def _protocol(folder: Path) -> Path:
    from tests.stations import HEAD

    path = folder / "rest.toml"
    path.write_text(HEAD + '[[step]]\nrest = "300 d"\n')
    return path
