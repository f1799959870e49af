"""[bus] of config.toml: what is refused, and that a password written where it should not be is not repeated."""

from pathlib import Path

import pytest

from labctl.bus.address import Address
from labctl.config import load
from labctl.errors import ConfigError, RefusedForSafety
from labctl.lab.recording import open_bus, process_of
from tests.stations import CONFIG

TEXT = CONFIG.read_text("utf-8")


def configured(folder: Path, *lines: str) -> Path:
    path = folder / "config.toml"
    path.write_text(TEXT.replace(next(line for line in TEXT.splitlines() if "broker =" in line), "\n".join(lines)))
    return path


@pytest.mark.parametrize(
    "address", ["mqtt://labctl:hunter2@127.0.0.1:1883", "mqtts://anna:hunter2@h", "x://:hunter2@h"]
)
def test_a_password_in_the_file_is_refused_and_not_repeated(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.toml:9:\d+: error\[value\]: this holds a password") as refused:
        load(configured(tmp_path, f'broker = "{address}"'))
    assert "hunter2" not in str(refused.value)
    assert 'Write password = "file:PATH"' in str(refused.value)


@pytest.mark.parametrize(
    "line", ['broker = "mqtt://u:hunter2@h', 'broker = "mqtt://u:hunter2@h" x', "password = 'hunter2'"]
)
def test_nor_is_it_when_something_else_is_wrong_with_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(configured(tmp_path, line))
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("broker", ["", "somewhere", "http://h", "mqtt://", "broker.txt"])
def test_what_is_no_broker_is_refused(tmp_path: Path, broker: str) -> None:
    with pytest.raises(ConfigError, match="this is no broker"):
        load(configured(tmp_path, f'broker = "{broker}"'))


async def test_a_process_uses_what_is_named_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("hunter2")
    (tmp_path / "pw").chmod(0o600)
    config = load(configured(tmp_path, 'broker = "mqtts://daemon@h:1"', 'password = "file:pw"', 'role = "admin"'))
    async with open_bus(config, process_of(config), tmp_path) as (bus, where):
        assert where == "mqtts://h:1"
        assert "hunter2" not in f"{bus!r} {bus.trouble} {where}"
    person = load(configured(tmp_path, 'broker = "mqtts://anna@h:1"', 'password = "file:pw"', 'role = "operator"'))
    with pytest.raises(RefusedForSafety, match="anna is operator, and may not say what is measured"):
        async with open_bus(person, process_of(person), tmp_path):
            pass
    expected = Address("h", 1, "daemon", "hunter2", tls=True, role="admin")
    assert Address.of(config.bus, config.folder) == expected
    beside = load(configured(tmp_path, 'broker = "mine.json"'))
    assert beside.bus.secret_files(beside.folder) == (tmp_path / "mine.json",)
    assert config.bus.secret_files(config.folder) == (tmp_path / "pw",)
