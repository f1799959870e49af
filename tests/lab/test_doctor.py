"""The doctor: what it finds, on real wires, brokers and files, and whom it leaves alone."""

import asyncio
import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from labctl import __version__
from labctl.api import LabState
from labctl.bus.address import Address
from labctl.bus.client import MqttBus
from labctl.bus.topics import Process
from labctl.config import Config, load
from labctl.engine.journal import Journal
from labctl.errors import StorageError
from labctl.filelock import FileLock
from labctl.instrument import Executes, Identity
from labctl.lab.doctor import bus, installation, instruments, machine, storage
from labctl.lab.doctor.check import Check, Verdict
from labctl.lab.doctor.examination import examine
from labctl.lab.doctor.rigs import rigs
from labctl.private import write_private
from labctl.record.health import Health
from labctl.record.writer import Writer
from labctl.registry import load_driver
from labctl.sim.bench import Bench, BenchParameters
from tests.conftest import Served
from tests.laboratory import IotcoreBroker, MosquittoBroker, batches, ended, experiment, new_run, reading, started
from tests.stations import CONFIG

AnyBroker = IotcoreBroker | MosquittoBroker
STATION = """schema = "1"
[lab]
site = "demo"
[bus]
broker = "{broker}"
[storage]
data = "{data}"
[station.A1.cycler]
driver = "keithley-2450"
address = "{address}"
[station.A1.limits]
voltage = ["0 V", "5 V"]
current = "10 mA"
"""


def configured(folder: Path, address: str = "sim://", broker: str = "embedded") -> tuple[Config, Path]:
    path = folder / "config.toml"
    path.write_text(STATION.format(data=folder / "data", address=address, broker=broker))
    return load(path), path


def words(checks: list[Check]) -> list[tuple[str, str]]:
    return [(check.verdict.value, check.found) for check in checks]


@pytest.fixture(autouse=True)
def _no_data_folder_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABCTL_DATA", raising=False)


# -- instruments -----------------------------------------------------------------------------------------------------


class Simulated:
    """A simulated cycler that remembers what it was asked."""

    def __init__(self) -> None:
        driver = load_driver("keithley-2450")
        self.bench = Bench.of(BenchParameters(), 1)
        self._simulator = driver.load_simulator()(self.bench, "cell", driver.example_options({}))
        self.asked = b""

    def receive(self, data: bytes) -> bytes:
        self.asked += data
        return bytes(self._simulator.receive(data))

    def reset_line(self) -> None:
        self._simulator.reset_line()


def asking(name: str) -> None:
    """Nobody watches."""


async def test_an_instrument_answers_and_is_named(tmp_path: Path, served: Served) -> None:
    simulated, names = Simulated(), list[str]()
    async with served(simulated.bench, simulated, "tcp://127.0.0.1:0") as address:
        config, path = configured(tmp_path, address)
        (check,) = await instruments.instruments(config, path, names.append)
    assert check.verdict is Verdict.FINE
    assert check.found.startswith(f"A1/cycler at {address}: KEITHLEY INSTRUMENTS 2450")
    assert names == ["A1/cycler"]
    assert b"OUTP ON" not in simulated.asked.upper()
    assert simulated.bench.cell.current == 0.0


async def test_an_instrument_that_is_not_there_is_an_error_with_its_remedy(tmp_path: Path) -> None:
    config, path = configured(tmp_path, "TCPIP::127.0.0.1::9::SOCKET")
    (check,) = await instruments.instruments(config, path, asking)
    assert check.verdict is Verdict.ERROR
    assert check.found.startswith("A1/cycler at TCPIP::127.0.0.1::9::SOCKET: ")
    assert check.remedy


@pytest.mark.parametrize("lock", ["station-A1.lock", "daemon.lock"])
async def test_who_has_a_station_is_left_alone(tmp_path: Path, served: Served, lock: str) -> None:
    simulated = Simulated()
    (tmp_path / "data" / "run").mkdir(parents=True)
    owner = FileLock(tmp_path / "data" / "run" / lock, "Station A1")
    async with served(simulated.bench, simulated, "tcp://127.0.0.1:0") as address:
        config, path = configured(tmp_path, address)
        (check,) = await instruments.instruments(config, path, asking)
        assert check.verdict is Verdict.FINE
        assert "not asked" in check.found
        assert simulated.asked == b""
        owner.release()
        (check,) = await instruments.instruments(config, path, asking)
        assert "KEITHLEY" in check.found


