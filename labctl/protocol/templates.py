"""The verbs that are written in files and unfold to others, and the tests among them."""

from labctl.protocol.pulses import GittStep, HppcStep, IciStep, PittStep, PulseStep, Test
from labctl.protocol.routines import CapacityCheckStep, FormationStep, RateCapabilityStep

TESTS: dict[str, type[Test]] = {
    "pulse": PulseStep,
    "gitt": GittStep,
    "pitt": PittStep,
    "hppc": HppcStep,
    "ici": IciStep,
    "formation": FormationStep,
    "rate_capability": RateCapabilityStep,
    "capacity_check": CapacityCheckStep,
}

WRITTEN = ("run", *TESTS)
