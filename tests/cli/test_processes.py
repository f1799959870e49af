"""`labctl` as processes: interrupted, killed in mid-run, on wires, and twice on one station."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.clock import host_monotonic, host_sleep_blocking
from tests.stations import CONFIG, HEAD

LONG = HEAD + '[[step]]\nrecord = { interval = "1 s" }\nrest = "30 d"\n'
QUICK = HEAD + '[[step]]\ncharge = "C/5"\nuntil = "3 min"\n'
PATIENCE = 60.0


class Lab:
    """A folder with a protocol and data, and processes of labctl in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "data" / "labctl.db"
        self.environment = {**os.environ, "LABCTL_DATA": str(folder / "data"), "LABCTL_CONFIG": str(CONFIG)}
        (folder / "long.toml").write_text(LONG)
        (folder / "quick.toml").write_text(QUICK)

    def use_one_cycler_at(self, address: str) -> None:
        """Configure one station that has a cycler and nothing else."""
        text = CONFIG.read_text()
        station = (
            text[text.index("[station.A3.cycler]") : text.index("# -- A4")]
            .replace("sim://", address)
            .replace("A3", "B1")
        )
        (self.folder / "config.toml").write_text('schema = "1"\n' + station)
        self.environment["LABCTL_CONFIG"] = str(self.folder / "config.toml")

    def start(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "labctl", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def rows(self) -> int:
        if not self.database.exists():
            return 0
        try:
            return int(self.ask("SELECT count(*) FROM readings")[0][0])
        except sqlite3.OperationalError:
            return 0  # not yet laid out

    def ask(self, query: str) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def wait_for_rows(self, count: int, process: subprocess.Popen[str]) -> None:
        deadline = host_monotonic() + PATIENCE
        while self.rows() < count:
            assert process.poll() is None, process.communicate()
            assert host_monotonic() < deadline, "no rows came"
            host_sleep_blocking(0.01)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_made_safe_and_recorded_as_stopped(lab: Lab, number: signal.Signals) -> None:
    process = lab.start("run", "long.toml", "--station", "A1", "--simulate")
    lab.wait_for_rows(100, process)
    process.send_signal(number)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Stopping: the circuit is opened and the pressure frozen" in err
    assert "Traceback" not in err
    assert lab.ask("SELECT state FROM runs") == [("stopped",)]
    assert lab.ask("SELECT verb FROM steps ORDER BY step_count DESC LIMIT 1") == [("end",)]
    assert lab.ask("SELECT count(*) FROM quarantine") == [(0,)]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_run_is_delivered_and_named_by_the_next_one(lab: Lab) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    moments = random.Random(seed)
    for kill in range(1, 11):
        process = lab.start("run", "long.toml", "--station", "A1", "--simulate")
        before = lab.rows()
        lab.wait_for_rows(before + moments.randrange(1, 1500), process)
        process.kill()
        process.communicate(timeout=PATIENCE)
        [journal] = (lab.folder / "data").glob("labctl.db.journal/*/0")
        assert lab.finish("run", "quick.toml", "--station", "A1", "--simulate").returncode == 0
        assert not journal.exists(), "delivered"
        states = lab.ask("SELECT state FROM runs ORDER BY id")
        assert [state for (state,) in states] == ["lost", "completed"] * kill
    for run_id, watermark in lab.ask("SELECT run_id, seq FROM watermarks"):
        numbers = lab.ask(
            f"SELECT seq FROM readings WHERE run_id = {run_id} UNION ALL SELECT seq FROM events WHERE run_id = {run_id}"
        )
        gaps = lab.ask(f"SELECT data ->> 'first', data ->> 'last' FROM events WHERE run_id = {run_id} AND kind = 'gap'")
        burnt = {n for first, last in gaps for n in range(int(str(first)), int(str(last)) + 1)}
        found = sorted(int(str(n)) for (n,) in numbers)
        assert sorted([*found, *burnt]) == list(range(1, int(str(watermark)) + 1))


def test_a_run_over_simulated_wires_in_another_process(lab: Lab) -> None:
    done = lab.finish("run", "quick.toml", "--station", "A1", "--speed", "max", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["simulated"] is True
    [(instruments,)] = lab.ask("SELECT instruments FROM runs")
    addresses = {name: i["address"] for name, i in json.loads(str(instruments)).items()}
    assert addresses["cycler"].startswith("TCPIP::127.0.0.1::")
    assert addresses["pressure_rig.negative"].startswith("/dev/pts/")
    assert all(i["simulated"] for i in json.loads(str(instruments)).values())


def test_a_station_served_by_labctl_sim_is_found_and_outlives_the_run(lab: Lab) -> None:
    server = lab.start("sim", "--station", "A1", "--json")
    try:
        assert server.stdout is not None
        served = json.loads(server.stdout.readline())
        for _ in range(2):
            done = lab.finish("run", "quick.toml", "--station", "A1", "--speed", "max")
            assert done.returncode == 0, done.stderr
        assert server.poll() is None
        for (instruments,) in lab.ask("SELECT instruments FROM runs"):
            found = {name: i["address"] for name, i in json.loads(str(instruments)).items()}
            assert found == served["instruments"]
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=PATIENCE)
    assert server.returncode == 0
    assert not list((lab.folder / "data" / "run").glob("sim-*.json"))


def test_a_simulator_that_is_killed_in_mid_run_ends_it_as_a_sentence(lab: Lab) -> None:
    server = lab.start("sim", "--station", "A1", "--json")
    assert server.stdout is not None
    server.stdout.readline()
    process = lab.start("run", "long.toml", "--station", "A1", "--speed", "max")
    lab.wait_for_rows(50, process)
    server.kill()
    server.communicate(timeout=PATIENCE)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode in (1, 4)
    assert "Traceback" not in err
    [(state,)] = lab.ask("SELECT state FROM runs")
    assert state in ("failed", "tripped")


def test_a_simulator_typed_in_as_an_address_still_marks_the_run(lab: Lab) -> None:
    server = lab.start("sim", "keithley-2450", "--json")
    try:
        assert server.stdout is not None
        lab.use_one_cycler_at(json.loads(server.stdout.readline())["address"])
        head = HEAD.replace("pressure.negative", "# pressure.negative")
        (lab.folder / "short.toml").write_text(head + '[[step]]\nrest = "2 s"\n')
        done = lab.finish("run", "short.toml", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["simulated"] is True
        assert lab.ask("SELECT simulated FROM runs") == [(1,)]
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=PATIENCE)


def test_the_operator_at_the_terminal_is_asked_until_the_answer_is_possible(lab: Lab) -> None:
    server = lab.start("sim", "keithley-2450", "--json")
    master, slave = os.openpty()
    try:
        assert server.stdout is not None
        lab.use_one_cycler_at(json.loads(server.stdout.readline())["address"])
        asks = '[[step]]\nprompt = "Is the glove box closed?"\nanswers = ["yes", "no"]\n[[step]]\nrest = "1 s"\n'
        (lab.folder / "asks.toml").write_text(HEAD.replace("pressure.negative", "# pressure.negative") + asks)
        process = lab.start("run", "asks.toml", stdin=slave)
        os.write(master, b"maybe\nyes\n")
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        assert err.count("Is the glove box closed?") == 2
        assert "(The cell is at open circuit meanwhile.)" in err
        assert '"maybe" is not possible here. Type one of: yes, no.' in err
        [(data,)] = lab.ask("SELECT data FROM events WHERE kind = 'operator.answered'")
        assert json.loads(str(data))["answer"] == "yes"
    finally:
        os.close(master)
        os.close(slave)
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=PATIENCE)


