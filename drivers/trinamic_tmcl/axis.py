"""The axis parameters of one module over the wire: read, set, and every answer checked."""

from drivers.trinamic_tmcl.frame import HOST, STATUS, SUCCESS, Command, Reply, Request, decode_reply
from drivers.trinamic_tmcl.models import Model, Parameter
from labctl.errors import GarbledReply, InstrumentRefused
from labctl.instrument import Link


class Axis:
    """Motor 0 of the module with one address.

    Every method raises GarbledReply for what is no reply of this module to this command, and InstrumentRefused with the
    meaning of its status.
    """

    def __init__(self, link: Link, address: int, model: Model) -> None:
        self._link = link
        self._address = address
        self._numbers = model.parameters

    async def version(self) -> tuple[int, int]:
        """Return the number of the model, and its firmware's."""
        value = await self._exchange(Command.FIRMWARE_VERSION, 1, 0, 0, "to tell its version")
        return value >> 16 & 0xFFFF, value & 0xFFFF

    async def get(self, parameter: Parameter) -> int:
        """Return a parameter."""
        number = self._numbers[parameter]
        return await self._exchange(Command.GAP, number, 0, 0, f"to read {parameter} ({number})")

    async def set(self, parameter: Parameter, value: int) -> None:
        """Set a parameter."""
        number = self._numbers[parameter]
        await self._exchange(Command.SAP, number, 0, value, f"to set {parameter} ({number}) to {value}")

    async def set_confirmed(self, parameter: Parameter, value: int) -> None:
        """Set a parameter and read it back: a module may take a command and keep its value."""
        await self.set(parameter, value)
        await self.require(parameter, value, f"after {value} was set")

    async def restore(self, parameter: Parameter) -> None:
        """Take a parameter from the module's EEPROM."""
        number = self._numbers[parameter]
        await self._exchange(Command.RSAP, number, 0, 0, f"to restore {parameter} ({number})")

    async def require(self, parameter: Parameter, value: int, when: str) -> None:
        """Raise InstrumentRefused where a parameter is not what it must be."""
        actual = await self.get(parameter)
        if actual != value:
            raise InstrumentRefused(
                self._link.name,
                f"{parameter} ({self._numbers[parameter]}) is {actual} {when}",
                "Do not rely on the rig: check that nothing else writes to the module.",
            )

    async def global_parameter(self, number: int) -> int:
        """Return a global parameter of bank 0."""
        return await self._exchange(Command.GGP, number, 0, 0, f"to read global parameter {number}")

    async def stop(self) -> None:
        """Slow down to a standstill."""
        await self._exchange(Command.MST, 0, 0, 0, "to stop")

    async def go_to(self, position: int) -> None:
        """Go to an absolute position, in counts; returns at once."""
        await self._exchange(Command.MVP, 0, 0, position, f"to go to {position}")

    async def _exchange(self, command: Command, type_: int, motor: int, value: int, what: str) -> int:
        """Send a command and return the value of its reply."""
        request = Request(self._address, command, type_, motor, value).encode()
        answer = await self._link.query(request)
        reply = self._reply(request, answer)
        if reply.status != SUCCESS:
            reason = STATUS.get(reply.status, "unknown status")
            raise InstrumentRefused(self._link.name, f"refused {what}: {reason} ({reply.status})")
        if reply.command != command:
            raise GarbledReply(self._link.name, request, answer, f"a reply to command {command}")
        return reply.value

    def _reply(self, request: bytes, answer: bytes) -> Reply:
        expected = f"a reply of module {self._address} to host {HOST}"
        try:
            reply = decode_reply(answer)
        except ValueError as error:
            raise GarbledReply(self._link.name, request, answer, f"{expected}, but it has {error}") from error
        if (reply.host, reply.module) != (HOST, self._address):
            raise GarbledReply(self._link.name, request, answer, expected)
        return reply
