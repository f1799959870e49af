"""What every load cell must do: compression positive, in newtons, tared, and nothing beyond its capacity."""

import pytest

from labctl.errors import OverRange
from labctl.instrument import Role
from tests.contract.operations import force_read
from tests.contract.stand import Stand

ROLE = Role.LOAD_CELL
ACCURACY = 2e-3
"""Of the capacity, after a tare."""


async def test_compression_is_positive_and_true(stand: Stand) -> None:
    await stand.load_cell.connect()
    for angle in (0.5, 1.0, 1.5, 1.0):
        stand.bench.rig.turn_to(angle)
        await stand.unpolled(60.0)
        force = await stand.load_cell.read()
        force_read(stand, force)
        assert force > 10.0


async def test_a_tare_removes_the_offset(stand: Stand) -> None:
    await stand.load_cell.connect()
    await stand.load_cell.tare()
    capacity = stand.load_cell.capacity
    for angle in (0.0, 0.5, 1.0):
        stand.bench.rig.turn_to(angle)
        await stand.unpolled(60.0)
        truth = stand.bench.rig.force("negative")
        assert await stand.load_cell.read() == pytest.approx(truth, abs=ACCURACY * capacity)


async def test_a_force_beyond_capacity_is_no_value(stand: Stand) -> None:
    await stand.load_cell.connect()
    rig = stand.bench.rig
    while rig.force("negative") < 1.2 * stand.load_cell.capacity:
        rig.turn_to(rig.angle + 0.1)
    with pytest.raises(OverRange):
        await stand.load_cell.read()
    rig.turn_to(0.5)
    force_read(stand, await stand.load_cell.read())
