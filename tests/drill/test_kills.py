"""Broker, recorder and daemon of a small laboratory, killed in any combination; and evidence that can tell a loss."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from random import Random, SystemRandom

import pytest

from labctl.clock import host_monotonic
from labctl.config import load
from labctl.drill.double import doubles
from labctl.drill.household import Household, NotInTime, environment, until
from labctl.drill.kills import VICTIMS, deaths, kill_processes
from labctl.engine.journal import Journal
from labctl.engine.segment import encode
from labctl.errors import ProtocolError, RefusedForSafety
from labctl.lab.abilities import abilities
from labctl.protocol import bind
from labctl.protocol.load import fill
from labctl.protocol.source import parse
from labctl.reading import COLUMNS, Event
from labctl.record.evidence import Witness, examine
from labctl.record.writer import Writer
from tests.laboratory import batches, ended, experiment, new_run, reading, started
from tests.stations import CONFIG, repository_config

KILLS = 20
SMALL = """schema = "1"
[station.B1.cycler]
driver = "keithley-2450"
address = "sim://"
poll = "1 s"
four_wire = true
[station.B1.limits]
voltage = ["0 V", "5 V"]
current = "20 mA"
[station.B1.simulation]
cell = { preset = "nmc721-liin" }
rig = { kind = "press", force = "59.7 kN" }
"""
REAL = SMALL.replace("sim://", "TCPIP::192.0.2.7::5025::SOCKET")


def configured(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


# -- processes ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_kills_in_any_combination_lose_and_double_nothing(tmp_path: Path) -> None:
    path, seed = configured(tmp_path, SMALL), SystemRandom().randrange(2**31)
    print(f"seed {seed}")
    places = doubles(load(path), path)
    folder = tmp_path / "drill"
    folder.mkdir()
    told: list[str] = []
    with Household(folder, "".join(place.config for place in places)) as home:
        killed = await kill_processes(home, places, Random(seed), KILLS, host_monotonic() + 150.0, told.append)
    assert not killed.failure
    assert killed.evidence.broken == []
    assert killed.passed
    assert killed.total == KILLS
    assert killed.evidence.readings > KILLS
    # a run whose daemon died before its journal began waits at the head of its queue, and has no record yet
    assert set(killed.evidence.runs) == {"stopped"}
    assert 1 <= killed.evidence.runs["stopped"] <= killed.started
    assert told[-1].startswith(f"{KILLS} of {KILLS}")


def test_every_combination_dies_and_as_many_as_were_asked_for() -> None:
    together = list(deaths(Random(1), 200))
    assert sum(map(len, together)) == 200
    assert {frozenset(each) for each in together} == {
        frozenset(each) for each in [*((v,) for v in VICTIMS), VICTIMS, *_pairs()]
    }
    assert together == list(deaths(Random(1), 200))


def _pairs() -> list[tuple[str, str]]:
    return [(a, b) for a in VICTIMS for b in VICTIMS if a < b]


async def test_a_process_that_ends_by_itself_is_told_with_its_last_words(tmp_path: Path) -> None:
    with Household(tmp_path, "") as home:
        home.start("unlucky", "labctl", "--config", str(tmp_path / "nowhere.toml"), "daemon")
        with pytest.raises(NotInTime, match=r"(?s)unlucky said last: .*there is no such configuration"):
            await home.until(lambda: False, "nothing")


async def test_a_household_leaves_no_process_behind(tmp_path: Path) -> None:
    with Household(tmp_path, SMALL.partition("\n")[2]) as home:
        home.start_broker()
        await home.broker_was_there()
        home.start_recorder()
        await home.start_simulators("B1")
        pids = [process.pid for process in home.processes.values()]
        assert len(pids) == 3
        await until(lambda: home.database.exists(), "the database")
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_the_processes_know_nothing_of_the_users_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_DATA", "/precious")
    monkeypatch.setenv("LABCTL_CONFIG", "/precious.toml")
    asked = "import os; print([name for name in os.environ if name.startswith('LABCTL')])"
    done = subprocess.run([sys.executable, "-c", asked], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# -- the double --------------------------------------------------------------------------------------------------------


def test_a_laboratory_with_a_real_instrument_is_refused(tmp_path: Path) -> None:
    path = configured(tmp_path, REAL)
    with pytest.raises(RefusedForSafety, match="not every instrument is simulated at: B1"):
        doubles(load(path), path)


def test_a_laboratory_that_is_partly_simulated_is_refused_as_well(tmp_path: Path) -> None:
    mixed = SMALL + '[station.B1.thermostat]\ndriver = "julabo"\naddress = "/dev/ttyUSB0"\n'
    path = configured(tmp_path, mixed + 'minimum = "5 degC"\nmaximum = "80 degC"\n')
    with pytest.raises(RefusedForSafety, match="B1"):
        doubles(load(path), path)


def test_nothing_but_the_stations_is_taken_from_the_users_configuration(tmp_path: Path) -> None:
    before = '[lab]\nsite = "mine"\n[bus]\nbroker = "mqtt://mine"\n[storage]\ndata = "/precious"\n'
    path = configured(tmp_path, SMALL.replace("[station.B1.cycler]", before + "[station.B1.cycler]", 1))
    (place,) = doubles(load(path), path)
    for word in ("mine", "precious", "mqtt"):
        assert word not in place.config
    copy = configured(tmp_path, 'schema = "1"\n' + place.config)
    assert load(copy).stations == load(path).stations


def test_every_station_of_the_repository_can_do_its_protocol() -> None:
    config = repository_config()
    for place in doubles(config, CONFIG):
        bind(fill(parse("drill.toml", place.protocol, ProtocolError), {}), abilities(config, place.name))


# -- evidence ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, Witness]:
    """A whole run in a database, and a witness that has seen all of it in its journal."""
    run, witness = new_run(), Witness()
    records = list(experiment(run, seed=1))
    database = tmp_path / "lab.db"
    writer = Writer(database)
    writer.apply(batches(run, records, 50))
    writer.close()
    witness.had[run] = {number: encode(record) for number, record in enumerate(records, 1)}
    return database, witness


def test_a_whole_run_is_found_whole(recorded: tuple[Path, Witness]) -> None:
    evidence = examine(*recorded)
    assert evidence.broken == []
    assert evidence.whole
    assert evidence.runs == {"completed": 1}
    assert evidence.readings == sum(
        payload.startswith(b"[") for payload in next(iter(recorded[1].had.values())).values()
    )


_ROW = "(SELECT seq FROM readings ORDER BY seq LIMIT 1 OFFSET 40)"
_COLUMNS = ", ".join(COLUMNS)


@pytest.mark.parametrize(
    ("change", "lost", "doubled", "said"),
    [
        (f"DELETE FROM readings WHERE seq = {_ROW}", 1, 0, "not stored as it was journalled"),
        (f"UPDATE readings SET voltage_volt = 9 WHERE seq = {_ROW}", 1, 0, "not stored as it was journalled"),
        (f"UPDATE readings SET test_time_second = -1 WHERE seq = {_ROW}", 1, 0, "its time falls"),
        ("DELETE FROM events WHERE kind = 'step.ended'", 0, 0, "not stored as it was journalled"),
        (
            f"INSERT INTO readings SELECT run_id, channel, 9999, {_COLUMNS} FROM readings WHERE seq = {_ROW}",
            0,
            1,
            "too",
        ),
        ("UPDATE watermarks SET seq = seq + 3", 3, 0, "no gap says why"),
        ("UPDATE watermarks SET seq = seq - 3", 0, 0, "its watermark says"),
        ("UPDATE cycles SET discharging_capacity_ah = 1", 0, 0, "table of cycles"),
        ("UPDATE steps SET row_count = row_count + 1 WHERE step_count = 2", 0, 0, "table of steps"),
        ("UPDATE runs SET state = 'running'", 0, 0, "it has no end"),
        (
            "INSERT INTO quarantine (run_id, channel, seq, reason, record) VALUES (1, 0, 5, 'other content', '[]')",
            0,
            0,
            "put aside: other content",
        ),
    ],
)
def test_whatever_is_wrong_with_a_database_is_told(
    recorded: tuple[Path, Witness], change: str, lost: int, doubled: int, said: str
) -> None:
    database, witness = recorded
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute(change).rowcount > 0
        connection.commit()
    evidence = examine(database, witness)
    assert not evidence.whole
    assert (evidence.readings_lost, evidence.readings_doubled) == (lost, doubled)
    assert said in "\n".join(evidence.broken)


def test_a_run_that_is_not_in_the_database_is_lost(recorded: tuple[Path, Witness]) -> None:
    database, witness = recorded
    witness.had[new_run()] = {1: encode(started(new_run())), 2: encode(reading(0)), 3: encode(reading(1))}
    assert examine(database, witness).readings_lost == 2


def test_a_burnt_number_is_a_gap_and_no_loss(tmp_path: Path) -> None:
    run, database = new_run(), tmp_path / "lab.db"
    gap = Event("gap", 0.0, 1.0, "Record 3 was lost.", data={"first": 3, "last": 3})
    writer = Writer(database)
    writer.apply([*batches(run, [started(run), reading(0)], 50), *batches(run, [gap, ended(2.0)], 50, first=4)])
    writer.close()
    evidence = examine(database, Witness())
    assert (evidence.broken, evidence.gaps) == ([], 1)


def test_a_number_that_is_given_to_two_records_is_told(tmp_path: Path) -> None:
    run, witness = new_run(), Witness()
    for time in (1.0, 2.0):
        journal = Journal.create(tmp_path / str(time), run, "B1", simulated=True)
        journal.append(ended(time))
        journal.close()
        witness.look(tmp_path / str(time))
    assert witness.reused == [f"run {run}: number 1 was given to two records"]
