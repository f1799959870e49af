"""The guard itself: watches over one daemon after the other, and acts where one dies or hangs."""

import asyncio
import logging
from pathlib import Path

from labctl.clock import host_monotonic, host_sleep, host_unix
from labctl.config import Config, load
from labctl.errors import LabctlError, RefusedForSafety, StorageError
from labctl.filelock import is_locked
from labctl.guard.fence import NotFenced, fence
from labctl.guard.safe import make_safe
from labctl.guard.watch import LOOK, Finding, Verdict, Watch
from labctl.lab.guarded import Outcome, Report, StationReport, read_report, write_report
from labctl.lab.heartbeat import Beat
from labctl.lab.locks import GUARDING, daemon_lock, guard_lock, hold

_log = logging.getLogger(__name__)

LEAST_PATIENCE = 1.0
"""Host seconds: a daemon beats every half second, and may be held up by a busy machine."""
ROUNDS = 3
"""Attempts at what does not answer, while a new daemon is kept waiting; afterwards the two try in turns."""
RETRY = 1.0
"""Host seconds between two attempts."""
NOT_TRIED = StationReport(outcome=Outcome.UNCONFIRMED, sentence="The guard has not reached it yet.")


class Guard:
    """Guards the daemon of one data folder; a second guard of it is refused.

    Args:
        patience: host seconds without a heartbeat after which a daemon that still exists is ended.

    Attributes:
        report: what this guard, or the one before it, did last and no daemon has taken up yet.

    Raises:
        RefusedForSafety: another guard watches here.
    """

    def __init__(self, config: Config, path: Path, patience: float) -> None:
        self._config = config
        self._path = path
        self._folder = config.storage.folder
        self._lock = hold(guard_lock(self._folder), "The guard of this laboratory")
        self._watch = Watch(self._folder, patience)
        self._known: tuple[str, int, int] | None = None
        """The daemon for which the configuration was read."""
        self._done_with: tuple[str, int, int] | None = None
        """The daemon whose stations a later one has."""
        self.report = self._left()

    async def serve(self, told_to_end: asyncio.Event, *, once: bool = False) -> None:
        """Watch until told to end, or `once` until it is known how the daemon is; what has begun is done to its end."""
        looked, last = host_monotonic(), Verdict.ALIVE
        try:
            while not told_to_end.is_set():
                now = host_monotonic()
                found = self._watch.look(now - looked)
                looked = now
                if found.verdict is not last:
                    _log.info("daemon: %s %s", found.verdict, found.why)
                last = found.verdict
                self._know(found.beat)
                if found.beat is not None and self._is_due(found):
                    await self._act(found, found.beat)
                    looked = host_monotonic()
                if once and found.verdict is not Verdict.UNSURE:
                    break
                await host_sleep(LOOK)
        finally:
            self._lock.release()

    def _left(self) -> Report | None:
        """Return what a guard before this one left undone or done."""
        try:
            return read_report(self._folder)
        except StorageError as error:
            _log.error("%s", error.sentence)
            return None

    def _know(self, beat: Beat | None) -> None:
        """Read the configuration again for a new daemon, which has just read it, too."""
        if beat is None or beat.process == self._known:
            return
        self._known = beat.process
        try:
            self._config = load(self._path)
        except LabctlError as error:
            _log.error("the configuration of before is used: %s", error.sentence)

    def _is_due(self, found: Finding) -> bool:
        assert found.beat is not None
        process, report = found.beat.process, self.report
        if found.verdict not in (Verdict.DEAD, Verdict.SILENT) or process == self._done_with:
            return False
        return report is None or report.process != process or not report.complete

    # -- acting ------------------------------------------------------------------------------------------------------

    async def _act(self, found: Finding, beat: Beat) -> None:
        """End the daemon and make its stations safe, or go on with what did not answer so far."""
        report = self.report
        if report is not None and report.process == beat.process:
            await self._try_again(report, beat)
            return
        noticed = host_unix()
        _log.error("%s The guard acts.", found.why)
        try:
            await asyncio.to_thread(fence, beat)
            lock = hold(daemon_lock(self._folder), "This laboratory")
        except NotFenced as error:
            _log.error("%s", error)
            await host_sleep(RETRY)
            return
        except RefusedForSafety:
            self._leave_to_daemon(beat)
            return
        try:
            lock.say(GUARDING)  # and no number of a process: `labctl safe` would send it a signal
            report = Report(
                process=beat.process,
                why=found.why,
                noticed_unix_second=noticed,
                ended_unix_second=host_unix(),
                stations=dict.fromkeys(beat.stations, NOT_TRIED),
            )
            for attempt in range(ROUNDS):
                if attempt:
                    await host_sleep(RETRY)
                report = await self._round(report, beat)
                if report.complete:
                    break
        finally:
            lock.release()

    async def _try_again(self, report: Report, beat: Beat) -> None:
        await host_sleep(RETRY)
        if is_locked(daemon_lock(self._folder)):
            self._leave_to_daemon(beat)
        else:
            await self._round(report, beat)

    def _leave_to_daemon(self, beat: Beat) -> None:
        _log.warning("a new daemon has the laboratory: it makes its stations safe itself")
        self._done_with = beat.process

    async def _round(self, report: Report, beat: Beat) -> Report:
        """Try every station that has not confirmed yet, all at once; tell and keep how they are now."""
        left = [name for name, station in report.stations.items() if station.outcome is Outcome.UNCONFIRMED]
        found = await asyncio.gather(*(make_safe(self._config, self._path, name, beat) for name in left))
        for name, station in zip(left, found, strict=True):
            if station.sentence != report.stations[name].sentence:
                unsafe = station.outcome is Outcome.UNCONFIRMED
                _log.log(logging.ERROR if unsafe else logging.INFO, "%s", station.sentence)
        self.report = report.model_copy(update={"stations": {**report.stations, **dict(zip(left, found, strict=True))}})
        try:
            write_report(self._folder, self.report)
        except StorageError as error:  # the disk may be what ended the daemon; the cells come first
            _log.error("%s", error.sentence)
        return self.report
