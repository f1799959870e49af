"""Whether a guard watches over the daemon, and what it could not make safe."""

from collections.abc import Iterator

from labctl.config import Config, is_simulated
from labctl.errors import StorageError
from labctl.filelock import is_locked
from labctl.lab.consent import letting_go, software_only, without_takeover
from labctl.lab.doctor.bus import daemon_runs
from labctl.lab.doctor.check import Check, error, fine, warning
from labctl.lab.guarded import Outcome, read_report
from labctl.lab.locks import guard_lock


def guard(config: Config) -> Iterator[Check]:
    """Look for a guard, for what one has reported, and for instruments that none can take over."""
    yield _running(config)
    try:
        report = read_report(config.storage.folder)
    except StorageError as refusal:
        yield error("guard", refusal.sentence, refusal.remedy)
        report = None
    if report is not None:
        for left in report.stations.values():
            if left.outcome is Outcome.UNCONFIRMED:
                yield error("guard", f"{report.why} {left.sentence}", "Then start the daemon: labctl daemon")
            elif left.outcome is not Outcome.NOTHING:
                yield warning("guard", f"{report.why} {left.sentence}", "Start the daemon: labctl daemon")
    for station in config.stations:
        names = ", ".join(without_takeover(config, station))
        if software_only(config, station):
            found = f"{station}: no guard can take over {names}, and only software bounds it"
            yield warning("guard", found, "Runs there ask for --consent; stay with them.")
        elif names:
            found = f"{station}: no guard can take over {names}"
            yield warning("guard", found, "Only limits or watchdog in the instrument act when the daemon fails.")
        for side in letting_go(config, station):
            found = f"{station}: the rig of the {side} side is neither self-locking nor braked"
            yield warning("guard", found, "Runs there ask for --consent; its pressure is gone when the drive fails.")


def _running(config: Config) -> Check:
    if is_locked(guard_lock(config.storage.folder)):
        return fine("guard", "one watches over the daemon")
    addresses = [each.address for station in config.stations.values() for _, _, each in station.instruments()]
    if all(map(is_simulated, addresses)):
        return fine("guard", "none is running; every station is simulated")
    found = "none is running" + ("" if daemon_runs(config.storage.folder) else ", and no daemon either")
    return warning("guard", found, "labctl guard, or systemctl start labctl-guard")
