"""config.toml: the sentence a user gets for each thing that can be wrong with it, and what it stands for when right."""

from pathlib import Path

import pytest

from labctl.config import Config, load
from labctl.errors import ConfigError, RefusedForSafety
from labctl.lab.abilities import abilities
from labctl.lab.laboratory import all_simulated
from labctl.plan import ByHand, Spring
from labctl.settings import find, load_settings
from tests.stations import CONFIG

TEXT = CONFIG.read_text()


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    assert caught.value.exit_code == 3
    return str(caught.value).replace(str(tmp_path), "")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"keithley-2450"', '"keithly-2450"', 'There is no driver "keithly-2450".\n'),
        ('"keithley-2450"', '"keithly-2450"', 'Did you mean "keithley-2450"? Installed: alicat-pc, dynamixel-x,'),
        ('driver    = "keithley-2450"', 'driver    = "mark10"', "mark10 is a load cell, not a cycler"),
        ('capacity = "500 N"', "capacity = 500", "500 is a bare number where a force belongs"),
        ('capacity = "500 N"', 'capacity = "500 V"', '"500 V" is a voltage, not a force'),
        ('capacity = "500 N"\n', "", 'mark10 lacks "capacity", which has no default'),
        ("four_wire = true", "for_wire = true", '"for_wire" is no key of keithley-2450 (did you mean "four_wire"?)'),
        ('current           = "10 mA"', 'current           = "10 mV"', '"10 mV" is a voltage, not a current'),
        ('voltage           = ["0 V", "5 V"]', 'voltage           = ["5 V", "0 V"]', '"5 V" is not below "0 V"'),
        ('preset = "nmc83-li"', 'preset = "nmc84-li"', "there is no simulated cell"),
        ("[bus]", "[buss]", '"buss" is unknown here (did you mean "bus"?)'),
        ('schema = "1"', 'schema = "2"', '"2" is not possible for schema'),
        ('poll      = "1 s"', 'poll      = "-1 s"', "negative"),
        ('broker = "embedded"', 'broker = "http://x"', '"http://x"'),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in TEXT
    told = refusal(tmp_path, TEXT.replace(old, new, 1))
    assert sentence.strip() in told
    assert told.startswith("/config.toml:")


def test_every_error_is_told_at_once(tmp_path: Path) -> None:
    told = refusal(tmp_path, TEXT.replace("four_wire = true", "for_wire = true").replace('"500 N"', '"500 V"'))
    assert told.count("error[") == 5


def test_a_missing_file_and_a_missing_station(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such configuration") as caught:
        load(tmp_path / "none.toml")
    assert "Copy the simulated laboratory" in str(caught.value)
    config = load(CONFIG)
    with pytest.raises(ConfigError, match='there is no station "B7"') as caught:
        config.station("B7")
    assert "Stations here: A1, A2, A3, A4." in str(caught.value)


def test_a_poll_that_is_too_slow_for_the_driver_is_refused(tmp_path: Path) -> None:
    config = load(write(tmp_path, TEXT.replace('poll      = "1 s"', 'poll      = "30 s"', 1)))
    with pytest.raises(ConfigError, match="30 s is too slow: this driver must be polled every 1 s or faster"):
        abilities(config, "A1")


def test_a_servo_does_not_turn_a_simulated_press(tmp_path: Path) -> None:
    press = '[station.A1.simulation.rig]\nkind = "press"\nforce = "10 kN"\n'
    assert "the simulated rig of this station is a press" in refusal(tmp_path, TEXT + press)


def test_both_sides_of_a_station_may_be_driven(tmp_path: Path) -> None:
    rig = TEXT[TEXT.index("[station.A1.pressure_rig.negative]") : TEXT.index("[station.A1.thermostat]")]
    config = load(write(tmp_path, TEXT + "\n" + rig.replace(".negative", ".positive")))
    assert abilities(config, "A1").actuated == ("negative", "positive")


WRENCH = """
[station.A1.hand_tool.positive]
driver = "torque-wrench"
address = "sim://"
lowest = "0.05 N m"
highest = "1 N m"
screw = "8 mm"
self_locking = true
"""
GAS = """
[station.A1.gas_regulator.positive]
driver = "alicat-pc"
address = "sim://"
unit = "bar"
piston = "50 mm"
maximum = "6 bar"
"""
SPRING = """
[station.A1.spring.positive]
stiffness = "50 N/mm"
preload = "15.7 N"
travel = "2 mm"
"""


def test_a_side_may_be_pressed_by_hand_or_by_a_spring(tmp_path: Path) -> None:
    by_hand = abilities(load(write(tmp_path, TEXT + WRENCH)), "A1")
    assert by_hand.driven == ("negative", "positive")
    assert by_hand.by_hand == (ByHand("positive", "torque", 0.05, 1.0, 8e-3, self_locking=True),)
    sprung = abilities(load(write(tmp_path, TEXT + SPRING)), "A1")
    assert sprung.springs == (Spring("positive", 5e4, 15.7, 2e-3),)
    assert sprung.driven == ("negative",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (WRENCH + SPRING, "the positive side is pressed by its hand_tool already, and by one thing at most"),
        (WRENCH.replace("positive", "negative"), "the negative side is pressed by its pressure_rig already"),
        (WRENCH.replace("self_locking = true\n", ""), 'torque-wrench lacks "self_locking", which has no default'),
        (WRENCH.replace("true", "false"), "a wrench holds nothing"),
        (WRENCH.replace("sim://", "/dev/ttyUSB0"), '"/dev/ttyUSB0" is no address of a hand tool'),
        (WRENCH.replace("torque-wrench", "mark10"), "mark10 is a load cell, not a hand tool"),
        (GAS, "the simulated rig of this station is a screw, which no gas presses"),
        (GAS.replace("sim://", "operator://"), '"operator://" is no address of a gas regulator'),
    ],
)
def test_what_cannot_press_a_side_is_refused_at_its_place(tmp_path: Path, text: str, reason: str) -> None:
    assert reason in refusal(tmp_path, TEXT + text)


