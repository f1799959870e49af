"""The guard: sees every poll, recorded or not; pauses a run for what it warns of and latches the first trip.

Upper limits are always armed. A lower limit of voltage, temperature or pressure arms once the cell has been inside it,
and a lower voltage also while current drives it outward: a fresh cell may sit below. A limit is passed when two
measurements in a row pass it, and it has been passed for the debounce time; silence is passed at once, because it has
already lasted its age limit. Slopes, disagreement and detectors need more measurements by themselves.
"""

from collections.abc import Callable, Iterator
from functools import partial
from math import inf

from labctl.engine.board import PRESSURE_QUANTITY, Board
from labctl.engine.ledger import Ledger
from labctl.engine.rigwatch import Rigwatch
from labctl.engine.symptoms import Symptoms, flows
from labctl.engine.trips import Excess, Trip, Warned, passed
from labctl.instrument import Limiting
from labctl.plan import SIDES, Bound, Limits, Side

__all__ = ["Guard", "Trip", "Warned"]

MEASUREMENTS_TO_TRIP = 2

Kind = tuple[str, bool]
"""A quantity, and whether only its warning is meant."""


class Guard:
    """Watches one run on one station, or the station between runs.

    Attributes:
        warning: why a run is to pause; latched until `forgive`.
        without_cycler: whether the cycler may be silent: a program in it goes on within its own limits.

    Args:
        limits: already the intersection of station, cell and protocol.
        needed: gauges that it cannot be without; one that falls silent trips.
        theoretical: C that the active material can hold; None: not known.
        rig: watches what moves; None: nobody watches it, between runs, when a person may have it in hand.
    """

    def __init__(
        self,
        limits: Limits,
        board: Board,
        ledger: Ledger,
        needed: tuple[str, ...],
        now: float,
        theoretical: float | None = None,
        rig: Rigwatch | None = None,
    ) -> None:
        self.trip: Trip | None = None
        self.warning: Warned | None = None
        self.without_cycler = False
        self._limits = limits
        self._board = board
        self._ledger = ledger
        self._gauges = [board.gauges[name] for name in needed]
        self._began = now
        self._inside: set[Kind] = set()
        """What has been inside its lower limit, which so is armed."""
        self._passed: dict[str, dict[Kind, tuple[int, float]]] = {}
        """instrument -> what it showed to be wrong -> in how many measurements in a row, and since when."""
        self._symptoms = Symptoms(board, ledger, theoretical)
        self._rig = rig
        self._looks: dict[str, Callable[[float], Iterator[Excess]]] = {
            "cycler": self._look_at_cell,
            "thermostat": self._look_at_temperature,
        }
        for side in SIDES:
            self._looks[f"load_cell.{side}"] = partial(self._look_at_pressure, side)
            self._looks[f"pressure_rig.{side}"] = partial(self._look_at_torque, side)
            self._looks[f"gas_regulator.{side}"] = _nothing_to_see

    def follow(self, limits: Limits, *, near_rest: bool = False, handled: bool = False) -> None:
        """Watch over a step that begins, within the limits of the run or narrower ones.

        Args:
            near_rest: whether it holds a voltage that begins near that of the resting cell, so that little may flow.
            handled: whether a person is asked to do something, and may have the rig in hand.
        """
        self._limits = limits
        self._symptoms.begin(near_rest=near_rest)
        if self._rig is not None:
            self._rig.follow(handled=handled)

    def jumped(self) -> None:
        """Know that the host has moved a current: what is measured now is not compared with what was."""
        self._symptoms.jumped()

    def forgive(self) -> None:
        """Warn again from now on: a person goes on with the run; what is still wrong warns anew."""
        self.warning = None
        self._passed.clear()
        self._symptoms.begin()
        if self._rig is not None:
            self._rig.begin()

    def check(self, measured: str | None, now: float) -> Trip | None:
        """Check what an instrument has just measured (None: it failed to), and that none is silent.

        Once there is a trip it is returned ever after. A warning stands in `warning`.
        """
        if self.trip is None:
            self._listen(now)
        if self.trip is None and measured is not None:
            before, excesses = self._passed.get(measured), list(self._looks[measured](now))
            if before or excesses:
                self._count(measured, before or {}, excesses, now)
        return self.trip

    def _count(
        self, instrument: str, before: dict[Kind, tuple[int, float]], excesses: list[Excess], now: float
    ) -> None:
        """Count measurements in a row; one inside its limit begins the count anew."""
        counts = self._passed[instrument] = {}
        for excess in excesses:
            kind = excess.quantity, excess.warns
            count, since = before.get(kind, (0, now))
            counts[kind] = count + 1, since
            if excess.certain or (count + 1 >= MEASUREMENTS_TO_TRIP and now - since >= excess.lasting):
                self._act(excess, now)

    def _act(self, excess: Excess, now: float) -> None:
        driven = self._driven(now)
        sentence = f"{excess.sentence} No current was driven." if driven is False else excess.sentence
        if excess.warns:
            self.warning = self.warning or Warned(excess.quantity, sentence, driven)
        elif self.trip is None:
            self.trip = Trip(excess.quantity, sentence, heat=excess.heat, driven=driven)

    def _driven(self, now: float) -> bool | None:
        """Whether a current is driven: a source of 0 A only measures, one that holds a voltage drives."""
        cell = self._board.fresh_cell(now)
        if cell is None:
            return None
        return cell.output and (flows(cell, self._limits) or cell.limiting is Limiting.VOLTAGE)

    # -- silence -------------------------------------------------------------------------------------------------------

    def _listen(self, now: float) -> None:
        board = self._board
        age = self._age(board.cell_time, now)
        if age > board.cell_max_age and not self.without_cycler:
            self._silence("cycler", age, board.cell_max_age)
            return
        for gauge in self._gauges:
            age = self._age(gauge.time, now)
            if age > gauge.max_age:
                self._silence(gauge.name, age, gauge.max_age)
                return

    def _age(self, measured: float, now: float) -> float:
        """Return s since a measurement; one that fell silent before this guard began is silent all the same."""
        return now - (self._began if measured == -inf else measured)

    def _silence(self, name: str, age: float, allowed: float) -> None:
        sentence = f"{name} has had no valid reading for {age:.1f} s (allowed: {allowed:g} s)."
        self.trip = Trip(name, sentence, silent=True)

    # -- limits --------------------------------------------------------------------------------------------------------

    def _look_at_cell(self, now: float) -> Iterator[Excess]:
        limits, cell = self._limits, self._board.fresh_cell(now)
        if cell is None:
            return
        if cell.voltage is not None:
            driven_down = cell.current < 0.0 and cell.output
            margin = limits.margins.voltage
            yield from self._outside("voltage", cell.voltage, limits.voltage, margin, "V", 1.0, driven_down=driven_down)
        if abs(cell.current) > limits.current:
            yield self._beyond("current", "current", cell.current, limits.current, "mA", 1e-3)
        charge = self._ledger.step_charge
        if abs(charge) > limits.capacity:
            yield self._beyond("capacity", "charge of this step", charge, limits.capacity, "mAh", 3.6)
        yield from self._symptoms.of_cell(cell, limits, now)

    def _look_at_temperature(self, now: float) -> Iterator[Excess]:
        temperature, limits = self._board.temperature(now), self._limits
        if temperature is not None:
            yield from self._outside(
                "temperature", temperature, limits.temperature, limits.margins.temperature, "°C", 1.0, heat=True
            )
            yield from self._symptoms.of_temperature(temperature, limits, now)

    def _look_at_pressure(self, side: Side, now: float) -> Iterator[Excess]:
        pressure, limits = self._board.pressure(side, now), self._limits
        if pressure is not None:
            bound = limits.pressure_negative if side == "negative" else limits.pressure_positive
            quantity = PRESSURE_QUANTITY[side]
            yield from self._outside(quantity, pressure, bound, limits.margins.pressure, "MPa", 1e6)
            yield from self._symptoms.of_pressure(quantity, pressure, limits, now)
        if self._rig is not None:
            yield from self._rig.of_force(side, limits, now)

    def _look_at_torque(self, side: Side, now: float) -> Iterator[Excess]:
        torque, limits = self._board.torque(side, now), self._limits
        if torque is None:
            return
        if limits.torque is not None and abs(torque) > limits.torque:
            yield self._beyond("torque", "torque", torque, limits.torque, "N·m", 1.0)
        yield from self._symptoms.of_torque(side, torque, limits, now)
        if self._rig is not None:
            yield from self._rig.of_screw(side, limits, now)

    def _beyond(self, quantity: str, name: str, value: float, most: float, unit: str, scale: float) -> Excess:
        return Excess(quantity, passed(name, value, "beyond", most, unit, scale), lasting=self._limits.debounce)

    def _outside(
        self,
        quantity: str,
        value: float,
        bound: Bound,
        margin: float | None,
        unit: str,
        scale: float,
        *,
        driven_down: bool = False,
        heat: bool = False,
    ) -> Iterator[Excess]:
        """Compare a value with both sides of a bound, and with those of its warning, which lies inside by a margin."""
        if margin is not None and self.warning is None:
            warning = Bound(
                None if bound.low is None else bound.low + margin, None if bound.high is None else bound.high - margin
            )
            side = self._side((quantity, True), value, warning, driven_down=driven_down)
            if side is not None:
                sentence = passed(quantity, value, *side, unit, scale).replace("limit", "warning", 1)
                yield Excess(quantity, sentence, warns=True, lasting=self._limits.debounce)
        side = self._side((quantity, False), value, bound, driven_down=driven_down)
        if side is not None:
            sentence = passed(quantity, value, *side, unit, scale)
            yield Excess(quantity, sentence, heat=heat, lasting=self._limits.debounce)

    def _side(self, kind: Kind, value: float, bound: Bound, *, driven_down: bool) -> tuple[str, float] | None:
        """Return the side of a bound that a value is beyond, with its limit; arm the lower one from inside."""
        if bound.high is not None and value > bound.high:
            self._inside.add(kind)
            return "above", bound.high
        if bound.low is None:
            return None
        if value >= bound.low:
            self._inside.add(kind)
        elif driven_down or kind in self._inside:
            return "below", bound.low
        return None


def _nothing_to_see(_now: float) -> Iterator[Excess]:
    """Of a gas: its load cell says what it does; only its silence is heard."""
    return iter(())
