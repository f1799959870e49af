"""The properties of one axis of an ODrive over the wire: read, written and confirmed, and every answer checked."""

import re

from drivers.odrive_v3.line import sealed, unsealed
from labctl.errors import GarbledReply, InstrumentRefused
from labctl.instrument import Link

LONGEST = 9
"""Characters that the firmware sends of a value; what is longer is cut off without a sign."""
REFUSALS = ("invalid command format", "invalid property", "invalid motor", "not implemented", "unknown command")


class CutOff(InstrumentRefused):
    """A number that may have lost its last digits."""


class Properties:
    """Reads and writes the properties of one axis by their path within it ("motor.error").

    Reading raises GarbledReply for what is no value with a right checksum, and InstrumentRefused with its words.
    Writing is not answered: what matters is read back.
    """

    def __init__(self, link: Link, axis: int) -> None:
        self._link = link
        self._axis = f"axis{axis}."

    async def command(self, command: str) -> None:
        """Send what has no answer."""
        await self._link.write(sealed(command))

    async def ask(self, command: str) -> list[str]:
        """Return the lines that answer a command."""
        request = sealed(command)
        answer = await self._link.query(request)
        try:
            lines = [unsealed(line) for line in answer.split(b"\r\n")]
        except ValueError as error:
            expected = f"a line with its checksum, but it has {error}"
            raise GarbledReply(self._link.name, request, answer, expected) from error
        if lines[0].startswith(REFUSALS):
            raise InstrumentRefused(
                self._link.name,
                f'refused "{command}": {lines[0]}',
                "Check `axis` in config.toml, and the firmware: this driver knows the paths of 0.5.x.",
            )
        return lines

    async def numbers(self, command: str, pattern: str) -> re.Match[str]:
        """Return the answer of one line to a command, matched as a whole."""
        lines = await self.ask(command)
        match = re.fullmatch(pattern, lines[0])
        if match is None or len(lines) != 1:
            told = " / ".join(lines).encode()
            raise GarbledReply(self._link.name, command.encode(), told, f"an answer of the form {pattern}")
        return match

    async def real(self, path: str) -> float:
        """Return a number with decimals."""
        return float((await self.numbers(f"r {self._axis}{path}", rf"-?\d{{1,{LONGEST - 1}}}\.\d*"))[0])

    async def whole(self, path: str) -> int:
        """Return a whole number; raises CutOff where it is so long that digits may be missing."""
        return await self.whole_of_board(self._axis + path)

    async def whole_of_board(self, path: str) -> int:
        """Return a whole number by its path within the board."""
        text = (await self.numbers(f"r {path}", r"-?\d+"))[0]
        if len(text) >= LONGEST:
            raise CutOff(self._link.name, f"tells {path} as {text}, which may be cut off")
        return int(text)

    async def set_real(self, path: str, value: float) -> None:
        """Write a number and read it back, as exactly as it is told."""
        await self.command(f"w {self._axis}{path} {value:.6f}")
        actual = await self.real(path)
        if not alike(actual, value):
            raise self._kept(path, f"{actual:g}", f"{value:g}")

    async def request(self, state: int) -> None:
        """Ask the axis to go into a state, which it does a moment later."""
        await self.command(f"w {self._axis}requested_state {state}")

    async def set_whole(self, path: str, value: int) -> None:
        """Write a whole number or a truth value and read it back."""
        await self.command(f"w {self._axis}{path} {value}")
        actual = await self.whole(path)
        if actual != value:
            raise self._kept(path, str(actual), str(value))

    def _kept(self, path: str, actual: str, wanted: str) -> InstrumentRefused:
        return InstrumentRefused(
            self._link.name,
            f"{self._axis}{path} is {actual} after {wanted} was written",
            "Do not rely on the rig: check the line, and that nothing else writes to the ODrive.",
        )


def alike(actual: float, wanted: float) -> bool:
    """Whether a number that came back is the one that was sent: single precision, nine characters."""
    return abs(actual - wanted) <= 2e-6 * max(1.0, abs(wanted))
