"""A torque wrench on a self-locking screw: a person tightens to a torque and types what the wrench showed."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import field_validator, model_validator

from drivers.hand import HandTool, ToolOptions
from labctl.clock import LabClock
from labctl.fields import Length, TorqueLimit
from labctl.instrument import Link, Range
from labctl.quantity import Dimension


class TorqueWrench(HandTool):
    """Torque wrench in a person's hand, on a screw that locks itself."""

    class Options(ToolOptions):
        """`lowest` and `highest` are the range of its scale; `screw` is the nominal diameter ("8 mm" for M8)."""

        lowest: TorqueLimit
        highest: TorqueLimit
        screw: Length

        @field_validator("self_locking")
        @classmethod
        def _locks(cls, declared: bool) -> bool:
            if not declared:
                raise ValueError(
                    "a wrench holds nothing once it is put down: the screw must lock itself, or it is none"
                )
            return declared

        @model_validator(mode="after")
        def _ordered(self) -> Self:
            if self.lowest >= self.highest:
                raise ValueError("lowest must be below highest")
            return self

    SIMULATOR: ClassVar[str] = "drivers.torque_wrench.sim:Simulator"
    EXAMPLE: ClassVar[Mapping[str, object]] = {
        "lowest": "0.05 N m",
        "highest": "2 N m",
        "screw": "8 mm",
        "self_locking": True,
    }
    shows: Literal["torque", "force"] = "torque"

    def __init__(self, link: Link, options: Options, clock: LabClock) -> None:
        super().__init__(link, "torque wrench", options, Range(options.lowest, options.highest), Dimension.TORQUE)
        self.screw: float | None = options.screw

    def _request(self, value: float, side: str, why: str, *, release: bool) -> str:
        if not value:
            return f"Loosen the screw of the {side} side until it turns freely ({why}). Then type 0 N m."
        how = f"Loosen the screw of the {side} side until it turns freely, then tighten it" if release else ""
        return (
            f"{how or f'Tighten the screw of the {side} side'} slowly to {self._said(value)} ({why}). "
            f"Then type what the wrench showed, such as {self._said(value)}."
        )

    def _said(self, value: float) -> str:
        return f"{value:.3g} N m"
