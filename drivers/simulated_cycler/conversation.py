"""A conversation with one channel: what is asked is answered as it was understood, or refused with a reason."""

from drivers.simulated_cycler.wire import framed, unframed
from labctl.errors import GarbledReply, InstrumentRefused
from labctl.instrument import Link


class Conversation:
    """Requests to one channel.

    Attributes:
        name: of station, role and address, for sentences.
    """

    def __init__(self, link: Link, channel: int) -> None:
        self.name = link.name
        self._link = link
        self._channel = channel

    async def tell(self, command: str, arguments: str = "", echo: str | None = None) -> None:
        """Command something that the instrument repeats as it understood it."""
        request = f"{command} {arguments}".rstrip()
        understood = await self.ask(request)
        expected = arguments if echo is None else echo
        if understood != expected:
            raise self.garbled(request, understood, repr(expected))

    async def ask(self, request: str) -> str:
        """Return what the reply says behind channel and command.

        Raises:
            InstrumentRefused: the instrument's own words.
            GarbledReply: a wrong checksum, or the answer to something else.
        """
        message = framed(f"{self._channel} {request}")
        reply = await self._link.query(message)
        try:
            channel, _, rest = unframed(reply).partition(" ")
        except ValueError as error:
            raise GarbledReply(self.name, message, reply, f"a line with its checksum ({error})") from None
        word, _, answer = rest.partition(" ")
        if channel == str(self._channel) and word == "ERROR":
            raise InstrumentRefused(self.name, f"refused {request[:60]!r}: {answer}")
        if channel != str(self._channel) or word != request.partition(" ")[0]:
            raise self.garbled(request, rest, f"an answer of channel {self._channel}")
        return answer

    def garbled(self, request: str, reply: str, expected: str) -> GarbledReply:
        """Return the error that a reply is, with what was expected in its place."""
        message = framed(f"{self._channel} {request}")
        return GarbledReply(self.name, message, reply.encode("ascii"), expected)
