"""The alarms of a laboratory: raised by stations, acknowledged by people, kept across restarts."""

import logging
import uuid
from collections.abc import Callable
from pathlib import Path

from pydantic import TypeAdapter

from labctl.api import Alarm, AlertChange
from labctl.clock import host_unix
from labctl.errors import RefusedForSafety, StorageError
from labctl.lab.store import load, save
from labctl.reading import Severity

_log = logging.getLogger(__name__)

_ALARMS = TypeAdapter(tuple[Alarm, ...])


class AlarmBook:
    """Alarms in the order in which they were raised.

    An alarm goes when its cause has gone *and* somebody has acknowledged it. A latched one has no cause that could go
    by itself: it waits for its acknowledgement alone, and until then its station starts nothing.

    Args:
        file: where they are kept.
        tell: told what happens to an alarm; returns at once.
    """

    def __init__(self, file: Path, tell: Callable[[AlertChange, Alarm], None] = lambda _change, _alarm: None) -> None:
        self._file = file
        self._tell = tell
        self._alarms = {alarm.id: alarm for alarm in load(file, _ALARMS, ())}

    def of(self, station: str) -> tuple[Alarm, ...]:
        """Return the alarms of a station."""
        return tuple(alarm for alarm in self._alarms.values() if alarm.station == station)

    def latched(self, station: str) -> Alarm | None:
        """Return the first alarm that keeps a station from starting anything."""
        return next((alarm for alarm in self.of(station) if alarm.latched), None)

    def sound(
        self, station: str, quantity: str, sentence: str, severity: Severity, action: str, *, latched: bool
    ) -> None:
        """Raise an alarm; one of the same quantity that still stands is kept as it was raised first.

        One whose cause had gone, and which nobody has acknowledged, stands again: a loose plug fills no book.
        """
        same = [alarm for alarm in self.of(station) if alarm.quantity == quantity and alarm.latched == latched]
        if any(alarm.active for alarm in same):
            return
        if same:
            again = same[-1].model_copy(update={"sentence": sentence, "severity": severity, "active": True})
            self._replace(again)
            self._tell("raised", again)
            return
        alarm = Alarm(
            id=uuid.uuid4().hex[:8],
            since_unix_second=host_unix(),
            station=station,
            quantity=quantity,
            sentence=sentence,
            severity=severity,
            latched=latched,
            active=True,
            action=action,
        )
        self._alarms[alarm.id] = alarm
        self._save()
        self._tell("raised", alarm)

    def clear(self, station: str, quantity: str) -> None:
        """Note that the cause of an alarm has gone."""
        for alarm in self._standing(station):
            if alarm.quantity == quantity and not alarm.latched:
                over = alarm.model_copy(update={"active": False})
                self._replace(over)
                self._tell("cleared", over)

    def acknowledge(self, station: str, ids: tuple[str, ...], user: str, reason: str) -> list[Alarm]:
        """Acknowledge alarms of a station, all of them where none is named; return them.

        Raises:
            RefusedForSafety: there is no such alarm, or no reason.
        """
        if not reason.strip():
            raise RefusedForSafety(
                "An alarm is acknowledged with a reason.", "Say what was found: it is stored with your name."
            )
        known = {alarm.id: alarm for alarm in self.of(station)}
        unknown = [name for name in ids if name not in known]
        if unknown or not known:
            what = f"no alarm {', '.join(unknown)}" if unknown else "no alarm"
            raise RefusedForSafety(f"Station {station} has {what}.", "See `labctl status`.")
        chosen = [alarm for name, alarm in known.items() if not ids or name in ids]
        for alarm in chosen:
            seen = alarm.model_copy(update={"acknowledged_by": user, "acknowledged_reason": reason})
            self._replace(seen)
            self._tell("acknowledged", seen)
        return chosen

    def _standing(self, station: str) -> list[Alarm]:
        return [alarm for alarm in self.of(station) if alarm.active]

    def _replace(self, alarm: Alarm) -> None:
        self._alarms[alarm.id] = alarm
        if alarm.acknowledged_by is not None and (alarm.latched or not alarm.active):
            del self._alarms[alarm.id]
        self._save()

    def _save(self) -> None:
        """Keep them on disk; one that the disk does not take still stands here, and hinders no safe state."""
        try:
            save(self._file, _ALARMS, tuple(self._alarms.values()))
        except StorageError as error:
            _log.error("%s", error.sentence)
