"""Commands that are patient: requested, then confirmed, refused or not known; never shown as done before they are."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from labctl.client import Unanswered
from labctl.errors import LabctlError
from labctl.literal import literal
from labctl.tui.lines import Line
from labctl.tui.shown import clock_time

CONFIRMATION = 10.0
"""Host seconds in which a station must say itself that an accepted command has had its effect."""


class Stage(StrEnum):
    """How far a command has come."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    """By the daemon; the station does not say so yet."""
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    UNKNOWN = "not known"
    """Nobody can say whether it was carried out."""


STYLE = {
    Stage.REQUESTED: "warn",
    Stage.ACCEPTED: "warn",
    Stage.CONFIRMED: "charge",
    Stage.REFUSED: "fault",
    Stage.UNKNOWN: "alarm",
}
GLYPH = {
    Stage.REQUESTED: "…",
    Stage.ACCEPTED: "…",
    Stage.CONFIRMED: "✓",
    Stage.REFUSED: "✖",
    Stage.UNKNOWN: "?",
}


@dataclass(frozen=True, slots=True)
class Order:
    """One command.

    Attributes:
        at: host time, seconds since 1970, when it was given.
        accepted: the same on the monotonic clock when it was accepted.
    """

    what: str
    at: float
    stage: Stage
    said: str = ""
    accepted: float = 0.0
    seen: Callable[[], bool] | None = None

    @property
    def line(self) -> Line:
        """The order as one line."""
        said = f": {literal(self.said)}" if self.said else ""
        words = f"{clock_time(self.at)} {literal(self.what)} – {self.stage.value}{said}"
        return (f" {GLYPH[self.stage]} ", STYLE[self.stage]), (words, "plain")


class Orders:
    """The command that was given last, and what became of it.

    Args:
        monotonic, unix: host time.
    """

    def __init__(self, monotonic: Callable[[], float], unix: Callable[[], float]) -> None:
        self.latest: Order | None = None
        self._monotonic = monotonic
        self._unix = unix
        self._count = 0

    def hint(self, sentence: str) -> None:
        """Say something that was not commanded, such as why a key did nothing."""
        self._count += 1
        self.latest = Order(sentence, self._unix(), Stage.REFUSED)

    async def give(self, what: str, send: Callable[[], Awaitable[object]], seen: Callable[[], bool] | None) -> bool:
        """Send a command and follow it; return whether the daemon took it up.

        Args:
            seen: whether the station itself shows the effect; None where the reply says it all.
        """
        self._count += 1
        mine = self._count
        order = self.latest = Order(what, self._unix(), Stage.REQUESTED)
        try:
            await send()
        except Unanswered as error:
            order = replace(order, stage=Stage.UNKNOWN, said=str(error).replace("\n", " "))
        except LabctlError as error:
            order = replace(order, stage=Stage.REFUSED, said=str(error).replace("\n", " "))
        else:
            stage = Stage.CONFIRMED if seen is None else Stage.ACCEPTED
            order = replace(order, stage=stage, accepted=self._monotonic(), seen=seen)
        if self._count == mine or order.stage is not Stage.CONFIRMED:
            self.latest = order
        return order.stage in (Stage.ACCEPTED, Stage.CONFIRMED)

    def look(self) -> Order | None:
        """Return the latest order after a look at what its station says by now."""
        order = self.latest
        if order is not None and order.stage is Stage.ACCEPTED and order.seen is not None:
            if order.seen():
                self.latest = replace(order, stage=Stage.CONFIRMED, said="its station says so")
            elif self._monotonic() - order.accepted > CONFIRMATION:
                self.latest = replace(
                    order, stage=Stage.UNKNOWN, said="the daemon accepted it, the station does not say so. Look at it."
                )
        return self.latest
