"""What still protects a cell when this process dies, and the consent that is asked for where nothing does."""

from labctl.clock import LabClock
from labctl.config import Config
from labctl.errors import RefusedForSafety
from labctl.instrument import Executes, Role
from labctl.plan import SIDES, Side, StationAbilities
from labctl.reading import Event


def without_takeover(config: Config, station: str) -> tuple[str, ...]:
    """Return the instruments that drive something and that a guard cannot take over."""
    return tuple(
        name
        for name, role, _ in config.station(station).instruments()
        if role is not Role.LOAD_CELL and not config.drivers[station, name][0].features.takeover
    )


def software_only(config: Config, station: str) -> tuple[str, ...]:
    """Return those of them in which neither limits nor a watchdog act without this process."""
    every = {name: config.drivers[station, name][0].features for name in without_takeover(config, station)}
    return tuple(name for name, has in every.items() if has.limits is Executes.HOST and not has.watchdog)


def letting_go(config: Config, station: str) -> tuple[Side, ...]:
    """Return the sides whose rig holds no force without its drive, being neither self-locking nor braked."""
    rigs = {side: config.drivers.get((station, f"{Role.PRESSURE_RIG}.{side}")) for side in SIDES}
    return tuple(side for side, rig in rigs.items() if rig is not None and not rig[0].features.self_locking)


def refuse_without_consent(able: StationAbilities, consent: str) -> None:
    """Refuse a run that nothing would bound, or whose pressure nothing would hold, if this process died.

    Somebody may consent to that.

    Raises:
        RefusedForSafety: nobody has.
    """
    if (able.software_only or able.letting_go) and not consent.strip():
        raise RefusedForSafety(
            f"{unprotected(able)} A run that is left alone is refused.",
            'Stay there, or say who takes that upon themselves, and why: --consent "NAME: REASON". It is recorded.',
        )


def unprotected(able: StationAbilities) -> str:
    """Say what a station lacks."""
    lacks: list[str] = []
    if able.software_only:
        lacks.append(
            f"At station {able.name} only this software bounds {', '.join(able.software_only)}: no limits and no "
            "watchdog in the instrument, and no guard can take it over."
        )
    if able.letting_go:
        lacks.append(
            f"At station {able.name} the rig of the {' and the '.join(able.letting_go)} side is neither self-locking "
            "nor braked: it lets go when its drive does."
        )
    return " ".join(lacks)


def consented(consent: str, user: str, clock: LabClock) -> Event:
    """Return the record of a consent."""
    said = f"{user} consents to this run all the same: {consent}"
    return Event("run.consent", clock.unix(), 0.0, said, data={"user": user, "consent": consent})