SHARED = TEXT[TEXT.index("[station.A4.cycler]") :].replace("A4", "B1")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TEXT + SHARED, "channel 1 of sim://cycler-1 is the one of A4/cycler"),
        (
            TEXT.replace("sim://cycler-1", "TCPIP::192.0.2.7::5025::SOCKET")
            + SHARED.replace("sim://cycler-1", "TCPIP::192.0.2.7::5025::SOCKET"),
            "channel 1 of TCPIP::192.0.2.7::5025::SOCKET is the one of A4/cycler",
        ),
        (
            TEXT.replace('"sim://"', '"sim://cycler-1"', 1),
            "sim://cycler-1 is the keithley-2450 of A1/cycler, and a simulated-cycler has no channel of it",
        ),
        (TEXT.replace("sim://cycler-1", "sim://cycler 1"), '"sim://cycler 1" is no simulator'),
    ],
)
def test_what_stations_cannot_share_is_refused_at_its_place(tmp_path: Path, text: str, reason: str) -> None:
    assert f": {reason}" in refusal(tmp_path, text)


def test_stations_share_an_instrument_by_its_channels(tmp_path: Path) -> None:
    text = TEXT + SHARED.replace("channel = 1", "channel = 16")
    config = load(write(tmp_path, text))
    assert all_simulated(config, "B1")
    assert abilities(config, "B1").current == 0.1


def test_simulated_and_real_instruments_are_not_mixed(tmp_path: Path) -> None:
    assert all_simulated(load(CONFIG), "A1")
    mixed = load(
        write(tmp_path, TEXT.replace('address   = "sim://"', 'address   = "TCPIP::192.0.2.7::5025::SOCKET"', 1))
    )
    with pytest.raises(
        RefusedForSafety, match=r"mixes simulated instruments \(load_cell.negative.*with real ones \(cycler\)"
    ):
        all_simulated(mixed, "A1")


def test_abilities_come_from_drivers_and_limits() -> None:
    found = abilities(load(CONFIG), "A1")
    assert found.actuated == ("negative",)
    assert found.measured == (("negative", 500.0), ("positive", 50.0))
    assert found.external_probe
    assert found.current_limit == 0.01
    assert (found.pressure_negative_limit.low, found.pressure_negative_limit.high) == (0.0, 5e6)
    assert found.torque == pytest.approx(1.0, rel=0.01)


def test_the_configuration_that_applies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    assert find() == Path("config.toml")
    (tmp_path / "home" / "labctl").mkdir(parents=True)
    users = tmp_path / "home" / "labctl" / "config.toml"
    users.write_text(TEXT)
    assert find() == users
    (tmp_path / "config.toml").write_text(TEXT)
    assert find() == Path("config.toml")
    monkeypatch.setenv("LABCTL_CONFIG", "/elsewhere.toml")
    assert find() == Path("/elsewhere.toml")


def test_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def folder(config: Config) -> Path:
        return config.storage.folder

    monkeypatch.delenv("LABCTL_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert folder(load(CONFIG)) == tmp_path / "labctl"
    assert folder(load(write(tmp_path, TEXT.replace('data = ""', 'data = "/srv/lab"')))) == Path("/srv/lab")
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "x"))
    assert folder(load(CONFIG)) == tmp_path / "x"


# -- without its stations --------------------------------------------------------------------------------------------


def test_a_client_reads_the_same_without_stations_and_drivers(tmp_path: Path) -> None:
    whole, settings = load(CONFIG), load_settings(CONFIG)
    assert (settings.lab, settings.bus, settings.storage, settings.tui) == (
        whole.lab, whole.bus, whole.storage, whole.tui,
    )  # fmt: skip
    elsewhere = write(tmp_path, TEXT.replace('"keithley-2450"', '"not-installed-here"'))
    assert load_settings(elsewhere).lab == whole.lab


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('site = "', 'site = "a/'),
        ("[storage]", "[storag]"),
        ("[lab]", "[lab"),
        ('schema = "1"', 'schema = "2"'),
        (TEXT[TEXT.index("[station") :], ""),
        ("[lab]", "x = " + "[" * 5000 + "]" * 5000 + "\n[lab]"),
    ],
)
def test_a_client_is_told_what_is_wrong_as_everybody_is(tmp_path: Path, old: str, new: str) -> None:
    assert old in TEXT
    file = write(tmp_path, TEXT.replace(old, new, 1))
    with pytest.raises(ConfigError) as whole:
        load(file)
    with pytest.raises(ConfigError) as settings:
        load_settings(file)
    assert str(settings.value) == str(whole.value)


def test_a_client_without_a_configuration_is_told_where_one_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such configuration"):
        load_settings(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes("[lab]\nsite = 'é'".encode("latin-1"))
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load_settings(tmp_path / "latin.toml")