def test_a_prompt_is_answered_by_nobody_on_real_instruments(lab: Lab) -> None:
    """Served alone, instruments look real to a run: their operator has to be there."""
    text = CONFIG.read_text()
    for old, new in (('"sim://"', '"/dev/ttyS99"'), ('"/dev/ttyS99"', '"TCPIP::127.0.0.1::9::SOCKET"')):
        text = text.replace(old, new, 1) if new.startswith("TCPIP") else text.replace(old, new)
    (lab.folder / "config.toml").write_text(text)
    lab.environment["LABCTL_CONFIG"] = str(lab.folder / "config.toml")
    asks = '[[step]]\nprompt = "Does the press hold?"\nanswers = ["holds"]\nsimulated = "holds"\n'
    (lab.folder / "asks.toml").write_text(HEAD + asks)
    done = lab.finish("run", "asks.toml", "--station", "A1")
    assert done.returncode == 6
    assert "asks the operator, and standard input is no terminal" in done.stderr


def test_instruments_that_look_real_press_calibrated_or_with_consent(lab: Lab, tmp_path: Path) -> None:
    """Served to another data folder, nothing marks them as simulated."""
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Lab(tmp_path / "elsewhere")
    server = elsewhere.start("sim", "--station", "A1", "--json")
    try:
        assert server.stdout is not None
        station = CONFIG.read_text().partition("# -- A2")[0].partition("[station.A1.simulation")[0]
        for role, address in json.loads(server.stdout.readline())["instruments"].items():
            before, key, after = station.partition(f"[station.A1.{role}]")
            station = before + key + after.replace('"sim://"', json.dumps(address), 1)
        (lab.folder / "config.toml").write_text(station)
        lab.environment["LABCTL_CONFIG"] = str(lab.folder / "config.toml")
        press = '[[step]]\npressure = { negative = "2.5 MPa", ramp = "0.1 MPa/s" }\nuntil = "1 s"\n'
        (lab.folder / "press.toml").write_text(HEAD + press)
        refused = lab.finish("run", "press.toml", "--station", "A1")
        assert refused.returncode == 6
        assert "No torque calibration stands for the rig of the negative side" in refused.stderr
        assert '--consent "NAME: REASON"' in refused.stderr
        done = lab.finish("run", "press.toml", "--station", "A1", "--consent", "ana: the stack is scrap", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["simulated"] is False
        said = [json.loads(str(data)) for (data,) in lab.ask("SELECT data FROM events WHERE kind = 'run.consent'")]
        assert [data["consent"] for data in said] == ["ana: the stack is scrap"]
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=PATIENCE)


