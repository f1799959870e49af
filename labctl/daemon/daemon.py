"""The daemon: the keepers of all stations, the bus, the way to the database, and the word to everybody about them."""

import asyncio
import logging
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from math import inf
from pathlib import Path

from labctl import __version__
from labctl.alerts.alerts import Alerts, channels
from labctl.api import LabState
from labctl.bus.base import Bus
from labctl.bus.topics import Process, Station
from labctl.cells.shelf import FOLDER
from labctl.clock import host_monotonic, host_sleep, host_unix
from labctl.config import Config
from labctl.daemon.alarms import AlarmBook
from labctl.daemon.commands import Desk, make_all_safe
from labctl.daemon.heartbeat import Heartbeat
from labctl.daemon.keeper import Keeper
from labctl.daemon.notify import Notifier, Watchdog
from labctl.daemon.report import SafeReport, report_file, write_report
from labctl.daemon.state import station_state
from labctl.daemon.turn import Laboratory
from labctl.errors import NotNow, StorageError
from labctl.filelock import FileLock
from labctl.lab import heartbeat
from labctl.lab.guarded import forget_report, read_report
from labctl.lab.laboratory import Pace
from labctl.lab.locks import daemon_lock, hold
from labctl.lab.pool import Pool
from labctl.lab.recording import journals_of, open_bus, process_of
from labctl.record.datapath import DataPath, Delivery, open_data_path
from labctl.record.health import BYTES_PER_ROW
from labctl.record.queries import Queries

_log = logging.getLogger(__name__)

STATE_PERIOD = 0.5
"""Host seconds between two looks at what there is to say of a station."""
LAB_PERIOD = 1.0
END_PATIENCE = 60.0
"""Seconds that the runs have for their named end when the daemon is told to go."""


