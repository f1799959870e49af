"""Entry points to the one driver that was named; no other driver is imported."""

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points, packages_distributions
from typing import Any, cast

from pydantic import ValidationError

from labctl.errors import LabctlError
from labctl.instrument import Features, Instrument, Options, Role, Wire

GROUP = "labctl.drivers"

DriverClass = Callable[..., Instrument]


class UnknownDriver(LabctlError):
    """No installed driver has this name."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver that was loaded: its class, and what it declares."""

    name: str
    make: DriverClass
    role: Role
    wire: Wire
    features: Features
    options: type[Options]
    example: Mapping[str, object]
    simulator: str
    summary: str

    def example_options(self, changed: Mapping[str, object]) -> Options:
        """Validate the driver's example keys, some of them changed.

        Raises:
            UnknownDriver: a changed key is none of the driver's, or its value is not possible.
        """
        try:
            return self.options.model_validate({**self.example, **changed})
        except ValidationError as error:
            known = ", ".join(self.options.model_fields)
            reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise UnknownDriver(f"{self.name} cannot be set up so: {reasons}.", f"Its keys are {known}.") from None

    def load_simulator(self) -> Callable[..., Any]:
        """Import the driver's simulator; called for `sim://` and `labctl sim` only."""
        module, _, name = self.simulator.partition(":")
        return cast("Callable[..., Any]", getattr(importlib.import_module(module), name))


def driver_names() -> list[str]:
    """Names of all installed drivers, without importing any."""
    return sorted(entry.name for entry in entry_points(group=GROUP))


def load_driver(name: str) -> Driver:
    """Import the driver of that name.

    Raises:
        UnknownDriver: none has that name, or two distributions both install a package called `drivers`.
    """
    found: list[EntryPoint] = list(entry_points(group=GROUP, name=name))
    if not found:
        names = driver_names()
        near = difflib.get_close_matches(name, names, n=1)
        hint = f'Did you mean "{near[0]}"? ' if near else ""
        raise UnknownDriver(f'There is no driver "{name}".', f"{hint}Installed: {', '.join(names)}.")
    _refuse_two_distributions(found, name)
    driver = found[0].load()
    return Driver(
        name=name,
        make=driver,
        role=driver.ROLE,
        wire=driver.WIRE,
        features=driver.FEATURES,
        options=driver.Options,
        example=driver.EXAMPLE,
        simulator=driver.SIMULATOR,
        summary=(driver.__doc__ or "").strip().splitlines()[0] if driver.__doc__ else "",
    )


@cache
def owners_of_drivers() -> list[str]:
    """Distributions that contain a top-level package `drivers`; looking through all of them takes a moment."""
    return sorted(set(packages_distributions().get("drivers", [])))


def _refuse_two_distributions(found: list[EntryPoint], name: str) -> None:
    """Another distribution with a top-level `drivers` overwrites ours without a word: the code may be anyone's."""
    owners = owners_of_drivers()
    if len(owners) > 1:
        raise UnknownDriver(
            f'Two installed distributions both contain a package "drivers": {", ".join(owners)}.',
            "Uninstall the other one and reinstall labctl-battery; other drivers belong in packages labctl_<vendor>.",
        )
    if len({entry.value for entry in found}) > 1:
        values = ", ".join(entry.value for entry in found)
        raise UnknownDriver(f'Two installed distributions both call a driver "{name}": {values}.', "Uninstall one.")
