"""A door: the TCP address of one simulated instrument, which can be shut and opened again while it is served.

While it is shut every connection is broken and new ones are refused, as by an instrument without power or cable; the
port stays its own.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress


class Door:
    """Listens for the clients of one instrument.

    Args:
        peer: makes what talks with one client.

    Attributes:
        clients: who is connected now.
    """

    def __init__(self, peer: Callable[["Door"], asyncio.Protocol]) -> None:
        self.clients: set[asyncio.Transport] = set()
        self._peer = peer
        self._server: asyncio.Server | None = None
        self._kept: socket.socket | None = None
        self._opening: asyncio.Task[None] | None = None
        self._is_shut = False

    async def open(self, host: str, port: int) -> int:
        """Listen there, at any free port for 0; return the port. Raises OSError."""
        self._server = await asyncio.get_running_loop().create_server(lambda: self._peer(self), host, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def shut(self) -> None:
        """Break every connection and refuse new ones; once more changes nothing."""
        self._is_shut = True
        server, self._server = self._server, None
        if server is not None:
            family, address = server.sockets[0].family, server.sockets[0].getsockname()
            server.close()
            # Bound but not listening: clients are refused, and nobody else gets the port.
            self._kept = socket.socket(family, socket.SOCK_STREAM)
            self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._kept.bind(address)
        for client in list(self.clients):
            client.abort()

    def reopen(self) -> None:
        """Listen again where it did; once more changes nothing."""
        self._is_shut = False
        kept, self._kept = self._kept, None
        if kept is None:
            return
        kept.setblocking(False)
        kept.listen(100)  # who connects from this instant on waits for the server, which is there in a moment
        self._opening = asyncio.get_running_loop().create_task(self._serve(kept), name="door")

    async def close(self) -> None:
        """Shut it for good."""
        if self._opening is not None:
            self._opening.cancel()
            with suppress(asyncio.CancelledError):
                await self._opening
        if self._kept is not None:
            self._kept.close()
        if self._server is not None:
            self._server.close()
        for client in list(self.clients):
            client.abort()

    async def _serve(self, kept: socket.socket) -> None:
        self._server = await asyncio.get_running_loop().create_server(lambda: self._peer(self), sock=kept)
        if self._is_shut:
            self.shut()
