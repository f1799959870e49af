"""The wire: VISA, serial and memory links behind one interface, `labctl.instrument.Link`.

Only this room imports pyvisa and pyserial, and only when an address asks for them.
"""

from labctl.clock import LabClock
from labctl.errors import Unreachable
from labctl.instrument import SerialWire, VisaWire, Wire
from labctl.link.base import BaseLink
from labctl.link.memory import MemoryLink

__all__ = ["BaseLink", "MemoryLink", "open_link"]


def open_link(address: str, wire: Wire, name: str, clock: LabClock, *, simulated: bool = False) -> BaseLink:
    """Make the link that an address asks for; it opens at its first exchange.

    Args:
        address: a VISA resource name ("TCPIP::192.0.2.7::5025::SOCKET") or a serial device ("/dev/ttyUSB0", "COM3").
        wire: how the driver's instrument frames its replies.
        name: station and role, for sentences.
        simulated: whether a simulator is at the other end.

    Raises:
        Unreachable: the address is not of the kind that the driver's wire needs.
    """
    full_name = f"{name} at {address}"
    is_visa = "::" in address
    match wire:
        case VisaWire() if is_visa:
            from labctl.link.visa import VisaLink

            return VisaLink(address, wire, full_name, clock, simulated=simulated)
        case SerialWire() if not is_visa:
            from labctl.link.serial_line import SerialLink

            return SerialLink(address, wire, full_name, clock, simulated=simulated)
    wanted = (
        'a VISA resource such as "TCPIP::192.0.2.7::5025::SOCKET"'
        if isinstance(wire, VisaWire)
        else ('a serial device such as "/dev/ttyUSB0"')
    )
    raise Unreachable(name, f'the address "{address}" does not fit this driver', f"Write {wanted} in config.toml.")
