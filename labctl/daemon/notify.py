"""Tells systemd how the service is: ready, at work, stopping; and that everything in it still moves.

The protocol is sd_notify(3): datagrams of `KEY=value` lines to the socket that NOTIFY_SOCKET names.
"""

import logging
import os
import socket
from collections.abc import Mapping

from labctl.clock import host_sleep

_log = logging.getLogger(__name__)

SEND_TIMEOUT = 0.5
"""Seconds that a service manager may take for a datagram; a slower one does not hold up the laboratory."""
LOOKS = 4
"""Looks at the parts within the watchdog's limit: parts that move every third of it are always found in time."""


class Notifier:
    """Speaks to the service manager; says nothing where there is none.

    Args:
        address: of its socket: a path, or "@name" for an abstract one; empty: nobody listens.
    """

    def __init__(self, address: str = "") -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> "Notifier":
        """Return the one that this process was started with."""
        return cls(environment.get("NOTIFY_SOCKET", ""))

    def ready(self, status: str) -> None:
        """Say that the service has started."""
        self._send("READY=1", _status(status))

    def status(self, status: str) -> None:
        """Set what `systemctl status` shows: one line."""
        self._send(_status(status))

    def stopping(self, status: str) -> None:
        """Say that the service is on its way to the safe state."""
        self._send("STOPPING=1", _status(status))

    def alive(self) -> None:
        """Feed the service manager's watchdog."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(SEND_TIMEOUT)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            _log.warning("systemd does not take %s: %s", lines[0], error)


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())}"


class Watchdog:
    """Feeds the service manager's watchdog only while every registered part moves.

    Args:
        limit: seconds without food after which the service is killed and started again; None: no watchdog.
    """

    def __init__(self, notifier: Notifier, limit: float | None) -> None:
        self._notifier = notifier
        self._limit = limit
        self._parts: set[str] = set()
        self._moved: set[str] = set()

    @classmethod
    def of(cls, notifier: Notifier, environment: Mapping[str, str] = os.environ) -> "Watchdog":
        """Return the one that the service manager has asked this very process for."""
        micro = environment.get("WATCHDOG_USEC", "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        return cls(notifier, int(micro) / 1e6 if mine and micro.isdecimal() and int(micro) else None)

    def register(self, *parts: str) -> None:
        """Wait for these parts, too, from now on; without any, nothing is fed."""
        self._parts.update(parts)

    def unregister(self, part: str) -> None:
        """Do not wait for a part any more: it has ended in order, or lives in another process."""
        self._parts.discard(part)

    def mark(self, part: str) -> None:
        """Say that a part has done a whole round of its work."""
        self._moved.add(part)

    @property
    def waits_for(self) -> list[str]:
        """Parts that have not moved since the last food."""
        return sorted(self._parts - self._moved)

    def look(self) -> bool:
        """Feed, if every part has moved since the last time; return whether it was fed."""
        fed = bool(self._parts) and not self.waits_for
        if fed:
            self._notifier.alive()
            self._moved.clear()
        return fed

    async def serve(self) -> None:
        """Look again and again until cancelled; say which parts stand still before they cost the process its life."""
        if self._limit is None:
            return
        hungry = 0
        while True:
            await host_sleep(self._limit / LOOKS)
            hungry = 0 if self.look() else hungry + 1
            if hungry == LOOKS - 1:
                _log.error("The watchdog will end this process: %s stands still", ", ".join(self.waits_for) or "all")
