"""Whether what is installed belongs together: Python, packages, drivers; and whether the configuration is right."""

import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from labctl import __version__
from labctl.config import Config, load
from labctl.errors import ConfigError, LabctlError
from labctl.lab.doctor.check import Check, error, fine, warning
from labctl.registry import driver_names, load_driver, owners_of_drivers

DISTRIBUTION = "labctl-battery"
OLDEST_PYTHON = (3, 11)


def installation() -> Iterator[Check]:
    """Look at Python, at every package that labctl needs, and at every driver."""
    python = f"Python {platform.python_version()} ({sys.prefix})"
    if sys.version_info < OLDEST_PYTHON:
        yield error("python", python, "Install Python 3.11 or newer, and labctl with it.")
    else:
        yield fine("python", python)
    yield packages()
    owners = owners_of_drivers()
    if len(owners) > 1:
        found = f'{" and ".join(owners)} both contain a package "drivers"'
        yield error("drivers", found, f"Uninstall the other one and reinstall {DISTRIBUTION}.")
    else:
        yield from drivers()


def packages() -> Check:
    """Look whether every package that labctl needs is there."""
    try:
        needed = [_name(line) for line in requires(DISTRIBUTION) or () if "extra ==" not in line]
    except PackageNotFoundError:
        found = f"{DISTRIBUTION} is not installed, this is a folder of its source"
        return error("packages", found, "Install it: pip install --editable .")
    there, missing = [], []
    for name in needed:
        try:
            there.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return error("packages", f"missing: {', '.join(missing)}", f"pip install --upgrade {DISTRIBUTION}")
    return fine("packages", f"labctl {__version__}, {', '.join(there)}")


def drivers() -> Iterator[Check]:
    """Import every installed driver."""
    loaded = []
    for name in driver_names():
        try:
            load_driver(name)
        except LabctlError as refusal:
            yield error("drivers", refusal.sentence, refusal.remedy)
        except Exception as bug:  # noqa: BLE001 - a driver is anybody's code, and its import may do anything
            yield error("drivers", f"{name} cannot be imported: {bug!r}", "Update or uninstall its package.")
        else:
            loaded.append(name)
    yield fine("drivers", ", ".join(loaded))


def configuration(path: Path) -> tuple[Config | None, list[Check]]:
    """Read the configuration; without one there is nothing to ask, and that is all."""
    part = "configuration"
    try:
        config = load(path)
    except ConfigError as refusal:
        if not path.exists():
            return None, [warning(part, f"there is no {path}", refusal.findings[0].remedy)]
        return None, [
            error(part, f"{found.place.file}:{found.place.line}:{found.place.column}: {found.reason}", found.remedy)
            for found in refusal.findings
        ]
    return config, [fine(part, f"{path}: stations {', '.join(config.stations) or 'none'}")]


def _name(requirement: str) -> str:
    """Return the distribution of "aiomqtt<3,>=2.5; python_version > '3'"."""
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