async def test_a_cycler_that_may_execute_a_program_is_left_alone(
    tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = Simulated()
    async with served(simulated.bench, simulated, "tcp://127.0.0.1:0") as address:
        config, path = configured(tmp_path, address)
        driver, options = config.drivers["A1", "cycler"]
        programmable = replace(driver, features=replace(driver.features, steps=Executes.INSTRUMENT))
        monkeypatch.setitem(config.drivers, ("A1", "cycler"), (programmable, options))
        leave_journal(tmp_path / "data" / "labctl.db.journal", "A1")
        (check,) = await instruments.instruments(config, path, asking)
        assert check.verdict is Verdict.WARNING
        assert "not asked, its cycler may be executing what a dead process began" in check.found
        assert simulated.asked == b""
        monkeypatch.setitem(config.drivers, ("A1", "cycler"), (driver, options))
        (check,) = await instruments.instruments(config, path, asking)
        assert "KEITHLEY" in check.found


async def test_simulated_and_mixed_stations() -> None:
    checks = await instruments.instruments(load(CONFIG), CONFIG, asking)
    assert ("fine", "A1: 5 simulated, there is nothing to ask") in words(checks)
    assert {check.verdict for check in checks} == {Verdict.FINE}


def test_what_the_guard_cannot_compare_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.read_text().replace('"sim://"', '"/dev/null"'))
    check = next(iter(rigs(load(path))))
    assert check.verdict is Verdict.WARNING
    assert check.found == (
        "A1: not compared: torque with force (disagreement.screw); one side with the other (disagreement.wall); "
        "force with temperature (disagreement.drift)"
    )
    path.write_text(path.read_text() + '[station.A1.disagreement]\nscrew = "8 mm"\nwall = "0.4 kN"\ndrift = "0.02 %"\n')
    assert ("fine", "A1: everything is compared") in words(list(rigs(load(path))))


async def test_an_instrument_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        async def connect(self) -> Identity:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(instruments, "PATIENCE", 0.01)
    check = await instruments._instrument("A1/cycler", "/dev/null", Silent())  # type: ignore[arg-type]
    assert check.verdict is Verdict.ERROR
    assert "took more than" in check.found


# -- bus and daemon --------------------------------------------------------------------------------------------------


def lab_state(version: str, recorder: str = "") -> LabState:
    return LabState(
        site="demo",
        host="lab-pc",
        version=version,
        pid=7,
        stations=("A1",),
        started_unix_second=1.0,
        said_unix_second=2.0,
        recorder=recorder,
    )


@pytest.mark.parametrize(
    ("version", "recorder", "verdict"),
    [
        (__version__, "", Verdict.FINE),
        ("0.0.9", "", Verdict.WARNING),
        (__version__, "the disk is full", Verdict.ERROR),
    ],
    ids=["same", "older", "trouble"],
)
async def test_the_daemon_is_known_by_its_retained_state(
    tmp_path: Path, broker: AnyBroker, version: str, recorder: str, verdict: Verdict
) -> None:
    process, address = Process("demo", "lab-pc"), broker.address
    client = MqttBus(address)
    await client.retain(process.state, lab_state(version, recorder).model_dump_json(by_alias=True).encode())
    await client.retain(Process("demo", "recorder").state, b'{"state":"recording"}')
    serving = asyncio.create_task(client.serve())
    async with asyncio.timeout(10):
        await client.connected()
    checks = await bus.bus(configured(tmp_path, broker=credentials(tmp_path, address))[0])
    serving.cancel()
    await asyncio.wait([serving])
    assert [check.verdict for check in checks] == [Verdict.FINE, verdict]
    assert f"{address.host}:{address.port} carries a message back in" in checks[0].found
    assert str(address.password) not in checks[0].found
    assert checks[1].found.startswith(f"{version} on lab-pc, process 7, stations A1")


def credentials(folder: Path, address: Address) -> str:
    path = folder / "mine.json"
    write_private(path, orjson.dumps(address.to_json()))
    return str(path)


