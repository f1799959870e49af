"""A laboratory of separate processes, killed one after the other while a client and a dashboard watch.

The order and the moments come from a seed that is printed. What counts is what the journals had, and what was believed.
"""

import asyncio
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random, SystemRandom

import pytest

from labctl.drill.household import until
from labctl.record.queries import Queries
from tests.daemon.kills import (
    PRESSED,
    UNPRESSED,
    Eyes,
    Home,
    Screen,
    stations_of,
    watching,
)
from tests.laboratory import MosquittoBroker
from tests.record.evidence import Witness, assert_whole, longest_step
from tests.record.processes import Mosquitto

DARK = 3.0
"""Host seconds in which a death must have been said."""
KILLS = 10
VICTIMS = ("recorder", "broker", "dashboard", "daemon")
STATIONS = ("A1", "A3")
RECORD_INTERVAL = 2.0
"""Seconds between two rows of the protocols here."""
ROUNDING = 1e-6
INSTRUMENTS_TAKE = 4.0
"""Seconds of lab time between two rows that instruments may take to switch, and to be read back."""


@pytest.fixture
def random() -> Random:
    seed = SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    return Random(seed)


@asynccontextmanager
async def household(
    folder: Path, mosquitto: Mosquitto | None = None, stations: str | None = None
) -> AsyncIterator[Home]:
    home = Home(folder, stations or stations_of(*STATIONS), mosquitto)
    try:
        if mosquitto is None:
            home.start_broker()
            await home.broker_was_there()
        home.start_recorder()
        yield home
    except BaseException:
        for name in home.processes:
            print(f"--- {name}\n{home.said(name)[-3000:]}")
        for screen in home.screens:
            print(f"--- dashboard\n{screen.text}")
        raise
    finally:
        home.close()


def runs_at(eyes: Eyes, station: str) -> bool:
    return eyes.word(station) in ("charge", "discharge")


class Story:
    """What happens in a laboratory whose processes die, and what is seen of it."""

    def __init__(self, home: Home, eyes: Eyes, random: Random, speed: str) -> None:
        self.home = home
        self.eyes = eyes
        self.screen = Screen(home)
        self.witness = Witness()
        self.runs: list[str] = []
        self._random = random
        self._speed = speed

    async def begin_runs(self) -> None:
        for station, text in zip(STATIONS, (PRESSED, UNPRESSED), strict=True):
            started = await self.eyes.lab.start(self.home.protocol(station, text), station=station)
            self.runs.append(started.run)
        await until(lambda: all(runs_at(self.eyes, station) for station in STATIONS), "both runs")

    async def let_pass(self) -> None:
        """Let some lab time pass in both runs, so that records are on their way."""

        def time(station: str) -> float:
            state = self.eyes.lab.stations[station]
            assert state.run is not None, state.why
            return state.run.test_time_second

        marks = {station: time(station) + self._random.uniform(1.0, 40.0) for station in STATIONS}
        await until(lambda: all(time(station) > mark for station, mark in marks.items()), "lab time")

    async def kill(self, victim: str) -> None:
        """Kill a process, see that its death is said, start it again, and see that all is as before."""
        if victim == "dashboard":
            self.screen.kill()
            self.screen = Screen(self.home)
        elif victim == "broker":
            self.home.kill_broker()
            self.remember()
            await self.assert_nothing_is_live()
            await asyncio.to_thread(self.home.start_broker)
        elif victim == "daemon":
            self.home.kill("daemon")
            self.remember()
            await self.assert_nothing_is_live()
            self.home.start_daemon("--speed", self._speed)
            await self.find_runs_waiting()
        else:
            self.home.kill("recorder")
            self.remember()
            await until(lambda: not self.eyes.stored, "the recorder's death in the client", DARK)
            await until(lambda: "NOT STORED" in self.screen.text, f"it on the screen:\n{self.screen.text}", DARK)
            self.home.start_recorder()
        await until(lambda: self.eyes.stored, f"light after the {victim}")
        await until(self.screen_is_live, f"the dashboard after the {victim}")

    def remember(self) -> None:
        """Note what the journals have now."""
        self.witness.look(self.home.journals)

    async def assert_nothing_is_live(self) -> None:
        await until(lambda: bool(self.eyes.sight.trouble), "darkness in the client", DARK)
        assert {self.eyes.word(station) for station in STATIONS} == {"lost"}
        await until(lambda: "NOTHING HERE IS LIVE" in self.screen.text, "darkness on the screen", DARK)
        assert self.screen.bright_numbers(*STATIONS) == "", self.screen.text

    async def find_runs_waiting(self) -> None:
        """See that each run waits at open circuit until somebody says that it is to go on, and say so."""
        for station, run in zip(STATIONS, self.runs, strict=True):
            await until(lambda station=station: self.eyes.word(station) == "paused", f"the run of {station} to wait")
            state = self.eyes.lab.stations[station]
            assert state.run is not None
            assert state.run.run == run
            await self.eyes.lab.resume(station, "somebody pulled the plug")
        await until(lambda: all(runs_at(self.eyes, station) for station in STATIONS), "both runs going on")

    def screen_is_live(self) -> bool:
        text = self.screen.text
        return "stored ✓" in text and len(self.screen.rows(*STATIONS)) == 2 and bool(self.screen.bright_numbers("A1"))

    async def end(self) -> None:
        for station in STATIONS:
            await self.eyes.lab.stop(station, "the test is over")
        await until(lambda: all(s.run is None for s in self.eyes.lab.stations.values()), "the end of the runs")
        self.remember()
        self.screen.kill()
        await self.home.end("daemon")
        await self.home.end("recorder")


