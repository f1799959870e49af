"""Who commanded what, and what became of it: an event at every station that a command concerns, and a line in the log.

Questions are not commands and leave no trace.
"""

import logging
from collections.abc import Mapping

from labctl.api import Acknowledge, Answer, Change, Control, EveryStation, Note, Reply, Request, Start, Unqueue
from labctl.daemon.admission import Sender
from labctl.daemon.keeper import Keeper
from labctl.errors import LabctlError

_log = logging.getLogger(__name__)


def concerned(request: Request, keepers: Mapping[str, Keeper]) -> list[Keeper]:
    """Return whose command it is, as far as that is known before it is carried out."""
    match request.action:
        case EveryStation():
            return list(keepers.values())
        case Start(station=str(name)) | Acknowledge(station=name):
            return [keepers[name]] if name in keepers else []
        case Control(target=name) | Note(target=name) | Change(target=name) | Answer(target=name):
            return [each for station, each in keepers.items() if station == name or _runs(each, name)]
        case Unqueue(run=run):
            return [each for each in keepers.values() if each.queue.named(run)]
    return []


def write_down(sender: Sender, request: Request, reply: Reply, keepers: list[Keeper]) -> None:
    """Record a command with what became of it, after it was carried out: no record comes before a cell."""
    do, error = request.action.do, reply.error
    became = "" if error is None else f", refused: {error.sentence.splitlines()[0]}"
    why = f" ({request.reason})" if request.reason else ""
    message = f"{sender.user}: {do}{why}{became}"
    _log.info("%s by %s (%s), %s%s%s", do, sender.user, sender.role, request.id, why, became)
    for keeper in keepers:
        try:
            keeper.note(
                "command",
                message,
                user=sender.user,
                role=sender.role,
                action=do,
                id=request.id,
                reason=request.reason,
                sent_unix_second=request.sent_unix_second,
                accepted=error is None,
            )
        except LabctlError as failure:  # what was commanded is done; the log has it
            _log.warning("the command was not recorded at station %s: %s", keeper.station, failure.sentence)


def _runs(keeper: Keeper, target: str) -> bool:
    return keeper.turn is not None and keeper.turn.entry.run.startswith(target)
