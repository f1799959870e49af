"""The address of a broker."""

from pathlib import Path

import orjson
import pytest

from labctl.bus.address import Address
from labctl.errors import StorageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mqtt://192.0.2.7", Address("192.0.2.7", 1883)),
        ("mqtt://broker.example:8000/", Address("broker.example", 8000)),
        ("mqtt://me:p%40ss@localhost:1", Address("localhost", 1, "me", "p@ss")),
    ],
)
def test_a_url(text: str, expected: Address) -> None:
    assert Address.parse(text) == expected


@pytest.mark.parametrize("text", ["http://localhost", "mqtt://", "mqtt://h:99999", "mqtt://h/topic", "mqtt://[::1"])
def test_what_is_no_address_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(StorageError, match="Give mqtt://user:password@host:port"):
        Address.parse(text)


def test_a_runtime_file(tmp_path: Path) -> None:
    address = Address("127.0.0.1", 1234, "labctl", "secret")
    path = tmp_path / "broker.json"
    path.write_bytes(orjson.dumps(address.to_json()))
    assert Address.parse(str(path)) == address
    path.write_text("{}")
    with pytest.raises(StorageError, match="is not the runtime file of a broker"):
        Address.parse(str(path))
    with pytest.raises(StorageError, match="cannot be read: No such file"):
        Address.parse(str(tmp_path / "absent"))


def test_a_password_is_not_shown() -> None:
    address = Address("127.0.0.1", 1234, "labctl", "secret")
    assert "secret" not in f"{address} {address!r}"
