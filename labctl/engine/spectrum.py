"""A spectrum followed: begun in the instrument, and told point by point as events of the run."""

import math

from labctl.engine.progress import Progress
from labctl.engine.telling import Teller
from labctl.errors import InstrumentError, RefusedForSafety, StepFailed
from labctl.impedance import ImpedancePoint, Potentiostat
from labctl.instrument import CellReading, Cycler
from labctl.plan import Action, Impedance

KIND = "impedance.point"
PATIENCE = 10
"""Times in a row that an instrument may fail to say where its spectrum is."""


class Spectrum:
    """One measurement of a spectrum, from its first frequency; what is interrupted begins anew.

    Args:
        cell: as it is just before; its voltage is the bias where the plan names none.

    Raises:
        RefusedForSafety: the sine would lead out of its window, or the instrument measures no impedance.
    """

    def __init__(
        self, action: Impedance, cycler: Cycler, cell: CellReading | None, teller: Teller, progress: Progress
    ) -> None:
        if not isinstance(cycler, Potentiostat):
            raise RefusedForSafety("The cycler of this station measures no impedance.", "Choose another station.")
        self._action = action
        self._potentiostat = cycler
        self._bias = _bias(action, cell)
        self._teller = teller
        self._progress = progress
        self._points = self._unread = 0

    async def begin(self) -> None:
        """Begin it in the instrument."""
        await self._potentiostat.start_spectrum(self._action, self._bias)

    async def collect(self) -> bool:
        """Tell every point that has come since the last time; return whether that was the last one.

        Raises:
            StepFailed: the instrument has ended the spectrum before its last frequency, or its points cannot be read.
        """
        try:
            status = await self._potentiostat.spectrum(self._points)
        except InstrumentError as error:  # one that falls silent altogether is the guard's affair
            self._unread += 1
            if self._unread == PATIENCE:
                raise StepFailed(f"The points of the spectrum cannot be read. {error.sentence}", error.remedy) from None
            return False
        self._unread = 0
        for point in status.points:
            self._tell(point)
        if status.running or status.points:
            return False
        self._refuse_half(status.reason)
        return True

    def _tell(self, point: ImpedancePoint) -> None:
        self._points += 1
        sign = "+" if point.imaginary >= 0.0 else "-"
        self._teller.event(
            KIND,
            f"{point.frequency:.4g} Hz: {point.real:.5g} {sign} {abs(point.imaginary):.5g}j ohm",
            step_count=self._progress.step_count,
            cycle_count=self._progress.number,
            frequency_hertz=point.frequency,
            real_impedance_ohm=point.real,
            imaginary_impedance_ohm=point.imaginary,
        )

    def _refuse_half(self, reason: str) -> None:
        asked = len(self._action.frequencies)
        if self._points < asked:
            raise StepFailed(
                f"The instrument ended the spectrum after {self._points} of {asked} frequencies"
                f"{reason and f': {reason}'}.",
                "The circuit is open and the pressure frozen. Look at the instrument and its wiring.",
            )


def is_biased_by_rest(action: Action) -> bool:
    """Whether the sine swings around the voltage of the cell at open circuit just before."""
    return isinstance(action, Impedance) and action.bias is None


def _bias(action: Impedance, cell: CellReading | None) -> float:
    """Return V or A around which the sine swings; refuse a voltage that leads out of the window."""
    voltage = None if cell is None else cell.voltage
    if voltage is None:
        raise RefusedForSafety(
            "The voltage of the cell is not known, so no sine is put on it.", "Look at the cell and its wiring."
        )
    bias = action.bias if action.bias is not None else voltage
    swing = math.sqrt(2.0) * action.amplitude if action.of == "voltage" else 0.0
    middle = bias if action.of == "voltage" else voltage
    low, high = action.window.low, action.window.high
    if (low is not None and middle - swing <= low) or (high is not None and middle + swing >= high):
        raise RefusedForSafety(
            f"A sine around {middle:.4g} V with a peak of {swing:.3g} V does not stay inside the limits of voltage.",
            "Bring the cell into its limits first, or change the step.",
        )
    return bias
