"""A laboratory as a Python object, over the bus: the only door for commands, screens and notebooks.

    async with connect() as lab:
        started = await lab.start(Path("formation.toml"), station="A1")
        async for happening in lab.events():
            print(happening.station, happening.event.message)

It reaches daemons through their messages alone (docs/bus.md); runs do not notice when it dies.
"""

from labctl.client.connect import connect, over
from labctl.client.lab import Lab
from labctl.client.requests import NoDaemon, Unanswered
from labctl.client.view import Happening

__all__ = ["Happening", "Lab", "NoDaemon", "Unanswered", "connect", "over"]