async def tell(home: Home, random: Random, speed: str, order: list[str]) -> None:
    print(f"order {', '.join(order)}")
    for station in STATIONS:
        await home.start_simulators(station)
    home.start_daemon("--speed", speed)
    async with watching(home) as eyes:
        story = Story(home, eyes, random, speed)
        await story.begin_runs()
        await until(story.screen_is_live, "the dashboard")
        for victim in order:
            await story.let_pass()
            await story.kill(victim)
        await story.end()
        assert eyes.oldest < DARK
    assert_whole(home.database, story.witness)
    assert list(home.journals.iterdir()) == []
    with Queries(home.database) as queries:
        ends = {run.uuid: run.state for run in queries.runs()}
    assert ends == dict.fromkeys(story.runs, "stopped")


async def test_any_process_may_be_killed_while_somebody_watches(tmp_path: Path, random: Random) -> None:
    order = [*VICTIMS, *VICTIMS, *random.choices(VICTIMS[:2], k=KILLS - 2 * len(VICTIMS))]
    random.shuffle(order)
    async with household(tmp_path) as home:
        await tell(home, random, "60", order)


@pytest.mark.slow
@pytest.mark.skipif(MosquittoBroker.executable is None, reason="mosquitto is not installed (apt-get install mosquitto)")
async def test_the_same_over_mosquitto_as_fast_as_it_goes(tmp_path: Path, random: Random) -> None:
    async with household(tmp_path, Mosquitto(tmp_path / "broker")) as home:
        await tell(home, random, "max", random.choices(VICTIMS, k=KILLS))


# -- one station unplugged ---------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wired(ports: dict[str, int]) -> str:
    """Return stations of one cycler each, at addresses that are as good as an instrument's."""
    return "".join(
        f'[station.{name}.cycler]\ndriver = "keithley-2450"\naddress = "TCPIP::127.0.0.1::{port}::SOCKET"\n'
        f'poll = "0.2 s"\nfour_wire = true\n[station.{name}.limits]\nvoltage = ["0 V", "5 V"]\ncurrent = "20 mA"\n'
        for name, port in ports.items()
    )


@pytest.mark.slow
async def test_an_unplugged_instrument_ends_its_own_run_and_no_other(tmp_path: Path) -> None:
    """In real time: two cyclers at fixed addresses, of which one dies and comes back."""
    ports = {"B1": free_port(), "B2": free_port()}
    often = UNPRESSED.replace('interval = "2 s"', 'interval = "0.5 s"')
    async with household(tmp_path, stations=wired(ports)) as home:

        def plug(name: str) -> None:
            where = f"tcp://127.0.0.1:{ports[name]}"
            home.start(name, "labctl", "--config", str(home.config), "sim", "keithley-2450", "--listen", where)

        for name in ports:
            plug(name)
            await until(lambda name=name: "TCPIP" in home.said(name), f"the cycler of {name}")
        home.start_daemon()
        protocol = home.protocol("often", often)
        async with watching(home) as eyes:
            runs = {name: (await eyes.lab.start(protocol, station=name)).run for name in ports}
            waiting = await eyes.lab.start(protocol, station="B1")
            await until(lambda: all(runs_at(eyes, name) for name in ports), "both runs")
            home.kill("B1")
            await until(lambda: eyes.word("B1") in ("lost", "alarm"), "the loss of B1")
            await until(lambda: eyes.lab.stations["B1"].run is None, "the end of its run")
            alarms = eyes.lab.stations["B1"].alarms
            assert any(alarm.latched for alarm in alarms), alarms
            assert any("B1/cycler" in alarm.sentence for alarm in alarms), alarms
            assert runs_at(eyes, "B2")
            plug("B1")
            await until(lambda: not eyes.lab.stations["B1"].instruments["cycler"].trouble, "B1 back")
            assert eyes.word("B1") == "alarm", "still to be acknowledged"
            await eyes.lab.acknowledge("B1", reason="the plug is in again")
            await until(lambda: eyes.word("B1") == "ready", "B1 waiting for a person")
            state = eyes.lab.stations["B1"]
            assert state.run is None
            assert [queued.run for queued in state.queue] == [waiting.run]
            assert runs_at(eyes, "B2")
            await eyes.lab.stop("B2", "the test is over")
            await until(lambda: eyes.lab.stations["B2"].run is None, "the end of B2's run")
        await home.end("daemon")
        await home.end("recorder")
    assert_whole(home.database)
    with Queries(home.database) as queries:
        assert {run.uuid: run.state for run in queries.runs()} == {runs["B1"]: "tripped", runs["B2"]: "stopped"}
    assert longest_step(home.database, runs["B2"]) < 1.0, "the other run has a gap"


