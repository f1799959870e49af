"""Every test of the contract runs for each driver that is installed, whoever wrote it."""

import pytest

from tests.contract.operations import OPERATIONS
from tests.contract.stand import DRIVERS, Stand


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test its drivers: those of its module's ROLE, or all; and each operation of their role."""
    role = getattr(metafunc.module, "ROLE", None)
    names = [name for name, driver in DRIVERS.items() if role in (None, driver.role)]
    if "operation" in metafunc.fixturenames:
        cases = [(name, operation) for name in names for operation in OPERATIONS[DRIVERS[name].role]]
        metafunc.parametrize(("driver_name", "operation"), cases, ids=[f"{name}-{what}" for name, what in cases])
    elif "driver_name" in metafunc.fixturenames:
        metafunc.parametrize("driver_name", names)


@pytest.fixture
def stand(driver_name: str) -> Stand:
    """A fresh instrument and its driver, which has not spoken with it yet."""
    return Stand(driver_name)
