"""Records as an engine would make them, and brokers of both kinds, for tests of journal, bus and record."""

import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from random import Random

import orjson

from labctl.bus.address import Address
from labctl.bus.broker import Broker
from labctl.bus.codec import Batch
from labctl.clock import host_sleep_blocking
from labctl.reading import CELL_COLUMNS, COLUMNS, Event, Reading, Record, RunHeader

EPOCH = 1_767_225_600.0


def new_run() -> str:
    return str(uuid.uuid4())


def header(run: str, *, simulated: bool = True) -> RunHeader:
    return RunHeader(
        run=run,
        station="A1",
        protocol_name="doerrer-2021",
        protocol_title="Asymmetric stack pressure",
        protocol_text="[protocol]\n",
        protocol_hash="sha256:00",
        cell_name="cell",
        cell={"active_mass": 1.1e-5},
        operator="a person",
        instruments={"cycler": {"driver": "keithley-2450", "simulated": simulated}},
        config={},
        inputs={"rate": "C/10"},
        software_version="0.1.0",
        simulated=simulated,
        seed=7 if simulated else None,
        started_unix_second=EPOCH,
    )


def started(run: str, *, simulated: bool = True) -> Event:
    return Event("run.started", EPOCH, 0.0, "The run starts.", data=asdict(header(run, simulated=simulated)))


def ended(time: float, state: str = "completed") -> Event:
    return Event("run.ended", EPOCH + time, time, "The run ends.", data={"state": state, "reason": "as planned"})


def reading(number: int, cycle: int = 1, step: int = 1, step_id: int = 1) -> Reading:
    values = {
        "unix_time_second": EPOCH + number,
        "test_time_second": float(number),
        "step_time_second": float(number),
        "cycle_count": cycle,
        "step_count": step,
        "step_id": step_id,
        "voltage_volt": 3.0 + (number * 37 % 101) / 100,
        "current_ampere": 1e-4 if step % 2 else -1e-4,
        "charging_capacity_ah": number * 1.1e-7,
        "discharging_capacity_ah": number * 0.97e-7,
        "charging_energy_wh": number * 4.1e-7,
        "discharging_energy_wh": number * 3.3e-7,
        "positive_pressure_pa": 200_000.5 + number / 3,
        "positive_pressure_pa_min": 199_999.0,
        "positive_pressure_pa_max": 200_001.25,
    }
    assert set(CELL_COLUMNS) <= set(values)
    return Reading(tuple(values.get(name) for name in COLUMNS))


def experiment(run: str, seed: int, steps: int = 12, rows: int = 40) -> Iterator[Record]:
    """A run of random steps, two a cycle; every step begins with a row at the instant the one before ended.

    Before the first cycle the circuit is open and its voltage hidden, as while an operator is asked something.
    """
    random = Random(seed)
    yield started(run)
    number = 0
    yield Event("step.started", EPOCH, 0.0, "Asks.", data=_step(1, 9, "ask", 0))
    hidden = dict(zip(COLUMNS, reading(0, 0, 1, 9).values, strict=True))
    yield Reading(tuple({**hidden, "voltage_volt": None}.values()))
    for step in range(2, steps + 2):
        cycle, step_id = step // 2, 1 + step % 2
        data = _step(step, step_id, "charge", cycle)
        yield Event("step.started", EPOCH + number, float(number), "Begins.", data=data)
        for _ in range(random.randint(1, rows)):
            yield reading(number, cycle, step, step_id)
            number += 1
        number -= 1
        yield Event("step.ended", EPOCH + number, float(number), "Ends.", data={"step_count": step, "reason": "4.3 V"})
    yield ended(float(number))


def _step(count: int, step_id: int, verb: str, cycle: int) -> dict[str, object]:
    return {"step_count": count, "step_id": step_id, "name": f"step {step_id}", "verb": verb, "cycle_count": cycle}


def batches(run: str, records: list[Record], size: int, first: int = 1, channel: int = 0) -> list[Batch]:
    """Records as the batches of one kind that an outbox makes, decoded from JSON as a recorder would."""
    made: list[Batch] = []
    for seq, record in enumerate(records, first):
        is_reading = isinstance(record, Reading)
        if not made or bool(made[-1].readings) != is_reading or made[-1].last - made[-1].first + 1 >= size:
            made.append(Batch(run, channel, seq, [], []))
        if isinstance(record, Reading):
            made[-1].readings.append(orjson.loads(orjson.dumps(record.values)))
        else:
            made[-1].events.append(record)
    return made


class IotcoreBroker:
    """The embedded broker, which can be killed and started again at its address."""

    def __init__(self, folder: Path) -> None:
        self._broker = Broker(folder)
        self.address = self._broker.start()

    def start(self) -> None:
        self._broker.start()

    def kill(self) -> None:
        assert self._broker._broker is not None
        process = self._broker._broker._process
        assert process is not None
        process.kill()
        process.wait()

    def stop(self) -> None:
        self._broker.stop()


class MosquittoBroker:
    """Debian's mosquitto, with a password, without persistence."""

    executable = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")

    def __init__(self, folder: Path) -> None:
        assert self.executable is not None
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = Address("127.0.0.1", port, "labctl", "secret")
        passwords = folder / "passwords"
        subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "labctl", "secret"], check=True, capture_output=True)
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nuser root\n"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        assert self.executable is not None
        self._process = subprocess.Popen(
            [self.executable, "-c", str(self._configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(250):
            with socket.socket() as probe:
                if probe.connect_ex((self.address.host, self.address.port)) == 0:
                    return
            host_sleep_blocking(0.02)
        raise AssertionError("mosquitto did not start")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    stop = kill