async def test_simulators_that_die_end_their_run_by_name_and_nothing_starts_by_itself(tmp_path: Path) -> None:
    async with household(tmp_path) as home:
        for station in STATIONS:
            await home.start_simulators(station)
        home.start_daemon("--speed", "60")
        protocol = home.protocol("cycling", UNPRESSED)
        async with watching(home) as eyes:
            runs = {name: (await eyes.lab.start(protocol, station=name)).run for name in STATIONS}
            waiting = await eyes.lab.start(protocol, station="A3")
            await until(lambda: all(runs_at(eyes, name) for name in STATIONS), "both runs")
            home.kill("sim A3")
            await until(lambda: eyes.word("A3") == "lost", "the loss of A3")
            await home.start_simulators("A3")
            await until(lambda: eyes.word("A3") == "alarm", "A3 back, still to be acknowledged")
            assert any("broke off" in alarm.sentence for alarm in eyes.lab.stations["A3"].alarms)
            await eyes.lab.acknowledge("A3", reason="they were started again")
            await until(lambda: eyes.word("A3") == "ready", "A3 waiting for a person")
            assert [queued.run for queued in eyes.lab.stations["A3"].queue] == [waiting.run]
            assert runs_at(eyes, "A1")
        await home.end("daemon")
        await home.end("recorder")
    assert_whole(home.database)
    with Queries(home.database) as queries:
        assert {run.uuid: run.state for run in queries.runs()} == {runs["A3"]: "failed", runs["A1"]: "stopped"}
    assert longest_step(home.database, runs["A1"]) <= RECORD_INTERVAL + ROUNDING
    assert list(home.journals.iterdir()) == []


# -- a slow database ---------------------------------------------------------------------------------------------------


async def test_a_locked_database_stops_virtual_time_and_loses_no_row(tmp_path: Path) -> None:
    protocol = UNPRESSED.replace('interval = "2 s"', 'interval = "1 s"')
    async with household(tmp_path) as home:
        home.start_daemon("--simulate", "--speed", "max")
        async with watching(home) as eyes:
            path = home.protocol("fast", protocol)
            runs = [(await eyes.lab.start(path, station=name)).run for name in STATIONS]
            await until(lambda: all(runs_at(eyes, name) for name in STATIONS), "both runs")
            lock = sqlite3.connect(home.database, isolation_level=None, timeout=20.0)
            lock.execute("BEGIN IMMEDIATE")
            await until(lambda: eyes.lab.daemon is not None and eyes.lab.daemon.recorder != "", "trouble to be said")
            before = await standing_still(eyes)
            lock.execute("ROLLBACK")
            lock.close()
            await until(lambda: eyes.stored, "records being stored again")
            await until(lambda: all(lab_time(eyes, name) > before[name] for name in STATIONS), "time to pass again")
            for name in STATIONS:
                await eyes.lab.stop(name, "the test is over")
            await until(lambda: all(s.run is None for s in eyes.lab.stations.values()), "the end of the runs")
        await home.end("daemon")
        await home.end("recorder")
    assert_whole(home.database)
    for run in runs:
        # a row each second; between two steps, and on the way into the safe state, the instruments take their time.
        # While the database was locked, time at full speed would have run for thousands.
        assert longest_step(home.database, run) <= 1.0 + INSTRUMENTS_TAKE + ROUNDING


def lab_time(eyes: Eyes, station: str) -> float:
    return eyes.lab.stations[station].lab_unix_second


async def standing_still(eyes: Eyes) -> dict[str, float]:
    """Wait until three states in a row of both stations say the same lab time; return it."""
    said: dict[str, list[tuple[float, float]]] = {name: [] for name in STATIONS}

    def still() -> bool:
        for name, states in said.items():
            state = eyes.lab.stations[name]
            if not states or states[-1][0] != state.said_unix_second:
                states.append((state.said_unix_second, state.lab_unix_second))
        return all(len(s) >= 3 and s[-3][1] == s[-1][1] for s in said.values())

    await until(still, f"lab time to stand still: {said}")
    return {name: states[-1][1] for name, states in said.items()}
