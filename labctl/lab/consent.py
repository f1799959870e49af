"""What still protects a cell when this process dies, and the consent that is asked for where nothing does."""

from labctl.clock import LabClock
from labctl.config import Config
from labctl.errors import RefusedForSafety
from labctl.instrument import Executes, Role
from labctl.plan import StationAbilities
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


def refuse_without_consent(able: StationAbilities, consent: str) -> None:
    """Refuse a run that nothing would bound if this process died, unless somebody has consented to that.

    Raises:
        RefusedForSafety: nobody has.
    """
    if able.software_only and not consent.strip():
        raise RefusedForSafety(
            f"{unprotected(able)} A run that is left alone is refused.",
            'Stay there, or say who takes that upon themselves, and why: --consent "NAME: REASON". It is recorded.',
        )


def unprotected(able: StationAbilities) -> str:
    """Say what a station lacks."""
    names = ", ".join(able.software_only)
    return (
        f"At station {able.name} only this software bounds {names}: no limits and no watchdog in the instrument, "
        "and no guard can take it over."
    )


def consented(consent: str, user: str, clock: LabClock) -> Event:
    """Return the record of a consent."""
    said = f"{user} consents to a run that only software protects: {consent}"
    return Event("run.consent", clock.unix(), 0.0, said, data={"user": user, "consent": consent})
