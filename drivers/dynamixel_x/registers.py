"""The control table of one servo over the wire: ping, read, write, and every answer checked."""

from drivers.dynamixel_x import table
from drivers.dynamixel_x.packet import Instruction, Packet, decode, encode
from drivers.dynamixel_x.table import Item
from labctl.errors import GarbledReply, InstrumentRefused
from labctl.instrument import Link

ALERT = 0x80
"""Bit of the error byte: Hardware Error Status is not zero."""


class Registers:
    """Reads and writes items of the control table of the servo with one ID.

    Every method raises GarbledReply for what is no status packet of this servo, and InstrumentRefused with the meaning
    of its error number. `alert` tells whether the last answer hinted at a hardware error.
    """

    def __init__(self, link: Link, servo_id: int) -> None:
        self.alert = False
        self._link = link
        self._id = servo_id

    async def ping(self) -> tuple[int, int]:
        """Return model number and firmware version."""
        reply = await self._exchange(Instruction.PING, b"", "ping", 3)
        return int.from_bytes(reply[:2], "little"), reply[2]

    async def read(self, item: Item) -> int:
        """Return the value of one item."""
        (value,) = await self.read_block(item)
        return value

    async def read_block(self, *items: Item) -> tuple[int, ...]:
        """Return the values of several items, in the order of the table, in one exchange."""
        start, size = items[0].address, items[-1].end - items[0].address
        request = start.to_bytes(2, "little") + size.to_bytes(2, "little")
        block = await self._exchange(Instruction.READ, request, f"to read {items[0].name} ({start})", size)
        return tuple(item.decode(block, start) for item in items)

    async def write(self, item: Item, value: int) -> None:
        """Write one item."""
        request = item.address.to_bytes(2, "little") + item.encode(value)
        await self._exchange(Instruction.WRITE, request, f"to set {item.name} ({item.address}) to {value}", 0)

    async def write_confirmed(self, item: Item, value: int) -> None:
        """Write one item and read it back."""
        await self.write(item, value)
        actual = await self.read(item)
        if actual != value:
            raise InstrumentRefused(
                self._link.name,
                f"{item.name} ({item.address}) is {actual} after {value} was written",
                "Do not rely on the rig: check that nothing else writes to the servo.",
            )

    async def _exchange(self, instruction: Instruction, parameters: bytes, what: str, size: int) -> bytes:
        """Send an instruction and return the `size` bytes that its answer must carry."""
        request = encode(self._id, instruction, parameters)
        reply = await self._link.query(request)
        status = self._status(request, reply)
        error = status.parameters[0]
        self.alert = bool(error & ALERT)
        if error & ~ALERT:
            reason = table.ERRORS.get(error & ~ALERT, f"unknown error number {error & ~ALERT}")
            raise InstrumentRefused(self._link.name, f"refused {what}: {reason}")
        if len(status.parameters) != 1 + size:
            raise GarbledReply(self._link.name, request, reply, f"a status packet with {size} bytes of data")
        return status.parameters[1:]

    def _status(self, request: bytes, reply: bytes) -> Packet:
        expected = f"a status packet of ID {self._id}"
        try:
            status = decode(reply)
        except ValueError as error:
            raise GarbledReply(self._link.name, request, reply, f"{expected}, but it has {error}") from error
        if status.id != self._id or status.instruction != Instruction.STATUS or not status.parameters:
            raise GarbledReply(self._link.name, request, reply, expected)
        return status
