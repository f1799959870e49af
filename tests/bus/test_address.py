"""The address of a broker: what may be used, and what nobody may be led to use."""

from pathlib import Path

import orjson
import pytest

from labctl.bus.address import Address
from labctl.bus.client import MqttBus
from labctl.errors import LabctlError, StorageError
from labctl.settings import BusConfig


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mqtt://127.0.0.1", Address("127.0.0.1", 1883)),
        ("mqtt://localhost:8000/", Address("localhost", 8000)),
        ("mqtt://[::1]:7", Address("::1", 7)),
        ("mqtt://m%40e@127.0.0.2:1", Address("127.0.0.2", 1, "m@e", "pw")),
        ("mqtts://anna@broker.example", Address("broker.example", 8883, "anna", "pw", tls=True, role="operator")),
        ("mqtts://anna@0.0.0.0:1", Address("0.0.0.0", 1, "anna", "pw", tls=True, role="operator")),
    ],
)
def test_a_url(text: str, expected: Address) -> None:
    password = "pw" if "@" in text else None
    assert Address.parse(text, password, role="operator") == expected


@pytest.mark.parametrize("text", ["http://localhost", "mqtt://", "mqtt://h:99999", "mqtt://h/topic", "mqtt://[::1"])
def test_what_is_no_address_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(StorageError, match=r"Give mqtt://127\.0\.0\.1:port"):
        Address.parse(text)


@pytest.mark.parametrize(
    "host", ["192.0.2.7", "0.0.0.0", "[::]", "lab-pc", "broker.example", "localhost.example", "127.0.0.1.example"]
)
def test_a_broker_elsewhere_without_tls_is_refused(host: str) -> None:
    with pytest.raises(StorageError, match="without TLS on another machine"):
        Address.parse(f"mqtt://{host}:1883")


@pytest.mark.parametrize(
    ("text", "password"), [("mqtts://h", None), ("mqtts://anna@h", None), ("mqtts://h", "pw"), ("mqtts://anna@h", "")]
)
def test_tls_without_a_user_and_a_password_is_refused(text: str, password: str | None) -> None:
    with pytest.raises(StorageError, match="without a user and a password"):
        Address.parse(text, password)


@pytest.mark.parametrize("text", ["mqtt://me:hunter2@localhost:1", "mqtts://me:hunter2@h", "mqtt://:hunter2@127.0.0.1"])
def test_a_password_in_an_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(StorageError, match="holds a password") as refused:
        Address.parse(text)
    assert "hunter2" not in str(refused.value)


def write(path: Path, content: object, mode: int = 0o600) -> Path:
    path.write_bytes(orjson.dumps(content))
    path.chmod(mode)
    return path


def test_a_runtime_file(tmp_path: Path) -> None:
    address = Address("127.0.0.1", 1234, "labctl", "secret")
    path = write(tmp_path / "broker.json", address.to_json())
    assert Address.parse(str(path)) == address
    write(path, {})
    with pytest.raises(StorageError, match="is not the runtime file of a broker"):
        Address.parse(str(path))
    with pytest.raises(StorageError, match="cannot be read: No such file"):
        Address.parse(str(tmp_path / "absent"))


def test_a_runtime_file_of_a_broker_elsewhere_needs_tls_as_well(tmp_path: Path) -> None:
    path = write(tmp_path / "b.json", {"host": "192.0.2.7", "port": 1883, "username": "u", "password": "p"})
    with pytest.raises(StorageError, match="without TLS on another machine"):
        Address.read(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_with_a_password_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "b.json", Address("127.0.0.1", 1, "u", "hunter2").to_json(), mode)
    with pytest.raises(StorageError, match=f"mode 0{mode:o}") as refused:
        Address.read(path)
    assert "hunter2" not in str(refused.value)


def test_the_password_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pw").write_text("hunter2\n")
    (tmp_path / "pw").chmod(0o600)
    (tmp_path / "ca.crt").write_text("PEM")
    named = BusConfig(broker="mqtts://anna@h", password="file:pw", ca="ca.crt", role="operator")
    expected = Address("h", 8883, "anna", "hunter2", tls=True, ca="PEM", role="operator")
    assert Address.of(named, tmp_path) == expected
    monkeypatch.setenv("LAB_PW", "hunter3")
    assert Address.of(named.model_copy(update={"password": "env:LAB_PW"}), tmp_path).password == "hunter3"
    (tmp_path / "pw").chmod(0o644)
    with pytest.raises(LabctlError, match="chmod 600"):
        Address.of(named, tmp_path)
    with pytest.raises(StorageError, match=r"absent\.crt"):
        Address.of(BusConfig(broker="mqtts://anna@h", ca="absent.crt"), tmp_path)


def test_each_person_may_have_credentials_beside_one_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = Address("h", 8883, "anna", "pw", tls=True, role="viewer")
    monkeypatch.setenv("LABCTL_BUS", str(write(tmp_path / "anna.json", anna.to_json())))
    assert Address.of(BusConfig(broker="mqtt://127.0.0.1"), tmp_path) == anna
    assert not BusConfig().embedded


def test_what_vouches_for_a_broker_must_be_a_certificate() -> None:
    with pytest.raises(StorageError, match="no certificate in PEM"):
        MqttBus(Address("h", 8883, "anna", "pw", tls=True, ca="-----BEGIN CERTIFICATE-----\nx"))


def test_a_password_is_not_shown() -> None:
    address = Address("127.0.0.1", 1234, "labctl", "secret")
    assert "secret" not in f"{address} {address!r}"
