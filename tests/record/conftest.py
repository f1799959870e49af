"""A broker of either kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.laboratory import IotcoreBroker, MosquittoBroker


@pytest.fixture(params=["iotcore", "mosquitto"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IotcoreBroker | MosquittoBroker]:
    """The embedded broker, and Debian's mosquitto where it is installed."""
    if request.param == "mosquitto" and MosquittoBroker.executable is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto mosquitto-clients)")
    broker = IotcoreBroker(tmp_path / "run") if request.param == "iotcore" else MosquittoBroker(tmp_path / "run")
    yield broker
    broker.stop()
