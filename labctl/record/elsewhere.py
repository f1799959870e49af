"""Recorders that are processes of their own, as they speak on the bus: whether one is alive, and what troubles it."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from labctl.api import Alive, Message, RecorderState
from labctl.bus.base import Bus
from labctl.bus.topics import every_liveness, every_process_state

MOST = 1000
"""Processes that are kept; of others nothing is."""

M = TypeVar("M", bound=Message)


class Elsewhere:
    """Listens to the recorders of a site.

    What was said before the broker went away stands until it is said anew: that records are not confirmed, a journal's
    outbox knows by itself.
    """

    def __init__(self, bus: Bus, site: str) -> None:
        self._bus = bus
        self._site = site
        self._alive: dict[str, bool] = {}
        self._said: dict[str, RecorderState] = {}

    async def listen(self) -> None:
        """Begin to listen; what is retained arrives at once."""
        await self._bus.subscribe(every_liveness(self._site), self._on_liveness)
        await self._bus.subscribe(every_process_state(self._site), self._on_state)

    @property
    def trouble(self) -> str:
        """Why nothing is being stored, as a sentence: every recorder that was heard is gone, or one is in trouble."""
        heard = [name for name in self._said if name in self._alive]
        living = [name for name in heard if self._alive[name]]
        if heard and not living:
            names = ", ".join(sorted(heard))
            return f"The {names} is gone: what is measured waits in the journals until it is started again."
        return next((trouble for name in living if (trouble := self._said[name].trouble)), "")

    def _on_liveness(self, topic: str, payload: bytes) -> None:
        if (said := _read(Alive, payload)) is not None and _has_room(self._alive, _name(topic)):
            self._alive[_name(topic)] = said.alive

    def _on_state(self, topic: str, payload: bytes) -> None:
        if b'"quarantined"' not in payload:
            return  # a daemon's, on a topic of the same form
        if (said := _read(RecorderState, payload)) is not None and _has_room(self._said, _name(topic)):
            self._said[_name(topic)] = said


def _has_room(known: Mapping[str, object], name: str) -> bool:
    return name in known or len(known) < MOST


def _name(topic: str) -> str:
    return topic.split("/")[2]


def _read(model: type[M], payload: bytes) -> M | None:
    """Return a message; None where it is none: the client, which shows states, counts those."""
    try:
        return model.model_validate_json(payload)
    except ValidationError:
        return None