def test_what_no_recorder_confirms_waits_in_the_journal_and_is_said_to(lab: Lab) -> None:
    config = CONFIG.read_text().replace('data = ""', 'recorder = "separate"\ndata = ""')
    (lab.folder / "config.toml").write_text(config)
    lab.environment["LABCTL_CONFIG"] = str(lab.folder / "config.toml")
    done = lab.finish("run", "quick.toml", "--station", "A1", "--simulate", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["state"], result["delivered"], result["database"]) == ("completed", False, None)
    [journal] = (lab.folder / "data").glob("labctl.db.journal/*/0")
    lab.environment["LABCTL_CONFIG"] = str(CONFIG)
    assert lab.finish("run", "quick.toml", "--station", "A1", "--simulate").returncode == 0
    assert not journal.exists()
    assert lab.ask("SELECT state FROM runs") == [("completed",), ("completed",)]


def test_a_second_process_on_one_station_is_refused(lab: Lab) -> None:
    first = lab.start("run", "long.toml", "--station", "A1", "--speed", "max")
    lab.wait_for_rows(20, first)
    second = lab.finish("run", "quick.toml", "--station", "A1", "--speed", "max", "--db", "other.db")
    third = lab.finish("run", "quick.toml", "--station", "A2", "--simulate")
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=PATIENCE)
    assert second.returncode == 6
    assert "Station A1 is in use by another process" in second.stderr
    assert third.returncode == 6
    assert "labctl.db is in use by another process" in third.stderr
