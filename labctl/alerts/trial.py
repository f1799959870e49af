"""An alert that means nothing, sent once over every way, so that a person sees whether it arrives."""

import asyncio
import socket
from collections.abc import Sequence

from labctl.alerts.channel import Channel
from labctl.alerts.courier import PATIENCE
from labctl.alerts.digest import Line, Message
from labctl.alerts.words import Sender
from labctl.api import Alarm, Alert
from labctl.clock import host_unix
from labctl.errors import LabctlError
from labctl.reading import Severity


async def try_all(ways: Sequence[Channel], site: str, patience: float = PATIENCE) -> dict[str, str]:
    """Send a test over every way; return what went wrong, by the names of the ways."""
    now = host_unix()
    alarm = Alarm(
        id="test",
        since_unix_second=now,
        station="test",
        quantity="test",
        sentence="This is a test of the alerts: nothing has happened.",
        severity=Severity.INFO,
        latched=False,
        active=True,
        action="",
    )
    message = Message((Line(Alert(schema=1, change="raised", said_unix_second=now, alarm=alarm), 1),))
    sender = Sender(site, socket.gethostname())
    results = await asyncio.gather(*(_try(way, sender, message, patience) for way in ways))
    return {way.name: trouble for way, trouble in zip(ways, results, strict=True) if trouble}


async def _try(way: Channel, sender: Sender, message: Message, patience: float) -> str:
    try:
        async with asyncio.timeout(patience):
            await way.send(sender, message)
    except TimeoutError:
        return f"it took longer than {patience:g} s."
    except LabctlError as error:
        return str(error)
    return ""
