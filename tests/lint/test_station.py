"""What a check knows of a station: from its drivers, and from what its configuration says of the frame."""

from pathlib import Path

from labctl.config import load
from labctl.lab.abilities import abilities
from labctl.lint import check
from labctl.plan import Frame
from tests.protocol.files import LIBRARY

CONFIG = (Path(__file__).parents[2] / "config.toml").read_text(encoding="utf-8")
DOERRER = LIBRARY / "doerrer-2021" / "asymmetric.toml"


def configured(folder: Path, *changes: tuple[str, str]) -> Path:
    text = CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_drivers_say_what_their_instruments_tell_apart(tmp_path: Path) -> None:
    config = load(configured(tmp_path))
    able = abilities(config, "A1")
    assert dict(able.accuracy) == {"negative": 0.5, "positive": 0.05}
    assert (able.voltage_resolution, able.current_resolution) == (1e-5, None)
    assert able.continuous_torque is not None
    assert able.torque is not None
    assert able.torque < able.continuous_torque
    assert abilities(config, "A4").current_resolution == 1e-8


def test_a_simulated_frame_is_known_and_a_real_one_is_what_somebody_wrote(tmp_path: Path) -> None:
    real = [
        (f'"{driver}"\naddress  = "sim://"', f'"{driver}"\naddress  = "/dev/tty{driver}"') for driver in ("mark10",)
    ]
    assert abilities(load(configured(tmp_path)), "A1").frame == Frame(1e6, 1.25e-3, 8e-3)
    assert abilities(load(configured(tmp_path, *real)), "A1").frame == Frame()
    said = ("[station.A1.limits]", '[station.A1.frame]\nstiffness = "1e7 N/m"\nlead = "1.25 mm"\n[station.A1.limits]')
    assert abilities(load(configured(tmp_path, *real, said)), "A1").frame == Frame(1e7, 1.25e-3, None)
    assert abilities(load(configured(tmp_path, said)), "A1").frame == Frame(1e7, 1.25e-3, 8e-3)
    assert abilities(load(configured(tmp_path)), "A3").frame == Frame()


def test_the_cathode_side_of_doerrer_2021_needs_its_small_load_cell(tmp_path: Path) -> None:
    fine, coarse = configured(tmp_path), ('capacity = "50 N"', 'capacity = "5 kN"')
    assert check(DOERRER, abilities(load(fine), "A1")) == ()
    (finding,) = check(DOERRER, abilities(load(configured(tmp_path, coarse)), "A1"))
    assert finding.code == "load-cell"
    assert finding.reason == (
        "the load cell of the positive side (5 kN) is right within 63.66 kPa,"
        " less well than the band of ±10 kPa asks for"
    )
