"""Serial lines: RS-232, RS-485, USB serial ports and, for simulators, pseudo-terminals, through pyserial."""

import serial

from labctl.clock import LabClock, host_monotonic
from labctl.errors import GarbledReply, NoReply, Unreachable
from labctl.instrument import SerialWire
from labctl.link.worker import DRAIN_LIMIT, BlockingLink

PTY = "/dev/pts/"


class SerialLink(BlockingLink):
    """One serial port, held exclusively."""

    def __init__(self, address: str, wire: SerialWire, name: str, clock: LabClock, *, simulated: bool) -> None:
        super().__init__(name, clock, simulated=simulated)
        self._address = address
        self._wire = wire
        self._port: serial.Serial | None = None
        self._buffer = bytearray()

    def open_blocking(self) -> None:
        """Open the port with the driver's framing; a pseudo-terminal knows none and refuses 7E1, so it gets 8N1."""
        wire, is_pty = self._wire, self._address.startswith(PTY)
        try:
            self._port = serial.Serial(
                self._address,
                baudrate=wire.baudrate,
                bytesize=8 if is_pty else wire.bytesize,
                parity="N" if is_pty else wire.parity,
                stopbits=1 if is_pty else wire.stopbits,
                rtscts=wire.rtscts and not is_pty,
                xonxoff=wire.xonxoff and not is_pty,
                timeout=wire.timeout,
                write_timeout=wire.timeout,
                exclusive=True,
            )
        except (serial.SerialException, OSError, ValueError) as error:
            raise Unreachable(
                self.name,
                f"cannot be opened: {error}",
                "Check the cable, that you may open it (group dialout), and that nothing else uses it.",
            ) from error
        self._buffer.clear()

    def close_blocking(self) -> None:
        """Close the port."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def drain_blocking(self) -> None:
        """Drop what comes until the line has been silent for the wire's quiet interval."""
        port = self._opened()
        port.timeout = self._wire.quiet_interval
        deadline = host_monotonic() + DRAIN_LIMIT * self._wire.timeout
        try:
            while port.read(max(1, port.in_waiting)):
                if host_monotonic() > deadline:
                    raise self.never_silent()
        except (serial.SerialException, OSError) as error:
            raise Unreachable(self.name, f"cannot be drained: {error}", "Check the cable.") from error
        finally:
            port.timeout = self._wire.timeout
        self._buffer.clear()

    def transfer_blocking(self, message: bytes, reply: bool) -> bytes:
        """Write the message and collect bytes until the framing finds a whole reply."""
        port = self._opened()
        try:
            self._refuse_leftovers(port, message)
            port.write(message)
            if not reply:
                return b""
            deadline = host_monotonic() + self._wire.timeout
            while True:
                received = port.read(max(1, port.in_waiting))
                self._buffer += received
                answer = self._wire.framing.take(self._buffer)
                if answer is not None:
                    return answer
                if not received or host_monotonic() > deadline:
                    raise NoReply(self.name, message, self._wire.timeout, bytes(self._buffer))
        except (serial.SerialException, OSError) as error:
            raise Unreachable(self.name, f"the line broke: {error}", "Check the cable.") from error

    def _refuse_leftovers(self, port: serial.Serial, message: bytes) -> None:
        """Bytes that nobody asked for would be taken for the answer."""
        self._buffer += port.read(port.in_waiting) if port.in_waiting else b""
        if self._wire.framing.unsolicited(self._buffer):
            raise GarbledReply(self.name, message, bytes(self._buffer), "a quiet line before the question")
        self._buffer.clear()

    def _opened(self) -> serial.Serial:
        if self._port is None:
            raise Unreachable(self.name, "is not open")
        return self._port
