"""A set made ready to rehearse: its protocol bound to its cell and to a simulated station like the paper's."""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from labctl.config import Config, load
from labctl.errors import StorageError
from labctl.lab.abilities import abilities
from labctl.plan import BoundCell, Plan
from labctl.protocol import bind, load_cell
from labctl.protocol import load as load_protocol
from labctl.reproduce.table import Set
from labctl.settings import shipped
from labctl.sim.bench import BenchParameters

LABORATORY = Path(__file__).with_name("laboratory.toml")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, and the configuration in which its station simulates the set's cell."""

    plan: Plan
    config: Config
    station: str


def library() -> Path:
    """Return the folder that holds `protocols`, `cells` and `campaigns`: that of the clone, or of the installation.

    Raises:
        StorageError: there is neither.
    """
    protocols = shipped("protocols")
    if protocols is not None:
        return protocols.parent
    raise StorageError("The protocols that labctl ships are not installed.", "Install labctl again, with its data.")


@cache
def laboratory() -> Config:
    """Return the simulated laboratory of the library."""
    return load(LABORATORY)


def prepare(each: Set, *, quick: bool = False) -> Prepared:
    """Bind the protocol of a set; the simulated cell has the size that the protocol speaks of.

    Args:
        quick: with the fewer cycles of the table.

    Raises:
        ProtocolError: the protocol cannot be bound.
    """
    folder = library()
    cell = load_cell(folder / "cells" / f"{each.cell}.toml")
    inputs = {name: str(value) for name, value in each.quick.items()} if quick else {}
    able = abilities(laboratory(), each.station)
    plan = bind(load_protocol(folder / "protocols" / each.protocol), able, cell, inputs)
    return Prepared(plan, laboratory().simulating(each.station, _like(plan.cell, each.simulation)), each.station)


def _like(cell: BoundCell, simulation: BenchParameters) -> BenchParameters:
    """Give the simulated cell the loading or thickness and the diameter of the real one, as far as they are said."""
    area, mass = cell.positive_area, cell.active_mass
    if area is None:
        return simulation
    size = {"diameter": math.sqrt(4.0 * area / math.pi)}
    if mass is not None:
        size["loading"] = mass / area
    if cell.stack_thickness is not None:
        size["thickness"] = cell.stack_thickness
    return simulation.model_copy(update={"cell": simulation.cell.model_copy(update=size)})
