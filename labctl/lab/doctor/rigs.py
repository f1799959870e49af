"""What the guard can not compare at the rig of a station, because nobody has said what it takes."""

from collections.abc import Iterator

from labctl.config import Config
from labctl.errors import RefusedForSafety
from labctl.lab.abilities import abilities
from labctl.lab.doctor.check import Check, fine, warning
from labctl.lab.laboratory import all_simulated
from labctl.plan import StationAbilities

PART = "rig watch"


def rigs(config: Config) -> Iterator[Check]:
    """Tell of each station that measures a force what is off; a person should know it of real instruments."""
    for name in config.stations:
        able = abilities(config, name)
        if not able.measured:
            continue
        off = "; ".join(_off(able))
        if not off:
            yield fine(PART, f"{name}: everything is compared")
        elif _simulated(config, name):
            yield fine(PART, f"{name}: simulated; not compared: {off}")
        else:
            yield warning(PART, f"{name}: not compared: {off}", "See [station.NAME.disagreement] in the configuration.")


def _off(able: StationAbilities) -> Iterator[str]:
    """Yield what is not compared, with the key that it lacks."""
    differ, known = able.disagreement, dict(able.accuracy)
    for side, _ in able.measured:
        if side not in known:
            yield f"the {side} force, until its noise is known (its driver declares no accuracy)"
    if able.measured and not able.driven and not able.by_hand and not able.springs:
        yield "jumps of a force (nothing that presses is declared)"
    if able.actuated and differ.screw is None:
        yield "torque with force (disagreement.screw)"
    if len(able.measured) > 1 and differ.wall is None and differ.force is None:
        yield "one side with the other (disagreement.wall)"
    if differ.drift is None and able.temperature is not None:
        yield "force with temperature (disagreement.drift)"
    if able.springs and able.frame.lead is None:
        yield "a spring with what the screw compresses it by (frame.lead)"


def _simulated(config: Config, name: str) -> bool:
    try:
        return all_simulated(config, name)
    except RefusedForSafety:
        return False
