"""Symptoms: what measurements show beyond limits: detectors, slopes, and sensors that contradict each other.

One instance follows one run, or the station between runs; the guard asks it at each poll.
"""

from collections.abc import Iterator
from math import inf, nan

from labctl.engine.board import BATH, CELL_TEMPERATURE, FORCE_GAUGE, PRESSURE_QUANTITY, Board
from labctl.engine.detectors import LONGEST, Contact, Runaway, Seen, SelfDischarge, Short, Slope
from labctl.engine.ledger import Ledger
from labctl.engine.trips import Excess, passed
from labctl.instrument import CellReading, Limiting
from labctl.plan import SIDES, Limits, Quantity, Side

SAME = 0.02
"""Of a current: by less it has not changed."""
NONE = 1e-3
"""Of the limit of current: less is none."""
TEMPERATURES_DIFFER = 1800.0
"""s: a cell behind steel dies follows its bath with a time constant of 5 min, so a step of 20 K has died away."""
FORCES_DIFFER = 60.0
"""s: longer than a ramp takes to overcome the friction of the wall."""
SMALL_FORCE = 10.0
"""N that zero errors of load cells and friction of pistons may make."""
HIGHEST_COEFFICIENT = 0.4
"""K of torque = K · diameter · force: twice that of a dry screw, whose scatter is 25 to 30 %."""


def flows(cell: CellReading, limits: Limits) -> bool:
    """Whether the current is more than what a source of 0 A shows."""
    return abs(cell.current) > NONE * limits.current


class Symptoms:
    """Feeds detectors and comparisons from the board.

    Args:
        theoretical: C that the active material can hold; None: not known.
    """

    def __init__(self, board: Board, ledger: Ledger, theoretical: float | None) -> None:
        self._board = board
        self._ledger = ledger
        self._forces = [board.gauges[name] for name in FORCE_GAUGE.values() if name in board.gauges]
        self._short, self._rest, self._contact = Short(theoretical), SelfDischarge(), Contact()
        self._runaway = Runaway()
        self._slopes = {name: Slope() for name in ("voltage", "temperature", *PRESSURE_QUANTITY.values())}
        self._outward: float | None = None
        """C that had gone in when current last flowed outward; None until the cell has been seen."""
        self._current, self._flowed = nan, True
        """What the current was when it began to be what it is: one that drifts is not the same for ever."""
        self._since = self._polled = -inf
        """When the current began to be what it is, and when it was last measured."""
        self._most, self._sustained = nan, -inf
        """The largest charging current, and since when it has not fallen."""

    def begin(self, *, near_rest: bool = False) -> None:
        """Compare nothing from before with what comes: a step begins.

        Args:
            near_rest: whether a voltage is held at which little may flow.
        """
        self._most = nan
        self.jumped(near_rest=near_rest)

    def jumped(self, *, near_rest: bool = False) -> None:
        """Compare no voltage from before with what comes: the host has moved the current."""
        self._current, self._flowed = nan, True
        self._contact.begin(near_rest=near_rest)

    def of_cell(self, cell: CellReading, limits: Limits, now: float) -> Iterator[Excess]:
        """Look at a poll of the cycler."""
        current, charged = cell.current, self._ledger.charge_in
        if self._outward is None:
            self._outward = charged - max(self._ledger.step_charge, 0.0)
        flowing = flows(cell, limits)
        if flowing and current < 0.0:
            self._outward = charged
        if cell.voltage is None:
            self.begin()
            return
        unchanged = abs(current - self._current) <= SAME * abs(self._current) or not (flowing or self._flowed)
        if not unchanged or now - self._polled > LONGEST:
            self._since, self._current = now, current
            self._slopes["voltage"].begin()
        if not current >= (1.0 - SAME) * self._most or now - self._polled > LONGEST:
            self._most, self._sustained = current, now
        self._most = max(self._most, current)
        self._flowed, self._polled = flowing, now
        holds = cell.output and cell.limiting is Limiting.VOLTAGE
        warm = self._board.temperature(now)
        forces = tuple([gauge.value for gauge in self._forces])
        charged -= self._outward
        constant, sustained = now - self._since, now - self._sustained
        seen = Seen(now, cell.voltage, current, holds, constant, flowing, forces, warm, charged, sustained)
        for detector in (self._short, self._rest, self._contact):
            excess = detector.see(seen)
            if excess is not None:
                yield excess
        if limits.rates.voltage is not None:
            yield from self._slope("voltage", cell.voltage, limits.rates.voltage, now, "mV/s", 1e-3)

    def of_temperature(self, temperature: float, limits: Limits, now: float) -> Iterator[Excess]:
        """Look at a poll of the thermostat; °C of the cell, or of its bath where no probe is at the cell."""
        if limits.rates.temperature is not None:
            yield from self._slope("temperature", temperature, limits.rates.temperature, now, "K/min", 1.0 / 60.0)
        cell, bath = self._board.value(CELL_TEMPERATURE, now), self._board.value(BATH, now)
        if cell is None or bath is None:
            return
        excess = self._runaway.see(now, cell, bath)
        if excess is not None:
            yield excess
        most = limits.disagreement.temperature
        if most is not None and abs(cell - bath) > most:
            sentence = (
                f"Probes disagree: the cell is at {cell:.4g} °C and its bath at {bath:.4g} °C (allowed: {most:g} K)."
            )
            yield Excess("disagreement.temperature", sentence, heat=True, lasting=TEMPERATURES_DIFFER)

    def of_pressure(self, quantity: Quantity, pressure: float, limits: Limits, now: float) -> Iterator[Excess]:
        """Look at a poll of a load cell; Pa."""
        if limits.rates.pressure is not None:
            yield from self._slope(quantity, pressure, limits.rates.pressure, now, "kPa/s", 1e3)
        share = limits.disagreement.force
        if share is None:
            return
        forces = [self._board.force(side, now) for side in SIDES]
        negative, positive = forces
        if negative is None or positive is None:
            return
        if abs(negative - positive) > max(share * max(abs(negative), abs(positive)), SMALL_FORCE):
            sentence = (
                f"Forces disagree: {negative:.4g} N on the negative and {positive:.4g} N on the positive side "
                f"(allowed: {100.0 * share:g} %)."
            )
            yield Excess("disagreement.force", sentence, lasting=FORCES_DIFFER)

    def of_torque(self, side: Side, torque: float, limits: Limits, now: float) -> Iterator[Excess]:
        """Look at a poll of a rig: a torque that needs a larger force than is measured; N·m at the screw."""
        diameter, force = limits.disagreement.screw, self._board.force(side, now)
        if diameter is None or force is None:
            return
        least = abs(torque) / (HIGHEST_COEFFICIENT * diameter)
        if least > force + SMALL_FORCE:
            sentence = (
                f"Torque and force disagree: {torque:.3g} N·m at the screw mean {least:.3g} N or more, and "
                f"{force:.3g} N are measured on the {side} side."
            )
            yield Excess("disagreement.torque", sentence)

    def _slope(self, quantity: str, value: float, most: float, now: float, unit: str, scale: float) -> Iterator[Excess]:
        rate = self._slopes[quantity].see(value, now)
        if rate is not None and abs(rate) > most:
            sentence = passed(f"rate of {quantity}", rate, "beyond", most, unit, scale)
            yield Excess(f"rate.{quantity}", sentence, heat=quantity == "temperature", certain=True)
