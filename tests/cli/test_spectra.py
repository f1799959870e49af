"""Impedance from a protocol to what a person sees of it: checked, rehearsed, run, listed, drawn."""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from labctl.cli.app import run
from labctl.cli.spectra import nyquist, point_table
from labctl.record.queries import PointRow
from labctl.record.schema import connect

CONFIG = """\
schema = "1"
[station.S1.cycler]
driver  = "simulated-cycler"
channel = 1
address = "sim://"
poll    = "1 s"
[station.S1.limits]
voltage = ["0 V", "5 V"]
current = "10 mA"
[station.S1.simulation.cell]
preset = "nmc83-li"
[station.K1.cycler]
driver  = "keithley-2450"
address = "sim://"
poll    = "1 s"
[station.K1.limits]
voltage = ["0 V", "5 V"]
current = "10 mA"
[station.K1.simulation.cell]
preset = "nmc83-li"
"""
PROTOCOL = """\
schema = "1"
[protocol]
name = "spectra"
[cell]
kind = "full"
capacity = "2 mAh"
[limits]
voltage = ["2.0 V", "4.4 V"]
current = "3 mA"
capacity = "4 mAh"
[record]
interval = "60 s"
[[step]]
charge = "C/5"
until = "20 min"
[[step]]
rest = "10 min"
[[step]]
eis = { from = "1 kHz", to = "1 Hz", amplitude = "10 mV rms", per_decade = 5 }
[[step]]
geis = { from = "1 Hz", to = "100 Hz", amplitude = "0.1 mA rms", bias = "0.4 mA", per_decade = 5 }
"""
Labctl = Callable[..., tuple[int, str, str]]


@pytest.fixture
def labctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Labctl:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "p.toml").write_text(PROTOCOL)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["labctl", "--config", str(tmp_path / "config.toml"), *arguments])
        status = run()
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call


def test_a_spectrum_is_run_listed_and_drawn(labctl: Labctl, tmp_path: Path) -> None:
    protocol = str(tmp_path / "p.toml")
    status, _, err = labctl("run", protocol, "--station", "S1", "--simulate", "--seed", "3")
    assert status == 0, err
    shown = json.loads(labctl("show", "1", "--spectra", "--json")[1])
    points = shown["spectra"]
    assert [(p["step_count"], p["frequency_hertz"]) for p in points[::5]] == [
        *((3, f) for f in (1000.0, 100.0, 10.0, 1.0)),
        *((4, f) for f in (6.3095734448, 63.095734448)),
    ]
    assert all(p["real_impedance_ohm"] > 0.0 > p["imaginary_impedance_ohm"] for p in points)
    status, out, _ = labctl("show", "1", "--spectra")
    assert status == 0
    assert "Nyquist plot (simulated)" in out
    assert "step 3" in out
    assert len([line for line in out.splitlines() if line.split()[:2] in (["3", "0"], ["4", "0"])]) == len(points) == 27
    steps = json.loads(labctl("show", "1", "--json")[1])["steps"]
    assert [(step["verb"], step["end_reason"]) for step in steps[2:4]] == [
        ("eis", "its end is reached"),
        ("geis", "its end is reached"),
    ]


def test_a_run_without_one_says_so(labctl: Labctl, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(PROTOCOL[: PROTOCOL.index("[[step]]\neis")])
    assert labctl("run", str(tmp_path / "p.toml"), "--station", "S1", "--simulate")[0] == 0
    assert labctl("show", "1", "--spectra")[:2] == (0, "Run 1 has no impedance spectrum.\n")


def test_a_station_that_measures_none_is_refused_by_name(labctl: Labctl, tmp_path: Path) -> None:
    protocol = str(tmp_path / "p.toml")
    status, out, _ = labctl("check", protocol, "--station", "S1")
    assert status == 0
    assert "at most about 30 min 33 s" in out
    status, _, err = labctl("check", protocol, "--station", "K1")
    assert status == 3
    assert err.count("error[station]: the cycler of station K1 measures no impedance") == 2


def arc(step: int, cycle: int, diameter: float) -> list[PointRow]:
    """A resistor of 10 ohm, and one of this many ohm beside a capacitor."""
    angles = [math.pi * index / 20.0 for index in range(21)]
    radius = diameter / 2.0
    return [PointRow(step, cycle, 0.0, 1.0, 10.0 + radius * (1.0 - math.cos(a)), -radius * math.sin(a)) for a in angles]


def test_an_arc_is_as_high_as_half_its_width_and_every_spectrum_has_its_line() -> None:
    out = Console(width=100, no_color=True, color_system=None, force_terminal=False, legacy_windows=False)
    plot = nyquist(out, [*arc(2, 0, 100.0), *arc(9, 20, 50.0)], simulated=False).plain
    head, *_, below = plot.splitlines()
    assert head.split() == ["Nyquist", "plot", "-Z''", "/", "Ω", "1", "step", "2", "2", "step", "9,", "cycle", "20"]
    assert below.endswith("Z' / Ω")
    assert (len(plot.splitlines()), max(map(len, plot.splitlines()))) == (20, 80)
    narrow = nyquist(out, arc(1, 1, 0.0), simulated=True).plain
    assert len(narrow.splitlines()) >= 8


def test_points_are_told_to_five_digits() -> None:
    out = Console(width=100, no_color=True, record=True)
    with out.capture() as said:
        out.print(point_table([PointRow(3, 1, 0.0, 1.2345678e6, 0.0012345678, -123456.78)]))
    assert said.get().split() == [
        "Step",
        "Cyc",
        "f/Hz",
        "Z'/Ω",
        "Z''/Ω",
        "3",
        "1",
        "1.2346e+06",
        "0.0012346",
        "-1.2346e+05",
    ]


def test_what_its_points_take_is_known_before(labctl: Labctl, tmp_path: Path) -> None:
    protocol = tmp_path / "p.toml"
    protocol.write_text(PROTOCOL.replace("per_decade = 5 }", "per_decade = 100 }"))
    (told,) = json.loads(labctl("check", str(protocol), "--station", "S1", "--json")[1])["files"]
    assert labctl("run", str(protocol), "--station", "S1", "--simulate")[0] == 0
    connect(tmp_path / "empty.db").close()
    grown = (tmp_path / "data" / "labctl.db").stat().st_size - (tmp_path / "empty.db").stat().st_size
    assert told["estimate"]["bytes"] == pytest.approx(grown, rel=0.1, abs=8192)