class Daemon:
    """All stations of a configuration in one process.

    Args:
        pace: how lab time passes at simulated stations.
        ready: called when every keeper has begun and commands are taken.
    """

    def __init__(self, config: Config, config_path: Path, pace: Pace, ready: Callable[[str], None]) -> None:
        self._config = config
        self._config_path = config_path
        self._pace = pace
        self._ready = ready
        self._folder = config.storage.folder
        self._started = host_unix()
        self._began = host_monotonic()
        self._keepers: dict[str, Keeper] = {}
        self._notifier = Notifier.of()
        self._watchdog = Watchdog.of(self._notifier)

    async def serve(self) -> None:
        """Run until told to end by SIGINT or SIGTERM; then every run ends by name and every station is made safe.

        Raises:
            RefusedForSafety: another daemon owns this laboratory.
            StorageError: records cannot be kept.
        """
        async with AsyncExitStack() as stack:
            stack.callback(self._hold().release)
            process = process_of(self._config)
            folder = self._folder / "run" / "broker"
            bus, where = await stack.enter_async_context(open_bus(self._config, process, folder))
            database = self._config.storage.database
            target = database if self._config.storage.recorder == "inside" else None
            name = f"recorder-{process.name}"
            path = await stack.enter_async_context(
                open_data_path(bus, process, journals_of(database), target, name, patient=True)
            )
            told_to_end = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                _on_signal(number, told_to_end.set)
            _on_signal(signal.SIGUSR1, lambda: _keep(asyncio.create_task(self._safe_by_signal(), name="safe")))
            await self.serve_on(bus, where, path, told_to_end)

    async def serve_on(self, bus: Bus, where: str, path: DataPath, told_to_end: asyncio.Event) -> None:
        """The same on a bus and a way to the database that somebody else serves, until told to end."""
        config, process = self._config, process_of(self._config)
        pool = Pool(config, self._config_path, self._pace.seed)
        alerts = Alerts(config.alerts, bus, process, channels(config.alerts, self._config_path.parent))
        alarms = AlarmBook(self._folder / "alarms.json", alerts.tell)
        before = heartbeat.read(self._folder)
        laboratory = Laboratory(
            config, self._config_path, self._pace, process, self._folder, path, alarms, pool, before
        )
        self._keepers = {station: Keeper(laboratory, station) for station in config.stations}
        self._take_up_guarded()
        left = self._inherit(path)
        desk = Desk(
            bus, process, self._keepers, config.storage.database, self._config_path.parent / FOLDER, self._began
        )
        heart = Heartbeat(self._folder, self._keepers.values(), simulate=self._pace.in_memory)
        async with heart.beating(), asyncio.TaskGroup() as group:
            works: list[asyncio.Task[None] | asyncio.Task[bool]] = [
                group.create_task(keeper.serve(), name=f"keeper {station}") for station, keeper in self._keepers.items()
            ]
            works += [
                group.create_task(self._announce(bus, Station(process, station), keeper), name=f"state {station}")
                for station, keeper in self._keepers.items()
            ]
            works.append(group.create_task(self._announce_lab(bus, process, path, alerts), name="state"))
            works.append(group.create_task(alerts.serve(), name="alerts"))
            works.append(group.create_task(self._watchdog.serve(), name="watchdog"))
            works += [group.create_task(each.close(inf), name=f"closing {each.run}") for each in left]
            await desk.open()
            self._ready(where)
            self._notifier.ready(f"{len(self._keepers)} stations")
            try:
                await told_to_end.wait()
            finally:
                self._notifier.stopping("making every station safe")
                desk.close()
                await self._end_runs()
                for work in works:
                    work.cancel()

    def _inherit(self, path: DataPath) -> list[Delivery]:
        """Return what a dead process left to be delivered; runs whose program is in an instrument are gone on with."""
        left, interrupted = path.take_over()
        by_run = {each.journal.run: each for each in interrupted}
        for keeper in self._keepers.values():
            under_way = keeper.queue.current
            found = None if under_way is None else by_run.get(under_way.run)
            begun = under_way is not None and self._has_begun(under_way.run, path)
            if keeper.inherit(found, begun=begun) and found is not None:
                del by_run[found.journal.run]
        left += [path.lose(each) for each in by_run.values()]
        for delivery in left:
            _log.warning("what run %s left is being delivered", delivery.run)
        return left

    def _has_begun(self, run: str, path: DataPath) -> bool:
        """Whether a journal or the database knows a run; where nobody can say, yes."""
        if path.holds(run):
            return True
        try:
            with Queries(self._config.storage.database) as queries:
                return queries.has(run)
        except StorageError:
            return True

    def _take_up_guarded(self) -> None:
        """Raise an alarm where a guard had to act for the daemon before this one."""
        report = read_report(self._folder)
        if report is None:
            return
        for name, station in report.stations.items():
            if name in self._keepers:
                self._keepers[name].take_up_guarded(report, station)
        forget_report(self._folder)

    async def _end_runs(self) -> None:
        running = [keeper.turn.run for keeper in self._keepers.values() if keeper.turn is not None]
        for run in running:
            with suppress(NotNow):  # it is ending already
                run.stop("daemon", "the daemon was told to end")
        deadline = host_monotonic() + END_PATIENCE
        while any(run.outcome is None for run in running) and host_monotonic() < deadline:
            await host_sleep(0.02)

    # -- safe without a bus ------------------------------------------------------------------------------------------

    async def _safe_by_signal(self) -> None:
        """Make everything safe because of SIGUSR1, the way in that needs no bus; leave a report for who sent it."""
        file = report_file(self._folder)
        file.unlink(missing_ok=True)
        unconfirmed = await make_all_safe(self._keepers.values(), "signal", "labctl safe")
        write_report(file, SafeReport(stations=unconfirmed))

    # -- telling -----------------------------------------------------------------------------------------------------

    async def _announce(self, bus: Bus, station: Station, keeper: Keeper) -> None:
        while True:
            keeper.notice_instruments()
            if keeper.progressed():
                self._watchdog.mark(keeper.station)
            keeper.changed.clear()
            await bus.retain(station.state, station_state(keeper).model_dump_json(by_alias=True).encode())
            with suppress(TimeoutError):
                async with asyncio.timeout(STATE_PERIOD):
                    await keeper.changed.wait()

    async def _announce_lab(self, bus: Bus, process: Process, path: DataPath, alerts: Alerts) -> None:
        self._watchdog.register(*self._keepers)
        if self._config.storage.recorder == "inside":  # one elsewhere has a service of its own
            self._watchdog.register("recorder")
        rows, since, committed = 0, host_monotonic(), -1
        while True:
            total, now = sum(keeper.rows for keeper in self._keepers.values()), host_monotonic()
            rate = (total - rows) / max(now - since, 1e-3)
            rows, since = total, now
            if path.committed != committed or not path.backlog:
                self._watchdog.mark("recorder")
            committed = path.committed
            state = self._state(process, path, rate, alerts.trouble)
            self._notifier.status(_status(self._keepers, path))
            await bus.retain(process.state, state.model_dump_json(by_alias=True).encode())
            await host_sleep(LAB_PERIOD)

    def _state(self, process: Process, path: DataPath, rate: float, alerts: str) -> LabState:
        free = shutil.disk_usage(self._folder).free
        return LabState(
            site=process.site,
            host=process.name,
            version=__version__,
            pid=os.getpid(),
            stations=tuple(self._keepers),
            started_unix_second=self._started,
            said_unix_second=host_unix(),
            recorder=path.trouble,
            backlog=path.backlog,
            rows_per_second=rate,
            disk_free_byte=free,
            disk_days=free / (rate * BYTES_PER_ROW * 86400.0) if rate > 0.0 else None,
            estop=any(keeper.queue.stopped for keeper in self._keepers.values()),
            alerts=alerts,
        )

    def _hold(self) -> FileLock:
        lock = hold(daemon_lock(self._folder), "This laboratory")
        lock.say(str(os.getpid()))
        return lock


def _status(keepers: dict[str, Keeper], path: DataPath) -> str:
    running = sum(keeper.turn is not None for keeper in keepers.values())
    lost = sum(keeper.bench is None for keeper in keepers.values())
    return f"{running} of {len(keepers)} stations run, {lost} lost, {path.backlog} records wait for the database"


def _on_signal(number: signal.Signals, act: Callable[[], object]) -> None:
    asyncio.get_running_loop().add_signal_handler(number, act)


_kept: set[asyncio.Task[None]] = set()


def _keep(task: asyncio.Task[None]) -> None:
    """Hold on to a task that nobody awaits, or it may be collected before it has run."""
    _kept.add(task)
    task.add_done_callback(_kept.discard)
