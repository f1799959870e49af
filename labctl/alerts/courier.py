"""Carries alerts over one way, again and again until they are delivered; whatever it does, nobody waits for it."""

import asyncio
from contextlib import suppress

from labctl.alerts.channel import Channel, reason
from labctl.alerts.digest import GATHER, Digest, Message
from labctl.alerts.words import Sender
from labctl.api import Alert
from labctl.clock import host_monotonic, host_sleep
from labctl.errors import LabctlError
from labctl.logs import Log

_log = Log(__name__)

PATIENCE = 30.0
"""Seconds that one delivery may take in all, however slowly the server goes on."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
"""Seconds until a delivery that failed is tried again."""


class Courier:
    """Brings alerts to one channel.

    Args:
        hourly: messages in any hour.

    Attributes:
        trouble: why the newest message has not been delivered yet, as a sentence; empty while all is well.
    """

    def __init__(
        self,
        channel: Channel,
        sender: Sender,
        hourly: int,
        *,
        gather: float = GATHER,
        patience: float = PATIENCE,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self.trouble = ""
        self._channel = channel
        self._sender = sender
        self._digest = Digest(hourly, gather)
        self._patience = patience
        self._first_pause = first_pause
        self._news = asyncio.Event()

    def take(self, alert: Alert) -> None:
        """Take an alert; returns at once."""
        self._digest.add(alert, host_monotonic())
        self._news.set()

    async def serve(self) -> None:
        """Deliver until cancelled; what has not been delivered by then is in the retained state of its station."""
        pause = self._first_pause
        while True:
            await self._wait()
            if await self._deliver(self._digest.take(host_monotonic())):
                pause = self._first_pause
            else:
                await host_sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _wait(self) -> None:
        """Wait until a message may go."""
        while True:
            self._news.clear()
            now = host_monotonic()
            due = self._digest.due(now)
            if due is not None and due <= now:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(None if due is None else due - now):
                    await self._news.wait()

    async def _deliver(self, message: Message) -> bool:
        try:
            async with asyncio.timeout(self._patience):
                await self._channel.send(self._sender, message)
        except TimeoutError:
            self._note(f"An alert by {self._channel.name} took longer than {self._patience:g} s.")
        except LabctlError as error:
            self._note(error.sentence)
        except Exception as error:  # noqa: BLE001 - alerts must not cost the stations their guard
            _log.bug("alerts.bug", "the program itself failed to send an alert", error, way=self._channel.name)
            self._note(f"An alert by {self._channel.name} failed: {reason(error)}.")
        else:
            self._digest.done(message, host_monotonic())
            self._note("")
            return True
        return False

    def _note(self, trouble: str) -> None:
        """Keep what is wrong; the log has it when it changes, and that it is over."""
        if trouble != self.trouble:
            if trouble:
                _log.warning("alerts.undelivered", trouble, way=self._channel.name)
            else:
                _log.info("alerts.delivered", "alerts are delivered again", way=self._channel.name)
        self.trouble = trouble
