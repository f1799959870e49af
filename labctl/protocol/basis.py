"""What a step is bound against: the cell's scale, the station, and the limits that hold for it."""

from dataclasses import dataclass

from labctl.plan import Limits, StationAbilities
from labctl.protocol.findings import Findings
from labctl.protocol.scale import Scale


@dataclass(frozen=True, slots=True)
class Basis:
    """Passed down the tree; a step with limits of its own gets a narrower one."""

    scale: Scale
    station: StationAbilities
    limits: Limits
    findings: Findings
