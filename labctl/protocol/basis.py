"""What a step is bound against: the cell's scale, the station, and the limits that hold for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from labctl.plan import Limits, StationAbilities
from labctl.protocol.findings import Findings
from labctl.protocol.profile import ProfileTable
from labctl.protocol.scale import Scale


@dataclass(frozen=True, slots=True)
class Basis:
    """Passed down the tree; a step with limits of its own gets a narrower one."""

    scale: Scale
    station: StationAbilities
    limits: Limits
    findings: Findings
    profiles: Mapping[str, ProfileTable] = field(default_factory=dict)
    """By the name of their file."""
