"""SIGKILL of broker, recorder and producer, as processes of their own, in mid-stream: no record is lost or doubled.

The moments are numbers of records, drawn from a seed that is printed. What counts is what the journal had.
"""

import subprocess
from pathlib import Path
from random import Random, SystemRandom
from typing import Self

import pytest

from tests.laboratory import MosquittoBroker
from tests.record.evidence import Witness, assert_whole, stored
from tests.record.processes import EmbeddedBroker, Mosquitto, first_line, kill, start

KILLS = 10
ROWS = 2000
PRODUCER = Path(__file__).with_name("producer.py")


class Lab:
    """The processes of a laboratory, in one folder; a context manager that leaves none behind."""

    def __init__(self, folder: Path, broker: EmbeddedBroker | Mosquitto) -> None:
        self.journals = folder / "journals"
        self.database = folder / "lab.db"
        self.broker = broker
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            kill(process)
        self.broker.kill()

    def recorder(self) -> subprocess.Popen[bytes]:
        process = start("-m", "labctl.record", "--database", str(self.database), "--bus", self.broker.bus)
        self._processes.append(process)
        first_line(process)
        return process

    def producer(self, rows: int) -> subprocess.Popen[bytes]:
        process = start(str(PRODUCER), str(self.journals), self.broker.bus, str(rows))
        self._processes.append(process)
        return process


def until(producer: subprocess.Popen[bytes], number: int) -> bool:
    """Wait until the producer has come so far; False where it is done before."""
    while (line := first_line(producer)) != b"done\n":
        if int(line) >= number:
            return True
    return False


@pytest.fixture
def random() -> Random:
    seed = SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    return Random(seed)


def moments(random: Random) -> list[int]:
    return sorted(random.sample(range(20, ROWS - 100), KILLS))


def assert_everything_is_stored(lab: Lab, rows: int) -> None:
    [records] = stored(lab.database).values()
    assert len(records) == rows + 2
    assert_whole(lab.database)
    assert list(lab.journals.iterdir()) == []


@pytest.mark.slow
def test_a_killed_recorder_loses_and_doubles_nothing(tmp_path: Path, random: Random) -> None:
    with Lab(tmp_path, EmbeddedBroker(tmp_path / "run")) as lab:
        recorder, producer = lab.recorder(), lab.producer(ROWS)
        for moment in moments(random):
            assert until(producer, moment)
            kill(recorder)
            recorder = lab.recorder()
        assert not until(producer, ROWS)
    assert_everything_is_stored(lab, ROWS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [EmbeddedBroker, Mosquitto])
def test_a_killed_broker_loses_and_doubles_nothing(
    tmp_path: Path, random: Random, kind: type[EmbeddedBroker | Mosquitto]
) -> None:
    if kind is Mosquitto and MosquittoBroker.executable is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    with Lab(tmp_path, kind(tmp_path / "run")) as lab:
        lab.recorder()
        producer = lab.producer(ROWS)
        for moment in moments(random):
            assert until(producer, moment)
            lab.broker.kill()
            lab.broker.start()
        assert not until(producer, ROWS)
    assert_everything_is_stored(lab, ROWS)


@pytest.mark.slow
def test_a_killed_producer_loses_and_doubles_nothing_that_its_journal_had(tmp_path: Path, random: Random) -> None:
    witness = Witness()
    with Lab(tmp_path, EmbeddedBroker(tmp_path / "run")) as lab:
        lab.recorder()
        for moment in moments(random):
            producer = lab.producer(ROWS)
            assert until(producer, 100 + moment % 300)  # by then the first records are on disk
            kill(producer)
            witness.look(lab.journals)
        producer = lab.producer(1)
        assert not until(producer, ROWS)
    assert len(witness.had) == KILLS
    assert_whole(lab.database, witness)
    assert list(lab.journals.iterdir()) == []
