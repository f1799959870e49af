"""The driven sides of a station: what the verbs ask of whatever moves one, a screw or a gas."""

from collections.abc import Mapping
from typing import Protocol

from labctl.engine.gas import GasControl
from labctl.engine.station import Station
from labctl.plan import Pressure, Side, Torque


class SideControl(Protocol):
    """What the verbs ask of whatever drives a side, a screw or a gas; pressures in Pa on the stack."""

    held: bool

    async def go(self, action: Pressure, pressure: float, band: float | None = None) -> None:
        """Begin to bring the side to a pressure; raises RefusedForSafety where it is not known where it is."""

    async def turn(self, action: Torque) -> None:
        """Begin to turn a screw steadily."""

    @property
    def aim(self) -> tuple[Side, float, float] | None:
        """Side, pressure (Pa) and ramp (Pa/s) that are in control; None: none is."""

    @property
    def band(self) -> float | None:
        """Pa within which the side is held; None: it is not, or by something else."""

    def head_for(self, pressure: float, ramp: float, band: float | None = None) -> None:
        """Bring the side to a pressure at a ramp from the next correction on."""

    async def lock(self) -> None:
        """Stop controlling, where it is."""

    async def release(self) -> None:
        """Stop controlling, so that nothing needs the drive any more."""

    def frozen(self) -> None:
        """Know that another hand has frozen it."""

    def limit(self, torque: float | None, pressure: float | None) -> None:
        """Take other limits of torque and pressure."""

    async def run(self) -> None:
        """Correct, for as long as the run lives."""


def with_gas(station: Station, turned: Mapping[Side, SideControl]) -> dict[Side, SideControl]:
    """Return the controls of the screws, and one for each side of a station that a gas presses."""
    gases = station.instruments.gases.items()
    return {**turned, **{side: GasControl(side, gas, station.board, station.clock) for side, gas in gases}}
