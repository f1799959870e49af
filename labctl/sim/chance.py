"""Scripts of faults by chance, from a seed."""

import math
import random
from collections.abc import Sequence

from labctl.sim.schedule import DARK, DARKENING, HAPPENS_TO, LASTING, Kind, Scheduled, overlapping


def random_script(rng: random.Random, instruments: Sequence[str], duration: float, count: int) -> tuple[Scheduled, ...]:
    """Draw so many faults of a laboratory with these instruments, in the order in which they begin.

    Args:
        rng: draws; the same state gives the same script.
        instruments: names of a station's instruments; add "cell", "rig" and "room" for physical faults.
        duration: s of lab time within which they begin.
        count: how many; fewer where no room is found for one.
    """
    script: list[Scheduled] = []
    possible = {place: kinds for place in instruments if (kinds := _kinds_at(place))}
    for _ in range(count):
        place = rng.choice(sorted(possible))
        drawn = _drawn(rng, place, rng.choice(possible[place]), duration)
        if overlapping([*script, drawn]) is None:
            script.append(drawn)
    return tuple(sorted(script, key=lambda fault: (fault.begin, fault.instrument, fault.kind)))


def _kinds_at(place: str) -> list[Kind]:
    if place in HAPPENS_TO.values():
        return [kind for kind, target in HAPPENS_TO.items() if target == place]
    integers = {Kind.WRONG_UNIT, Kind.NOT_A_NUMBER} if place.startswith("pressure_rig") else set()
    return [kind for kind in Kind if kind not in HAPPENS_TO and kind not in integers]


_DRIFTS = {
    "cycler": 1e-3,
    "load_cell": 1.0,
    "pressure_rig": 1e-2,
    "hand_tool": 1e-3,
    "gas_regulator": 1e3,
    "thermostat": 0.1,
}
"""The fastest drifts that are drawn: per second, V, N, rad, N·m, Pa, K."""


def _drawn(rng: random.Random, place: str, kind: Kind, duration: float) -> Scheduled:
    """Draw one fault: most are short, some last until the end."""
    begin = round(rng.uniform(0.0, duration), 3)
    lasting = kind in LASTING or rng.random() < 0.1
    length = max(round(math.exp(rng.uniform(math.log(0.5), math.log(3600.0))), 3), 0.5)
    if kind in DARKENING:
        length += DARK
    value = 0.0
    match kind:
        case Kind.LATE:
            value = round(math.exp(rng.uniform(math.log(0.01), math.log(30.0))), 3)
        case Kind.DRIFT:
            most = _DRIFTS[place.partition(".")[0]]
            value = float(f"{rng.choice((-1, 1)) * most * 10.0 ** rng.uniform(-3.0, 0.0):.3g}")
        case Kind.SHORT:
            value = round(10.0 ** rng.uniform(1.0, 4.5), 1)
        case Kind.CONTACT_LOSS:
            value = round(rng.uniform(0.05, 0.9), 3)
        case Kind.SLIP:
            value = round(rng.uniform(0.05, 2.0), 3)
        case Kind.HEATER_FAILURE:
            value = rng.choice((0.0, 1.0))
    return Scheduled(place, kind, begin, math.inf if lasting else round(begin + length, 3), value)
