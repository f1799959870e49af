"""VISA: message-based instruments on TCP sockets, USB and GPIB, through PyVISA's Python backend."""

import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pyvisa
from pyvisa.constants import StatusCode
from pyvisa.resources import MessageBasedResource
from pyvisa_py.highlevel import PyVisaLibrary
from pyvisa_py.tcpip import TCPIPSocketSession

from labctl.clock import LabClock, host_monotonic
from labctl.errors import GarbledReply, NoReply, Unreachable
from labctl.instrument import VisaWire
from labctl.link.worker import DRAIN_LIMIT, BlockingLink

QUIET_MS = 50
CHUNK = 4096
MOST_BYTES = 1_000_000
"""Of a reply; who goes on without an end is not listened to any longer."""


class VisaLink(BlockingLink):
    """One VISA resource."""

    def __init__(self, address: str, wire: VisaWire, name: str, clock: LabClock, *, simulated: bool) -> None:
        super().__init__(name, clock, simulated=simulated)
        self._address = address
        self._wire = wire
        self._manager: pyvisa.ResourceManager | None = None
        self._resource: MessageBasedResource | None = None

    def open_blocking(self) -> None:
        """Open the resource."""
        try:
            # One for the whole process, but anybody in it may have closed it: PyVISA then makes a new one.
            self._manager = pyvisa.ResourceManager("@py")
            resource = self._manager.open_resource(self._address, open_timeout=int(self._wire.timeout * 1000))
            self._resource = cast("MessageBasedResource", resource)
            self._refuse_unconnected()
        except Exception as error:  # bare where the backend finds no such host
            self.close_blocking()
            raise Unreachable(
                self.name,
                f"cannot be opened: {error}",
                "Check that it is on, on the network, and free of other clients.",
            ) from error
        self._resource.timeout = self._wire.timeout * 1000
        self._resource.read_termination = self._wire.framing.terminator.decode("ascii")

    def close_blocking(self) -> None:
        """Close the resource."""
        if self._resource is not None:
            self._resource.close()
            self._resource = None

    def drain_blocking(self) -> None:
        """Read until nothing comes for a moment."""
        resource = self._opened()
        resource.timeout = QUIET_MS
        deadline = host_monotonic() + DRAIN_LIMIT * self._wire.timeout
        try:
            while host_monotonic() < deadline:
                with self._told_as_unreachable():
                    resource.read_raw()
        except TimeoutError:
            return
        finally:
            resource.timeout = self._wire.timeout * 1000
        raise self.never_silent()

    def transfer_blocking(self, message: bytes, reply: bool) -> bytes:
        """Write the message and read one line."""
        resource = self._opened()
        self._refuse_leftovers(message)
        try:
            with self._told_as_unreachable():
                resource.write_raw(message)
                if not reply:
                    return b""
                line = bytearray(resource.read_bytes(MOST_BYTES, MOST_BYTES, break_on_termchar=True))
        except TimeoutError:
            raise NoReply(self.name, message, self._wire.timeout) from None
        answer = self._wire.framing.take(line)
        if answer is None or line:
            raise NoReply(self.name, message, self._wire.timeout, bytes(answer or b"") + bytes(line))
        return answer

    @contextmanager
    def _told_as_unreachable(self) -> Iterator[None]:
        """Tell a connection that broke as a sentence; a time-out becomes TimeoutError."""
        remedy = "Check the cable and the network."
        try:
            yield
        except pyvisa.VisaIOError as error:
            if error.error_code == StatusCode.error_timeout:
                raise TimeoutError from error
            raise Unreachable(self.name, f"the connection broke: {error}", remedy) from error
        except OSError as error:
            raise Unreachable(self.name, f"the connection broke: {error}", remedy) from error

    def _refuse_unconnected(self) -> None:
        """The backend takes a refused connection for an open one."""
        session = self._socket_session()
        error = session.interface.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if session else 0
        if error:
            raise OSError(error, os.strerror(error))

    def _refuse_leftovers(self, message: bytes) -> None:
        """Bytes that nobody asked for would be taken for the answer; only a socket brings any by itself."""
        session = self._socket_session()
        if session is None:
            return
        unread = bytes(session._pending_buffer)  # noqa: SLF001 - the backend tells nobody what it holds back
        if select.select([session.interface], [], [], 0)[0]:
            with self._told_as_unreachable():
                received = session.interface.recv(CHUNK)
            if not received:
                raise Unreachable(
                    self.name,
                    "closed the connection",
                    "Check that it is on; many instruments serve one client at a time.",
                )
            unread += received
        if unread:
            raise GarbledReply(self.name, message, unread, "a quiet line before the question")

    def _socket_session(self) -> TCPIPSocketSession | None:
        resource = self._opened()
        session = cast("PyVisaLibrary", resource.visalib).sessions[resource.session]
        return session if isinstance(session, TCPIPSocketSession) else None

    def _opened(self) -> MessageBasedResource:
        if self._resource is None:
            raise Unreachable(self.name, "is not open")
        return self._resource
