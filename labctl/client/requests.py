"""Asks daemons and waits for their replies; asking again under the same id is safe, for it is carried out once."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from pydantic import ValidationError

from labctl.api import STALE, Action, Reply, Request
from labctl.bus.base import Bus, BusDown
from labctl.bus.codec import PAYLOAD_LIMIT
from labctl.bus.topics import Process, every_reply
from labctl.clock import host_monotonic, host_sleep, host_unix
from labctl.errors import CommandRefused, LabctlError
from labctl.roles import READ_ONLY, Role

_GLANCE = 0.05
"""Seconds between two looks whether the connection is a new one, in which the request must be said again."""
_AGAIN = 1.0
"""Seconds after which it is said again in the same one: the daemon may have come back to the broker after it."""
START_IT = "Start it with `labctl daemon`, as the user and with the configuration of this laboratory."


class NoDaemon(LabctlError):
    """There is no daemon that could carry out a command, or show anything."""


class Unanswered(LabctlError):
    """No reply came in time: whether the command was carried out is not known, unless it was never sent."""


class Requests:
    """Requests of one client; a reply that nobody waits for is dropped.

    Args:
        user: in whose name it asks, and `role` what that user is; a broker with users lets no other name through.
        refuse: called for every message on the client's reply topic that is no reply.
    """

    def __init__(self, bus: Bus, site: str, user: str, role: Role, refuse: Callable[[], None]) -> None:
        self._bus = bus
        self._user = user
        self._role = role
        self._refuse = refuse
        self._site = site
        self._client = uuid4().hex
        self._replies: dict[str, asyncio.Future[Reply]] = {}

    async def subscribe(self) -> None:
        """Begin to listen for replies."""
        await self._bus.subscribe(every_reply(self._site, self._user, self._client), self._on_reply)

    async def unsubscribe(self) -> None:
        """Listen no more."""
        await self._bus.unsubscribe(every_reply(self._site, self._user, self._client), self._on_reply)

    async def ask(self, host: str, action: Action, reason: str, patience: float) -> dict[str, Any]:
        """Ask the daemon of a host and return what it answers.

        Raises:
            CommandRefused: in the daemon's own words.
            Unanswered: there was no reply within `patience` host seconds.
        """
        request = Request(
            schema=1,
            id=uuid4().hex,
            client=self._client,
            user=self._user,
            reason=reason,
            sent_unix_second=host_unix(),
            action=action,
        )
        payload = request.model_dump_json(by_alias=True).encode()
        if len(payload) > PAYLOAD_LIMIT:
            raise CommandRefused(
                f"This command has {len(payload)} bytes, more than the {PAYLOAD_LIMIT} that a message may have.",
                "A protocol is text; keep data in other files.",
                2,
            )
        reply = await self._reply(host, request.id, payload, patience)
        if reply is None:
            raise _unanswered(host, action, patience)
        if reply.error is not None:
            error = reply.error
            raise CommandRefused(error.sentence, error.remedy, error.exit_code, error.findings)
        return reply.data

    async def _reply(self, host: str, key: str, payload: bytes, patience: float) -> Reply | None:
        """Send and wait for the reply; None where there is none in time. Raises BusDown where nothing was sent."""
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies[key] = reply
        sessions: list[int] = []
        topic = Process(self._site, host).command(self._role, self._user)
        sending = asyncio.create_task(self._send(topic, payload, sessions))
        try:
            await asyncio.wait([reply], timeout=min(patience, STALE))
            if sessions:
                await asyncio.wait([reply], timeout=max(0.0, patience - STALE))
        finally:
            del self._replies[key]
            sending.cancel()
            await asyncio.wait([sending])
        if reply.done():
            return reply.result()
        if not sessions:
            raise BusDown(f"Nothing was sent to the daemon on {host}. {self._bus.trouble}")
        return None

    async def _send(self, topic: str, payload: bytes, sessions: list[int]) -> None:
        """Publish, again after a while and in every later session; note the sessions in which it may have arrived."""
        said = -_AGAIN
        while True:
            session = await self._bus.connected()
            if not sessions or sessions[-1] != session or host_monotonic() - said >= _AGAIN:
                sessions.append(session)
                said = host_monotonic()
                try:
                    await self._bus.publish(topic, payload)
                except BusDown:
                    sessions.append(0)  # no session has this number: it is said again
            await host_sleep(_GLANCE)

    def _on_reply(self, _topic: str, payload: bytes) -> None:
        try:
            reply = Reply.model_validate_json(payload)
        except ValidationError:
            self._refuse()
            return
        waiting = self._replies.get(reply.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)


def _unanswered(host: str, action: Action, patience: float) -> Unanswered:
    said = f'The daemon on {host} has not answered "{action.do}" within {patience:g} s'
    if action.do in READ_ONLY:
        return Unanswered(f"{said}.", "Try again; `labctl status` tells whether it is alive.")
    return Unanswered(
        f"{said}: it is NOT known whether it was carried out.",
        "Look with `labctl status` what the stations do before you give the command again.",
    )
