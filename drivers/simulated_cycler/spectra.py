"""Spectra as a host asks for them: frequencies uploaded, the spectrum begun and confirmed, its points fetched."""

import re

from drivers.simulated_cycler.conversation import Conversation
from drivers.simulated_cycler.points import PAGE, UNIT, Order, Report, frequency_page, unpaged
from labctl.errors import InstrumentRefused, RefusedForSafety
from labctl.impedance import SpectrumStatus


class Spectra:
    """The spectra of one channel; the last one that was begun is known by its number and its frequencies."""

    def __init__(self, channel: Conversation) -> None:
        self._channel = channel
        self._begun: tuple[int, tuple[float, ...]] | None = None

    def forget(self) -> None:
        """Know of no spectrum."""
        self._begun = None

    async def begin(self, order: Order, frequencies: tuple[float, ...]) -> None:
        """Upload the frequencies, begin, and confirm.

        Raises:
            InstrumentRefused: the instrument does not do it.
            GarbledReply: it has understood something else.
        """
        for first in range(1, len(frequencies) + 1, PAGE):
            await self._channel.tell("FREQUENCIES", frequency_page(first, frequencies))
        request = f"SPECTRUM {order}"
        understood = await self._channel.ask(request)
        found = re.fullmatch(rf"(\d{{1,9}}) {re.escape(str(order))}", understood)
        if found is None:
            raise self._channel.garbled(request, understood, f"its number and {str(order)!r}")
        self._begun = number, _ = int(found[1]), frequencies
        report = await self._report(number, frequencies, 0)
        if (report.number, report.frequencies) != (number, len(frequencies)):
            raise InstrumentRefused(self._channel.name, f"is at spectrum {report.number}, not at {number}")

    async def status(self, after: int) -> SpectrumStatus:
        """Return the points behind a number; a spectrum that the instrument no longer knows has ended."""
        if self._begun is None:
            raise RefusedForSafety(f"{self._channel.name} was not asked for a spectrum.")
        number, frequencies = self._begun
        report = await self._report(number, frequencies, after)
        if report.number != number:
            return SpectrumStatus(False, (), f"it is at spectrum {report.number}, not at {number}")
        return SpectrumStatus(report.stage == "running", report.points, report.reason)

    async def _report(self, number: int, frequencies: tuple[float, ...], after: int) -> Report:
        """Ask where it is with the spectrum of this number; another one may have other frequencies."""
        request = f"SPECTRUM? {after}"
        reply = await self._channel.ask(request)
        try:
            report = unpaged(reply)
            told = tuple(point.frequency for point in report.points)
            if report.unit != UNIT or (report.number == number and told != frequencies[after : after + len(told)]):
                raise ValueError
        except ValueError:
            raise self._channel.garbled(request, reply, f"points from number {after + 1} on, in {UNIT}") from None
        return report
