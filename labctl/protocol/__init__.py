"""The TOML language: model, load, plan, check. Knows no instrument and moves nothing.

Every error of a file is told at once, as a ProtocolError with one located Finding each.
"""

import math
from collections.abc import Mapping

from labctl.errors import Finding
from labctl.plan import Plan, StationAbilities
from labctl.protocol.bind import bind, examine
from labctl.protocol.load import LoadedCell, Protocol, draft, in_order, load, load_cell
from labctl.protocol.source import Source

ANY_STATION = StationAbilities(
    name="any",
    voltage=(-math.inf, math.inf),
    current=math.inf,
    torque=math.inf,
    temperature=(-273.15, math.inf),
    measured=(("negative", math.inf), ("positive", math.inf)),
    external_probe=True,
    frequencies=(0.0, math.inf),
)
"""A station that can do everything, for a check without one."""


def check_source(
    source: Source,
    station: StationAbilities | None = None,
    cell: LoadedCell | None = None,
    settings: Mapping[str, str] | None = None,
) -> tuple[Finding, ...]:
    """Return everything wrong with the text of a protocol, on a station where one is given."""
    return bind_source(source, station, cell, settings)[0]


def bind_source(
    source: Source,
    station: StationAbilities | None = None,
    cell: LoadedCell | None = None,
    settings: Mapping[str, str] | None = None,
) -> tuple[tuple[Finding, ...], Protocol | None, Plan | None]:
    """Return everything wrong with the text of a protocol, and what is made of it; a plan only where no error is."""
    protocol, findings = draft(source, settings or {})
    if protocol is None:
        return in_order(findings), None, None
    plan, more = examine(protocol, station or ANY_STATION, cell)
    right = not findings and not more
    # a step whose form is wrong was left out: what others expect of it is not known
    findings += [finding for finding in more if not findings or finding.code not in {"label", "cycles"}]
    findings += _unprotected(source, station or ANY_STATION)
    return in_order(findings), protocol, plan if right else None


def _unprotected(source: Source, station: StationAbilities) -> list[Finding]:
    """Warn of a station at which nothing bounds the cell, or holds its pressure, when this software fails."""
    place, found = source.key(("protocol",)), list[Finding]()
    if station.letting_go:
        sides = " and the ".join(station.letting_go)
        reason = f"at station {station.name} the rig of the {sides} side is neither self-locking nor braked"
        remedy = "The run asks for --consent: the pressure is gone when the drive fails."
        found.append(Finding("unguarded", place, reason, remedy, severity="warning"))
    if not station.without_takeover:
        return found
    names = ", ".join(station.without_takeover)
    if station.software_only:
        reason = f"at station {station.name} only this software bounds {', '.join(station.software_only)}"
        remedy = "The run asks for --consent: nothing acts there when the computer fails."
    else:
        reason = f"at station {station.name} no guard can take over {names} when the daemon fails"
        remedy = "Only the limits or the watchdog in the instrument act then: trust them, or stay there."
    return [*found, Finding("unguarded", place, reason, remedy, severity="warning")]


__all__ = [
    "ANY_STATION",
    "LoadedCell",
    "Protocol",
    "bind",
    "bind_source",
    "check_source",
    "load",
    "load_cell",
]
