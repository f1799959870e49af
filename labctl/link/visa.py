"""VISA: message-based instruments on TCP sockets, USB and GPIB, through PyVISA's Python backend."""

from functools import cache
from typing import cast

import pyvisa
from pyvisa.constants import StatusCode
from pyvisa.resources import MessageBasedResource

from labctl.clock import LabClock
from labctl.errors import NoReply, Unreachable
from labctl.instrument import VisaWire
from labctl.link.worker import BlockingLink

DRAIN_TIMEOUT_MS = 50


@cache
def _resource_manager() -> pyvisa.ResourceManager:
    return pyvisa.ResourceManager("@py")


class VisaLink(BlockingLink):
    """One VISA resource."""

    def __init__(self, address: str, wire: VisaWire, name: str, clock: LabClock, *, simulated: bool) -> None:
        super().__init__(name, clock, simulated=simulated)
        self._address = address
        self._wire = wire
        self._resource: MessageBasedResource | None = None

    def open_blocking(self) -> None:
        """Open the resource."""
        try:
            resource = _resource_manager().open_resource(self._address, open_timeout=int(self._wire.timeout * 1000))
        except (pyvisa.Error, OSError, ValueError) as error:
            raise Unreachable(
                self.name,
                f"cannot be opened: {error}",
                "Check that it is on, on the network, and free of other clients.",
            ) from error
        self._resource = cast("MessageBasedResource", resource)
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
        resource.timeout = DRAIN_TIMEOUT_MS
        try:
            while resource.read_raw():
                pass
        except pyvisa.VisaIOError as error:
            if error.error_code != StatusCode.error_timeout:
                raise Unreachable(self.name, f"cannot be drained: {error}", "Check the cable.") from error
        finally:
            resource.timeout = self._wire.timeout * 1000

    def transfer_blocking(self, message: bytes, reply: bool) -> bytes:
        """Write the message and read one line."""
        resource = self._opened()
        try:
            resource.write_raw(message)
            if not reply:
                return b""
            line = bytearray(resource.read_raw())
        except pyvisa.VisaIOError as error:
            if error.error_code == StatusCode.error_timeout:
                raise NoReply(self.name, message, self._wire.timeout) from error
            raise Unreachable(
                self.name, f"the connection broke: {error}", "Check the cable and the network."
            ) from error
        except OSError as error:
            raise Unreachable(
                self.name, f"the connection broke: {error}", "Check the cable and the network."
            ) from error
        answer = self._wire.framing.take(line)
        if answer is None or line:
            raise NoReply(self.name, message, self._wire.timeout, bytes(answer or b"") + bytes(line))
        return answer

    def _opened(self) -> MessageBasedResource:
        if self._resource is None:
            raise Unreachable(self.name, "is not open")
        return self._resource
