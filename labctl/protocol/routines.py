"""Routines of whole cycles by name (formation, rate capability, capacity check), and the plain steps they unfold to."""

from typing import Annotated

from pydantic import Field, StrictInt

from labctl.protocol.model import DrivenCurrent, VoltageSpan
from labctl.protocol.pulses import PlainStep, Test
from labctl.quantity import Dimension, Duration, parse
from labctl.table import Model

MOST_CYCLES = 1000
MOST_RATES = 100

Cycles = Annotated[StrictInt, Field(ge=1, le=MOST_CYCLES)]


class Window(Model):
    """What a cycle goes between: with `cut_off` a charge holds its voltage until the current has fallen to that."""

    window: VoltageSpan = Field(examples=['["2.5 V", "4.2 V"]'])
    cut_off: DrivenCurrent | None = None
    rest: Duration = parse("10 min", Dimension.TIME)


class Formation(Window):
    """The first cycles of a cell, slow and all alike."""

    current: DrivenCurrent = Field(examples=['"C/20"'])
    cycles: Cycles = 3


class RateCapability(Window):
    """Cycles at one discharge rate after another; charged at the same rate, or always at `charge`."""

    rates: tuple[DrivenCurrent, ...] = Field(min_length=1, max_length=MOST_RATES, examples=['["C/10", "C/2", "1C"]'])
    charge: DrivenCurrent | None = None
    cycles: Cycles = 3


class CapacityCheck(Window):
    """One slow charge and discharge that is no cycle."""

    current: DrivenCurrent = Field(examples=['"C/20"'])


class Routine(Test):
    """A routine by its name; without `record` its rows are due by the rules of the protocol."""

    def cycle(self, keys: Window, charge: str, discharge: str) -> list[PlainStep]:
        """Return charge, rest, discharge, rest."""
        low, high = (str(voltage) for voltage in keys.window)
        up: PlainStep = {"charge": charge, "until": high}
        if keys.cut_off is not None:
            up = {"charge": charge, "cv": high, "until": str(keys.cut_off)}
        rest: PlainStep = {"rest": str(keys.rest)}
        said = {key: str(getattr(self.record, key)) for key in sorted(self.record.model_fields_set)}
        steps: list[PlainStep] = [up, rest, {"discharge": discharge, "until": low}, rest]
        return [{**step, "record": said} if said else {**step} for step in steps]


class FormationStep(Routine):
    """The first cycles of a cell."""

    formation: Formation

    def steps(self) -> list[PlainStep]:
        """Return one loop of cycles."""
        keys = self.formation
        current = str(keys.current)
        return [{"repeat": keys.cycles, "do": self.cycle(keys, current, current)}]


class RateCapabilityStep(Routine):
    """Cycles at one rate after another."""

    rate_capability: RateCapability

    def steps(self) -> list[PlainStep]:
        """Return a loop of cycles for each rate."""
        keys = self.rate_capability
        return [
            {
                "repeat": keys.cycles,
                "do": self.cycle(keys, str(rate if keys.charge is None else keys.charge), str(rate)),
            }
            for rate in keys.rates
        ]


class CapacityCheckStep(Routine):
    """A slow charge and discharge by which a capacity is known."""

    capacity_check: CapacityCheck

    def steps(self) -> list[PlainStep]:
        """Return charge, rest, discharge, rest."""
        current = str(self.capacity_check.current)
        return self.cycle(self.capacity_check, current, current)
