"""The queue of a station: runs that wait for their turn and the one that has it, kept across restarts."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter

from labctl.api import Message, Queued, Start
from labctl.errors import RefusedForSafety
from labctl.lab.store import load, save


class Entry(Message):
    """A run that was asked for.

    Attributes:
        run: UUID that it will have.
        cell: its cell's name, as the plan says it.
        protocol: its protocol's name.
    """

    run: str
    user: str
    protocol: str
    cell: str
    queued_unix_second: float
    start: Start

    def shown(self) -> Queued:
        """Return what clients are told."""
        return Queued(
            run=self.run,
            protocol=self.protocol,
            cell=self.cell,
            operator=self.user,
            queued_unix_second=self.queued_unix_second,
        )


MOST_WAITING = 1000
"""All of them are told in one message."""


class _Kept(Message):
    """What the file says."""

    stopped: bool = False
    current: Entry | None = None
    waiting: tuple[Entry, ...] = ()


_KEPT: TypeAdapter[_Kept] = TypeAdapter(_Kept)


class Queue:
    """Entries in the order in which they were asked for.

    Attributes:
        stopped: whether the station was stopped in an emergency and nobody has reset it.
        current: the entry whose turn it is; after a start the one that was under way when the process before died.

    Args:
        file: where they are kept.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        kept = load(file, _KEPT, _Kept())
        self.stopped = kept.stopped
        self.current = kept.current
        self._entries = list(kept.waiting)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def first(self) -> Entry | None:
        """The entry whose turn is next."""
        return self._entries[0] if self._entries else None

    def shown(self) -> tuple[Queued, ...]:
        """Return what clients are told."""
        return tuple(entry.shown() for entry in self._entries)

    def add(self, entry: Entry) -> None:
        """Append an entry; raises RefusedForSafety where too many wait."""
        if len(self._entries) >= MOST_WAITING:
            raise RefusedForSafety(
                f"{MOST_WAITING} runs wait at this station already.", "Take some out: `labctl queue --remove`."
            )
        self._entries.append(entry)
        self._save()

    def take(self) -> Entry:
        """Give the first entry its turn."""
        self.current = self._entries.pop(0)
        self._save()
        return self.current

    def put_back(self) -> None:
        """Let the entry whose turn it is wait again, before all others: it has not begun."""
        if self.current is not None:
            self._entries.insert(0, self.current)
            self.done()

    def revise(self, entry: Entry) -> None:
        """Keep the entry whose turn it is as it was revised."""
        self.current = entry
        self._save()

    def done(self) -> None:
        """Note that the turn of the present entry is over."""
        self.current = None
        self._save()

    def named(self, run: str) -> list[Entry]:
        """Return the waiting runs of a UUID, or of the beginning of one."""
        return [entry for entry in self._entries if entry.run.startswith(run)]

    def remove(self, entry: Entry) -> None:
        """Take an entry out."""
        self._entries.remove(entry)
        self._save()

    def stop(self, *, stopped: bool) -> None:
        """Keep an emergency stop, or its reset."""
        self.stopped = stopped
        self._save()

    def _save(self) -> None:
        save(self._file, _KEPT, _Kept(stopped=self.stopped, current=self.current, waiting=tuple(self._entries)))


def remove(queues: Iterable[Queue], run: str) -> None:
    """Take a waiting run out of its queue, by its UUID or the beginning of it.

    Raises:
        RefusedForSafety: none waits that is called so, or several do.
    """
    found = [(queue, entry) for queue in queues for entry in queue.named(run)]
    if not found:
        raise RefusedForSafety(f"No run {run} waits in a queue.", "`labctl queue` lists those that do.")
    if len(found) > 1:
        several = ", ".join(entry.run for _, entry in found)
        raise RefusedForSafety(f"Several runs that wait begin with {run}: {several}.", "Say more of the UUID.")
    queue, entry = found[0]
    queue.remove(entry)
