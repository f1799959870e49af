"""What every test may use, and the guard that no test leaves anything running behind."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from labctl.clock import VirtualClock
from labctl.sim.bench import Bench, SimulatedInstrument
from labctl.sim.host import Host
from tests.laboratory import IotcoreBroker, MosquittoBroker

# A machine that is busy with other tests is slow; that is no finding.
settings.register_profile("labctl", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("labctl")

EPOCH = 1_767_225_600.0
"""2026-01-01T00:00Z: lab time zero in tests."""


@pytest.fixture
def clock() -> VirtualClock:
    """Virtual lab time that starts at EPOCH."""
    return VirtualClock(EPOCH)


@pytest.fixture(scope="session", autouse=True)
def _nobody_s_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests away from the data of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


Served = Callable[[Bench, SimulatedInstrument, str], AbstractAsyncContextManager[str]]


@pytest.fixture
def served() -> Served:
    """`async with served(bench, simulator, "pty" | "tcp://127.0.0.1:0") as address`: a simulator on a real wire."""

    @asynccontextmanager
    async def serve(bench: Bench, simulator: SimulatedInstrument, listen: str) -> AsyncIterator[str]:
        async with Host(bench) as host:
            yield await host.serve(simulator, listen)

    return serve


@pytest.fixture(autouse=True)
def _no_leaked_threads() -> Iterator[None]:
    """A test that leaves a task or a non-daemon thread behind fails."""
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and t.is_alive() and not t.daemon]
    for thread in left:
        thread.join(timeout=2.0)
    left = [t for t in left if t.is_alive() and not t.name.startswith("asyncio_")]
    assert not left, f"left running: {left}"


@pytest.fixture(params=["iotcore", "mosquitto"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IotcoreBroker | MosquittoBroker]:
    """The embedded broker, and Debian's mosquitto where it is installed."""
    if request.param == "mosquitto" and MosquittoBroker.executable is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto mosquitto-clients)")
    broker = IotcoreBroker(tmp_path / "run") if request.param == "iotcore" else MosquittoBroker(tmp_path / "run")
    yield broker
    broker.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every asynchronous test is guarded against tasks that outlive it."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.add_marker(pytest.mark.usefixtures("no_leaked_tasks"))


@pytest.fixture
async def no_leaked_tasks() -> AsyncIterator[None]:
    """Tasks must end with the test that started them."""
    before = asyncio.all_tasks()
    yield
    for _ in range(5):
        await asyncio.sleep(0)
    left = [t for t in asyncio.all_tasks() - before if t is not asyncio.current_task() and not t.done()]
    assert not left, f"left running: {left}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the seeds that tests drew, so that what they did can be done again."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "seeds" and getattr(report, "when", "") == "call":
                    terminalreporter.write_line(f"seeds {value}  ({report.nodeid})")
