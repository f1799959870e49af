"""The master's side of one Modbus instrument: requests through a Link, and a sentence for all that goes wrong."""

from collections.abc import Iterable

from drivers.modbus.frame import EXCEPTION, ON, Function, bytes_of, framed, is_whole, words_of
from drivers.modbus.registers import AtItsEnd, Device, Expected, Measured, NotFinite
from labctl.errors import GarbledReply, InstrumentRefused, NoReply, OverRange, WrongInstrument
from labctl.instrument import Link

EXCEPTIONS = {
    1: "it does not know this function",
    2: "it has no such register",
    3: "it does not take this value or this number of registers",
    4: "it has failed",
    5: "it has not finished yet",
    6: "it is busy",
    8: "its memory has failed",
    10: "the gateway has no way to it",
    11: "the gateway gets no answer from it",
}
"""Modbus Application Protocol V1.1b3, part 7."""


class Client:
    """Speaks with one slave.

    No reply says to which question it belongs: a late one could be taken for the answer to the next of the same form.
    After a reopening `resume` therefore begins with a question whose answer looks like nothing else: an echo (function
    8) of a number that is never the same. An instrument without this function refuses it, which looks like no value
    either; one that ignores it at `begin` is not asked again.
    """

    def __init__(self, link: Link, device: Device) -> None:
        self._link = link
        self._device = device
        self._echoes = False
        self._nonce = 0

    async def begin(self) -> None:
        """Find out whether the instrument answers an echo at all, and check that it is the one of config.toml.

        Raises:
            WrongInstrument: another serial number or setting.
        """
        try:
            await self._echo()
            self._echoes = True
        except NoReply:
            self._echoes = False
        await self._check()

    async def resume(self) -> None:
        """After a reopening: be in step, and check again."""
        if self._echoes:
            await self._echo()
        await self._check()

    async def read(self, quantity: Measured) -> float:
        """Read a quantity.

        Raises:
            OverRange: infinity, or the last number of its type.
            GarbledReply: a float that is no number.
        """
        words = await self.read_words(quantity.function, quantity.first, quantity.count)
        try:
            return quantity.value(words)
        except NotFinite:
            where = _request(quantity.function, quantity.first)
            raise GarbledReply(self._link.name, where, bytes_of(*words), "a number") from None
        except AtItsEnd:
            raise OverRange(
                self._link.name,
                f"has {quantity.decode(words):g} in register {quantity.first}, the end of its {quantity.type}",
                "What is measured is beyond its range, or its sensor has failed; check the register map, too.",
            ) from None

    async def read_words(self, function: int, register: int, count: int = 1) -> tuple[int, ...]:
        """Read registers as they are.

        Raises:
            InstrumentRefused: it does not have them.
            GarbledReply: another answer than one to this question.
        """
        payload = bytes_of(register, count)
        data = await self._ask(function, payload, f"read register {register} (function {function})")
        if data[0] != 2 * count or len(data) != 1 + 2 * count:
            expected = f"{count} registers"
            raise GarbledReply(self._link.name, _request(function, register), data, expected)
        return words_of(data[1:])

    async def write(self, function: int, register: int, *words: int) -> None:
        """Write a coil (function 5; 0 or 1), a register (6) or several (16); the answer must repeat it.

        Raises:
            InstrumentRefused: it does not take it.
        """
        match function:
            case Function.WRITE_COIL:
                payload = echoed = bytes_of(register, ON if words[0] else 0)
            case Function.WRITE_ONE:
                payload = echoed = bytes_of(register, words[0])
            case _:
                echoed = bytes_of(register, len(words))
                payload = echoed + bytes([2 * len(words)]) + bytes_of(*words)
        what = f"write {', '.join(map(str, words))} to {'coil' if function == Function.WRITE_COIL else 'register'}"
        data = await self._ask(function, payload, f"{what} {register} (function {function})")
        if data != echoed:
            raise GarbledReply(self._link.name, _request(function, register), data, f"{echoed!r}, what was written")

    async def require(self, expected: Iterable[Expected]) -> None:
        """Check numbers that never change.

        Raises:
            WrongInstrument: one has.
        """
        for one in expected:
            found = one.decode(await self.read_words(one.function, one.first, one.count))
            if found != one.value:
                raise WrongInstrument(
                    self._link.name,
                    f"has {found} in register {one.first} instead of {one.value}",
                    "Another instrument, or another setting of it, than config.toml says (serial_number, settings).",
                )

    async def require_settings(self) -> None:
        """Check the settings on which the meaning of every number depends; raises WrongInstrument."""
        await self.require(self._device.settings)

    async def _check(self) -> None:
        serial = self._device.serial_number
        await self.require([] if serial is None else [serial])
        await self.require_settings()

    async def _echo(self) -> None:
        self._nonce = (self._nonce + 1) & 0xFFFF
        payload = bytes_of(0, self._nonce)
        reply = await self._exchange(Function.ECHO, payload)
        if reply[1] == Function.ECHO and reply[2:-2] != payload:
            raise GarbledReply(self._link.name, _request(Function.ECHO, 0), reply, f"an echo of {payload!r}")

    async def _ask(self, function: int, payload: bytes, what: str) -> bytes:
        """Return the data of the answer."""
        reply = await self._exchange(function, payload)
        if reply[1] & EXCEPTION:
            code = reply[2]
            raise InstrumentRefused(
                self._link.name,
                f"refused to {what}: exception {code}, {EXCEPTIONS.get(code, 'which is not in the standard')}",
                "Check the register map in config.toml against the instrument's manual; many count registers from 1.",
            )
        return reply[2:-2]

    async def _exchange(self, function: int, payload: bytes) -> bytes:
        """Return a whole reply of this instrument to this function, which may be a refusal."""
        request = framed(self._device.id, function, payload)
        reply = await self._link.query(request)
        await self._link.pause(self._device.silence)
        if not is_whole(reply):
            raise GarbledReply(self._link.name, request, reply, "a frame with its checksum")
        if reply[0] != self._device.id or reply[1] & ~EXCEPTION != function:
            raise GarbledReply(
                self._link.name, request, reply, f"an answer of slave {self._device.id} to function {function}"
            )
        return reply


def _request(function: int, register: int) -> bytes:
    return f"function {function}, register {register}".encode("ascii")
