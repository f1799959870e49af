"""A press that a person works: pressed to a force, and what its gauge showed is typed."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from drivers.hand import HandTool, ToolOptions
from labctl.clock import LabClock
from labctl.fields import Capacity, Length
from labctl.instrument import Link, Range
from labctl.quantity import Dimension

KILO, MEGA = 1e3, 1e6


class Press(HandTool):
    """Press in a person's hand, for pressures that no motor on a screw reaches.

    Where `ram` is given its gauge shows the pressure of its oil, which is asked for and typed instead of the force.
    """

    class Options(ToolOptions):
        """Forces between which its gauge is true; diameter of its piston; whether a lock nut keeps the force."""

        lowest: Capacity
        highest: Capacity
        ram: Length | None = None

        @model_validator(mode="after")
        def _ordered(self) -> Self:
            if self.lowest >= self.highest:
                raise ValueError("lowest must be below highest")
            return self

    SIMULATOR: ClassVar[str] = "drivers.press.sim:Simulator"
    EXAMPLE: ClassVar[Mapping[str, object]] = {"lowest": "50 N", "highest": "60 kN", "self_locking": True}
    shows: Literal["torque", "force"] = "force"

    def __init__(self, link: Link, options: Options, clock: LabClock) -> None:
        oil = options.ram is not None
        scale = Dimension.PRESSURE if oil else Dimension.FORCE
        super().__init__(link, "press", options, Range(options.lowest, options.highest), scale)
        self._area = 1.0 if options.ram is None else math.pi * options.ram**2 / 4.0
        self._oil = oil

    def _request(self, value: float, side: str, why: str, *, release: bool) -> str:
        if not value:
            return f"Let the press of the {side} side go ({why}). Then type {self._said(0.0)}."
        how = "Let the press go, then press" if release else "Press"
        gauge = " of oil" if self._oil else ""
        return (
            f"{how} the {side} side slowly to {self._said(value)}{gauge} ({why}), and lock it there. "
            f"Then type what the gauge showed, such as {self._said(value)}."
        )

    def _said(self, value: float) -> str:
        if self._oil:
            return f"{value / self._area / MEGA:.3g} MPa"
        return f"{value / KILO:.3g} kN" if value >= KILO else f"{value:.3g} N"

    def _worth(self, shown: float) -> float:
        return shown * self._area
