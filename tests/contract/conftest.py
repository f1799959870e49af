"""Every test of the contract runs for each driver that is installed, whoever wrote it."""

import pytest

from tests.contract.operations import OPERATIONS
from tests.contract.stand import DRIVERS, Stand


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test its drivers: all, those of its module's ROLE, of them those with PROGRAMS; and each operation."""
    role, programs = getattr(metafunc.module, "ROLE", None), hasattr(metafunc.module, "PROGRAMS")
    names = [name for name, driver in DRIVERS.items() if role in (None, driver.role)]
    if programs:
        names = [name for name in names if hasattr(DRIVERS[name].make, "start_program")]
    if "operation" in metafunc.fixturenames:
        cases = [(name, operation) for name in names for operation in OPERATIONS[DRIVERS[name].role]]
        metafunc.parametrize(("driver_name", "operation"), cases, ids=[f"{name}-{what}" for name, what in cases])
    elif "driver_name" in metafunc.fixturenames:
        metafunc.parametrize("driver_name", names)


@pytest.fixture
def stand(driver_name: str) -> Stand:
    """A fresh instrument and its driver, which has not spoken with it yet."""
    return Stand(driver_name)
