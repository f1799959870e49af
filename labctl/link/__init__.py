"""The wire: VISA, serial and memory links, and a person's answers, behind one interface, `labctl.instrument.Link`.

Only this room imports pyvisa and pyserial, and only when an address asks for them.
"""

from labctl.clock import LabClock
from labctl.errors import Unreachable
from labctl.instrument import PersonWire, SerialWire, VisaWire, Wire
from labctl.link.base import BaseLink
from labctl.link.memory import MemoryLink
from labctl.link.operator import OPERATOR, OperatorLink

__all__ = ["OPERATOR", "BaseLink", "MemoryLink", "OperatorLink", "open_link"]

SIMULATED_PERSON = 5.0
"""Seconds that a simulated person on a wire may take, where lab time stands still meanwhile."""


def open_link(address: str, wire: Wire, name: str, clock: LabClock, *, simulated: bool = False) -> BaseLink:
    """Make the link that an address asks for; it opens at its first exchange.

    Args:
        address: a VISA resource name ("TCPIP::192.0.2.7::5025::SOCKET"), a serial device ("/dev/ttyUSB0", "COM3"), or
            "operator://".
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
        case SerialWire() if not is_visa and address != OPERATOR:
            from labctl.link.serial_line import SerialLink

            return SerialLink(address, wire, full_name, clock, simulated=simulated)
        case PersonWire() if address == OPERATOR:
            return OperatorLink(full_name, clock)
        case PersonWire() if is_visa and simulated:
            from labctl.link.visa import VisaLink

            return VisaLink(address, VisaWire(wire.framing, SIMULATED_PERSON), full_name, clock, simulated=True)
    wanted = {
        VisaWire: 'a VISA resource such as "TCPIP::192.0.2.7::5025::SOCKET"',
        SerialWire: 'a serial device such as "/dev/ttyUSB0"',
        PersonWire: f'"{OPERATOR}"',
    }[type(wire)]
    raise Unreachable(name, f'the address "{address}" does not fit this driver', f"Write {wanted} in config.toml.")