async def test_a_broker_without_daemon_and_wrong_credentials(
    tmp_path: Path, broker: AnyBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = broker.address
    checks = await bus.bus(configured(tmp_path, broker=credentials(tmp_path, address))[0])
    assert [(check.part, check.verdict) for check in checks] == [
        ("broker", Verdict.FINE),
        ("daemon", Verdict.WARNING),
    ]
    monkeypatch.setattr(bus, "PATIENCE", 0.5)
    (check,) = await bus.bus(configured(tmp_path, broker=credentials(tmp_path, replace(address, password="wrong")))[0])
    assert (check.part, check.verdict) == ("broker", Verdict.ERROR)
    assert "answer" in check.found
    assert "wrong" not in check.found


async def test_an_embedded_broker_is_there_with_its_daemon(tmp_path: Path) -> None:
    config, _ = configured(tmp_path)
    checks = await bus.bus(config)
    assert [check.verdict for check in checks] == [Verdict.FINE, Verdict.WARNING]
    folder = tmp_path / "data" / "run"
    broker = IotcoreBroker(folder / "broker")
    owner = FileLock(folder / "daemon.lock", "This laboratory")
    checks = await bus.bus(config)
    assert [check.verdict for check in checks] == [Verdict.FINE, Verdict.ERROR]
    assert "says nothing on the bus" in checks[1].found
    owner.release()
    broker.stop()


# -- database and journals -------------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path, run = tmp_path / "data" / "labctl.db", new_run()
    writer = Writer(path)
    writer.apply(batches(run, list(experiment(run, seed=1)), 50))
    writer.close()
    return path


def leave_journal(folder: Path, station: str, *, whole: bool = False) -> str:
    """Leave a journal as a dead process does; the run in it has ended or not."""
    run = new_run()
    journal = Journal.create(folder, run, station, simulated=True)
    for record in (started(run), reading(1), *((ended(1.0),) if whole else ())):
        journal.append(record)
    journal.close()
    return run


def test_a_whole_database(database: Path) -> None:
    assert words(list(storage.storage(database))) == [
        ("fine", f"{database}, {database.stat().st_size / 1e6:.1f} MB, is whole"),
        ("fine", "nothing waits for the database"),
    ]


def test_a_database_is_looked_at_while_it_is_written_and_not_changed(database: Path) -> None:
    writer = Writer(database)
    before = database.read_bytes()
    assert next(storage.storage(database)).verdict is Verdict.FINE
    assert database.read_bytes() == before
    writer.close()


def test_a_damaged_database_is_an_error(database: Path) -> None:
    pages = bytearray(database.read_bytes())
    for page in range(5, len(pages) // 4096):
        pages[4096 * page] = 0x77  # no kind of page that SQLite knows
    database.write_bytes(pages)
    check = next(storage.storage(database))
    assert check.verdict is Verdict.ERROR
    assert "labctl repair" in check.remedy


def test_tables_that_their_rows_do_not_give_are_an_error(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("UPDATE cycles SET discharging_capacity_ah = 1.0 WHERE cycle_count = 2")
    check = next(storage.storage(database))
    assert check.verdict is Verdict.ERROR
    assert "cycles of the newest run are not what its rows give" in check.found


def test_an_index_that_lost_an_entry_is_found_by_the_thorough_check(database: Path) -> None:
    """quick_check does not hold indexes against their tables: a run could not be found by its name."""
    with closing(sqlite3.connect(database)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_runs_1'"
        ).fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (uuid,) = connection.execute("SELECT uuid FROM runs WHERE id = 1").fetchone()
    content = database.read_bytes()
    page = content[4096 * (root - 1) : 4096 * root].replace(uuid.encode(), b"!" + uuid.encode()[1:])
    database.write_bytes(content[: 4096 * (root - 1)] + page + content[4096 * root :])
    assert "is damaged" not in next(storage.storage(database)).found
    check = next(storage.storage(database, thorough=True))
    assert check.verdict is Verdict.ERROR
    assert "is damaged: row 1 missing from index" in check.found


def test_a_damaged_journal_and_what_was_kept_aside_are_told(database: Path) -> None:
    folder = database.with_name("labctl.db.journal")
    run = leave_journal(folder, "A1", whole=True)
    path = folder / run / "0" / "000000000001.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1], lines[2].replace(b"1", b"2"), lines[3]]))
    _, damaged, waiting = storage.storage(database)
    assert (damaged.verdict, waiting.verdict) == (Verdict.ERROR, Verdict.WARNING)
    assert f"{path} is damaged" in damaged.found
    Journal.open(folder, run).close()
    _, aside, _ = storage.storage(database)
    assert aside.verdict is Verdict.WARNING
    assert "1 damaged segment(s) were kept aside" in aside.found


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "labctl.db"
    path.write_text("not a database, but long enough to be read as one" * 100)
    check = next(storage.storage(path))
    assert check.verdict is Verdict.ERROR
    sqlite3.connect(tmp_path / "other.db").close()
    (tmp_path / "other.db").touch()
    assert "no such table" in next(storage.storage(tmp_path / "other.db")).found


@pytest.mark.parametrize(
    ("change", "verdict", "found"),
    [
        ("DELETE FROM _sqlite_migrations WHERE name LIKE '0002%'", "warning", "is of an older labctl (lacks 0002"),
        (
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('labctl.record', '9999_x', '')",
            "error",
            "is of a newer labctl (9999_x)",
        ),
        ("PRAGMA journal_mode = DELETE", "warning", "has journal mode delete"),
        ("INSERT INTO quarantine VALUES (1, 1, 0, 5, 'no', '{}')", "warning", "1 record(s) were put aside"),
        ("UPDATE runs SET simulated = 0, started_unix_second = 9e9", "error", "the clock is behind the newest run"),
    ],
)
def test_what_else_can_be_wrong_with_a_database(database: Path, change: str, verdict: str, found: str) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER runs_stay_simulated")
        connection.execute(change)
    (check,) = [check for check in storage.storage(database) if check.verdict is not Verdict.FINE]
    assert check.verdict == verdict
    assert found in check.found
    assert check.remedy


def test_a_check_that_takes_too_long_is_given_up(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.record.health.CHECK_STEPS", 1)
    monkeypatch.setattr(storage, "PATIENCE", -1.0)
    check = next(storage.storage(database))
    assert check.verdict is Verdict.WARNING
    assert "was given up" in check.found


def test_leftover_journals_are_told(database: Path) -> None:
    folder = database.with_name("labctl.db.journal")
    run = leave_journal(folder, "A1")
    held = Journal.create(folder, new_run(), "A1", simulated=True)
    check = list(storage.storage(database))[-1]
    held.close()
    assert check.verdict is Verdict.WARNING
    assert f"1 in {folder} wait for the database ({run[:8]})" in check.found


def test_a_run_is_unended_where_its_process_died(tmp_path: Path) -> None:
    database = tmp_path / "labctl.db"
    folder = tmp_path / "labctl.db.journal"
    assert not storage.unended(database, "A1")
    leave_journal(folder, "A1", whole=True)
    assert not storage.unended(database, "A1")
    leave_journal(folder, "A2")
    assert not storage.unended(database, "A1")
    assert storage.unended(database, "A2")
    run = leave_journal(folder, "A3")
    (segment,) = (folder / run / "0").glob("*.jsonl")
    segment.write_bytes(b"torn")  # nobody knows any more whose it was
    assert storage.unended(database, "A1")


def test_health_is_told_for_whoever_asks(database: Path) -> None:
    from labctl.record.health import examine as look

    found = look(database, 10.0)
    assert isinstance(found, Health)
    assert (found.damage, found.journal_mode, found.missing, found.unknown) == ("", "wal", (), ())
    with pytest.raises(StorageError):
        look(database.with_name("absent.db"), 1.0)


# -- machine and installation ----------------------------------------------------------------------------------------


def test_a_password_that_others_can_read_is_an_error(tmp_path: Path) -> None:
    mine = tmp_path / "mine.json"
    mine.touch(0o644)
    config, path = configured(tmp_path, broker=str(mine))
    runtime = tmp_path / "data" / "run" / "broker" / "broker.json"
    runtime.parent.mkdir(parents=True)
    runtime.touch(0o640)
    checks = list(machine.permissions(config, path, tmp_path / "data"))
    assert [(check.verdict, check.remedy) for check in checks[1:]] == [
        (Verdict.ERROR, f"chmod 600 {runtime}"),
        (Verdict.ERROR, f"chmod 600 {mine}"),
    ]
    runtime.chmod(0o600)
    mine.chmod(0o600)
    assert {check.verdict for check in machine.permissions(config, path, tmp_path / "data")} == {Verdict.FINE}


def test_serial_devices_must_be_there(tmp_path: Path) -> None:
    text = CONFIG.read_text().replace(
        'driver   = "mark10"\naddress  = "sim://"', f'driver = "mark10"\naddress = "/dev/{tmp_path.name}"'
    )
    (tmp_path / "config.toml").write_text(text)
    checks = list(machine.permissions(load(tmp_path / "config.toml"), tmp_path / "config.toml", tmp_path))
    assert words(checks[1:]) == [("error", f"there is no /dev/{tmp_path.name}")]


def test_a_device_that_may_not_be_opened_names_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    check = machine._device(Path("/dev/null"))
    assert check.verdict is Verdict.ERROR
    assert check.remedy.startswith(f"sudo usermod -aG {Path('/dev/null').group()} ")


def test_a_data_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (check,) = machine.permissions(None, tmp_path / "config.toml", tmp_path / "file")
    assert check.verdict is Verdict.ERROR
    (check,) = machine.permissions(None, tmp_path / "config.toml", tmp_path / "new" / "data")
    assert check.found.endswith("will be made")
    assert not (tmp_path / "new").exists()


def test_the_disk_has_room_and_its_fsync_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room, speed = machine.disk(tmp_path, 4)
    assert "days of a row a second at 4 station(s)" in room.found
    assert speed.found.startswith("fsync takes")
    assert list(tmp_path.iterdir()) == []

    def usage(free: float) -> None:
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: os.terminal_size((0, 0)) and _Usage(free))

    for free, verdict in ((1e8, Verdict.ERROR), (1e9, Verdict.WARNING), (1e12, Verdict.FINE)):
        usage(free)
        assert next(machine.disk(tmp_path, 4)).verdict is verdict
    monkeypatch.setattr(machine, "SLOW_FSYNC", 0.0)
    assert list(machine.disk(tmp_path, 4))[1].verdict is Verdict.WARNING


class _Usage:
    def __init__(self, free: float) -> None:
        self.free = free


@pytest.mark.parametrize(("says", "verdict"), [("yes", Verdict.FINE), ("no", Verdict.WARNING), ("", Verdict.WARNING)])
def test_the_clock_is_kept_right_by_ntp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, verdict: Verdict
) -> None:
    program = tmp_path / "timedatectl"
    program.write_text(f"#!/bin/sh\necho {says}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.time().verdict is verdict
    program.unlink()
    assert machine.time().verdict is Verdict.WARNING
    monkeypatch.setattr(machine, "host_unix", lambda: 0.0)
    assert machine.time().verdict is Verdict.ERROR


class _Terminal:
    def __init__(self, encoding: str) -> None:
        self.encoding = encoding

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("encoding", "columns", "verdict"),
    [("utf-8", 120, Verdict.FINE), ("ascii", 120, Verdict.WARNING), ("UTF-8", 60, Verdict.WARNING)],
)
def test_a_terminal_shows_glyphs_and_has_room(
    monkeypatch: pytest.MonkeyPatch, encoding: str, columns: int, verdict: Verdict
) -> None:
    monkeypatch.setattr(sys, "stdout", _Terminal(encoding))
    monkeypatch.setattr(machine.shutil, "get_terminal_size", lambda *_, **__: os.terminal_size((columns, 40)))
    assert machine.terminal().verdict is verdict


def test_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = {check.part: check for check in installation.installation()}
    assert {check.verdict for check in checks.values()} == {Verdict.FINE}
    assert "aiomqtt 2." in checks["packages"].found
    assert "keithley-2450" in checks["drivers"].found
    monkeypatch.setattr(installation, "owners_of_drivers", lambda: ["labctl-battery", "other"])
    checks = {check.part: check for check in installation.installation()}
    assert checks["drivers"].verdict is Verdict.ERROR
    assert 'labctl-battery and other both contain a package "drivers"' in checks["drivers"].found


def test_a_package_that_is_missing_and_a_driver_that_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "requires", lambda _: ["absent-package<3,>=2; python_version > '3'", "typer"])
    assert installation.packages().found == "missing: absent-package"

    def broken(name: str) -> None:
        raise ImportError(f"no module for {name}")

    monkeypatch.setattr(installation, "driver_names", lambda: ["acme"])
    monkeypatch.setattr(installation, "load_driver", broken)
    first, second = installation.drivers()
    assert (first.verdict, second.found) == (Verdict.ERROR, "")
    assert "no module for acme" in first.found


async def test_without_a_configuration_there_is_still_a_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    found: list[Check] = []
    await examine(tmp_path / "config.toml", found.append, asking)
    assert {"python", "packages", "configuration", "time", "disk", "database", "journals"} <= {c.part for c in found}
    assert Verdict.ERROR not in {check.verdict for check in found}
    assert all(bool(check.remedy) == (check.verdict is not Verdict.FINE) for check in found)
    assert not (tmp_path / "data").exists()
    assert orjson.dumps(found)
