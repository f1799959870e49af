"""A conversation in SCPI that believes nothing: every setting is asked back, every reply is parsed strictly."""

import math
import re
from collections.abc import Iterable, Mapping

from labctl.errors import GarbledReply, InstrumentRefused
from labctl.instrument import Link

Setting = tuple[str, str | float]
Settings = Mapping[str, str | float]
"""SCPI header to value, in the order in which they must be set."""

NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")


class Scpi:
    """One instrument's end of the conversation; messages end with a line feed."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def tell(self, message: str) -> None:
        """Send a message without queries."""
        await self._link.write(f"{message}\n".encode("ascii"))

    async def ask(self, request: str) -> str:
        """Send a message with queries and return the answer; raises GarbledReply where it is not ASCII."""
        reply = await self._link.query(f"{request}\n".encode("ascii"))
        try:
            return reply.decode("ascii").strip()
        except UnicodeDecodeError:
            raise GarbledReply(self._link.name, f"{request}\n".encode("ascii"), reply, "ASCII text") from None

    def numbers(self, request: str, reply: str, meaning: tuple[str, ...]) -> list[float]:
        """Read numbers separated by commas, one for each meaning.

        Raises:
            GarbledReply: another count, no numbers, or SCPI's 9.91e37, which means "not a number".
        """
        fields = reply.split(",")
        if len(fields) != len(meaning) or not all(NUMBER.fullmatch(field) for field in fields):
            raise self.garbled(request, reply, ", ".join(meaning))
        numbers = [float(field) for field in fields]
        if any(math.isclose(abs(number), 9.91e37, rel_tol=1e-6) for number in numbers):
            raise self.garbled(request, reply, ", ".join(meaning))
        return numbers

    async def set(self, commands: Iterable[Setting], wanted: Settings) -> None:
        """Send commands in one message, then compare the instrument with everything that is wanted.

        Raises:
            InstrumentRefused: it queued an error, or has another value than was set.
        """
        await self.tell(";".join(f"{header} {_written(value)}" for header, value in commands))
        await self.refuse_errors()
        request = ";".join(f"{header}?" for header in wanted)
        reply = await self.ask(request)
        present = reply.split(";")
        if len(present) != len(wanted):
            raise self.garbled(request, reply, f"{len(wanted)} values")
        for (header, value), answer in zip(wanted.items(), present, strict=True):
            if not _same(value, answer):
                raise InstrumentRefused(
                    self._link.name,
                    f"has {answer} at {header} where {_written(value)} was set",
                    "The circuit is open. Check that nobody else commands it.",
                )

    async def refuse_errors(self) -> None:
        """Raise InstrumentRefused with the instrument's own words where its error queue holds something."""
        request = ":SYST:ERR?"
        reply = await self.ask(request)
        entry = re.fullmatch(r'([+-]?\d+),"(.*)"', reply)
        if entry is None:
            raise self.garbled(request, reply, "an error code and its text")
        if int(entry[1]) != 0:
            await self.tell("*CLS")
            words = entry[2].split(";")[0]
            raise InstrumentRefused(self._link.name, f"refused a setting: {words} ({entry[1]})", "The circuit is open.")

    def garbled(self, request: str, reply: str, expected: str) -> GarbledReply:
        """Return the error for a reply that is not what was expected."""
        return GarbledReply(self._link.name, f"{request}\n".encode("ascii"), reply.encode("ascii"), expected)


def _written(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.9g}"


def _same(value: str | float, answer: str) -> bool:
    """Whether the instrument has a setting; it may answer with fewer digits than it was given."""
    if isinstance(value, str):
        return answer == value
    return NUMBER.fullmatch(answer) is not None and math.isclose(float(answer), value, rel_tol=1e-5, abs_tol=1e-12)
