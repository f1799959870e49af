"""Whether screws and load cells of real stations are calibrated, and for how long that still stands."""

from collections.abc import Iterator

from labctl.calibration.store import Calibrations
from labctl.clock import host_unix
from labctl.config import Config
from labctl.errors import RefusedForSafety, StorageError
from labctl.lab.abilities import abilities
from labctl.lab.doctor.check import Check, error, fine, warning

DAY = 86400.0
FEWEST_DAYS = 30.0
"""Days that a calibration should still stand for."""


def calibrations(config: Config) -> Iterator[Check]:
    """Say of every station what its newest calibrations are; whose instruments they are shows when it is connected."""
    known = Calibrations(config.storage.folder)
    for station in config.stations:
        try:
            found = known.newest(station)
            lacking = abilities(config, station).uncalibrated
        except (RefusedForSafety, StorageError) as refusal:
            yield error("calibrations", refusal.sentence, refusal.remedy)
            continue
        for _, sentence in lacking:
            yield warning("calibrations", f"{station}: {sentence}", f"labctl calibrate torque {station}")
        for each in found:
            left = None if each.expires is None else (each.expires.timestamp() - host_unix()) / DAY
            if left is not None and left <= 0.0:
                continue
            said = f"{station}: {each.kind} of the {each.side} side, of {each.date:%Y-%m-%d}"
            if left is not None and left < FEWEST_DAYS:
                remedy = f"labctl calibrate {each.kind} {station} --side {each.side}"
                yield warning("calibrations", f"{said}, expires in {left:.0f} days", remedy)
            else:
                yield fine("calibrations", said if left is None else f"{said}, stands for {left:.0f} days")
