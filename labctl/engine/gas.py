"""Gas control of one side: moves the set point of a gas regulator along a ramp; the regulator holds the pressure."""

from dataclasses import dataclass

from labctl.clock import LabClock
from labctl.engine.board import GAS_GAUGE, Board
from labctl.errors import RefusedForSafety
from labctl.instrument import GasRegulator
from labctl.plan import Pressure, Side, Torque

LEAD = 2
"""Ramp steps that the set point may be ahead of the gas: one that comes late must not come all at once."""


@dataclass(slots=True)
class _Aim:
    """Gauge pressures of the gas, Pa: the set point now and at the end; Pa/s on the way."""

    now: float
    target: float
    ramp: float


class GasControl:
    """Controls one side that a gas presses, during one run; cancelling `run` ends every change of its set point.

    The regulator regulates the gas, and nothing here looks at the load cell: that confirms the pressure of the stack,
    as an end of the step, and the guard watches it.

    Attributes:
        held: whether the set point stays where it is, whatever the aim: the run is paused.
    """

    def __init__(self, side: Side, regulator: GasRegulator, board: Board, clock: LabClock) -> None:
        self.side: Side = side
        self.held = False
        self._regulator = regulator
        self._board = board
        self._clock = clock
        self._aim: _Aim | None = None
        self._commanded: float | None = None
        """Pa, the set point that is in force; None: the valves are closed."""

    async def go(self, action: Pressure, pressure: float, band: float | None = None) -> None:
        """Begin to bring the side to `pressure` in Pa; the gas now is where the ramp begins.

        Raises:
            RefusedForSafety: its pressure now is not known, or it would have to be more than the regulator has.
        """
        self.head_for(pressure, action.ramp)

    async def turn(self, action: Torque) -> None:
        """Refuse: there is no screw."""
        raise RefusedForSafety(f"A gas presses the {self.side} side, which has no screw to turn.")

    @property
    def aim(self) -> tuple[Side, float, float] | None:
        """Side, pressure (Pa) and ramp (Pa/s) on the stack that are in control; None: none is."""
        aim = self._aim
        return None if aim is None else (self.side, aim.target / self._ratio, aim.ramp / self._ratio)

    @property
    def band(self) -> float | None:
        """None: the regulator knows no band."""
        return None

    def head_for(self, pressure: float, ramp: float, band: float | None = None) -> None:
        """Bring the side to a pressure (Pa) at a ramp (Pa/s) from the next step on; raises as `go`."""
        target, highest = pressure * self._ratio, self._regulator.pressure_range.high
        if target > highest:
            raise RefusedForSafety(
                f"{pressure / 1e6:.4g} MPa on the {self.side} side takes a gas of {target / 1e6:.4g} MPa, "
                f"and its regulator has {highest / 1e6:.4g} MPa at most.",
                "Ask for less, or fit a larger piston.",
            )
        self._aim = _Aim(self._gas(), target, ramp * self._ratio)

    async def lock(self) -> None:
        """Close the valves; what leaks, and what the gas between them yields to, shows as pressure."""
        self._aim = self._commanded = None
        await self._regulator.hold()

    async def release(self) -> None:
        """Close the valves."""
        await self.lock()

    def frozen(self) -> None:
        """Know that the valves were closed: the ramp goes on from the gas that is there."""
        self._commanded = None
        if self._aim is not None:
            gas = self._board.value(GAS_GAUGE[self.side], self._clock.now())
            self._aim.now = self._aim.now if gas is None else gas

    def limit(self, torque: float | None, pressure: float | None) -> None:
        """Nothing to take: the guard watches the limit of pressure, and there is no torque."""

    async def run(self) -> None:
        """Move the set point once a poll, for as long as the run lives."""
        period = self._regulator.poll_period
        while True:
            await self._clock.sleep(period)
            if self._aim is not None and not self.held:
                await self._step(self._aim, period)

    async def _step(self, aim: _Aim, period: float) -> None:
        gas = self._board.value(GAS_GAUGE[self.side], self._clock.now())
        if gas is None or self._board.force(self.side, self._clock.now()) is None:
            return  # blind: the guard decides, the set point waits
        if self._commanded is not None and self._board.closed.get(self.side):
            self.frozen()  # its line was opened anew, which closes the valves
        step = aim.ramp * period
        aim.now += min(max(aim.target - aim.now, -step), step)
        if aim.now != aim.target:
            aim.now = min(max(aim.now, gas - LEAD * step), gas + LEAD * step)
        if aim.now != self._commanded:
            await self._regulator.set_pressure(aim.now)
            self._commanded = aim.now

    def _gas(self) -> float:
        gas = self._board.value(GAS_GAUGE[self.side], self._clock.now())
        if gas is None:
            raise RefusedForSafety(f"The gas on the {self.side} side is not known now, so its pressure is not changed.")
        return gas

    @property
    def _ratio(self) -> float:
        """Pa of gas for each Pa on the stack."""
        area = self._board.bore_area
        assert area is not None
        return area / self._regulator.piston_area
