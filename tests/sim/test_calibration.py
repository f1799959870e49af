"""The papers' figures that the presets were calibrated to: this proves the software, not the chemistry."""

import math

import pytest

from labctl.sim.presets import PRESETS, CellChoice

from .cells import at_reference, hold, per_gram, preset, run_to

MA_PER_CM2 = 10.0


def test_doerrer_symmetric() -> None:
    """204 mAh/g, 85 % and 99.4 % after ten cycles at 2.5 MPa, 0.2 mA/cm², 2.5 to 4.3 V."""
    cell = preset("nmc83-li")
    current = 0.2 * MA_PER_CM2 * cell.parameters.area
    charged = [run_to(cell, voltage, current) for _ in range(10) for voltage in (4.3, 2.5)]
    assert per_gram(cell, charged[1]) == pytest.approx(204.0, abs=2.0)
    assert charged[1] / charged[0] == pytest.approx(0.85, abs=0.01)
    assert all(charged[k + 1] / charged[k] > 0.99 for k in range(2, 20, 2))
    assert charged[19] / charged[1] == pytest.approx(0.994, abs=0.002)


def test_doerrer_at_0_2_and_at_10_mpa() -> None:
    """Held out: the first discharge hardly depends on the cathode's pressure, and 10 MPa fades least."""
    first, last = {}, {}
    for pressure in (0.2e6, 2.5e6, 10e6):
        cell = preset("nmc83-li")
        cell.set_conditions(negative_pressure=2.5e6, positive_pressure=pressure, temperature=30.0)
        current = 0.2 * MA_PER_CM2 * cell.parameters.area
        charges = [run_to(cell, voltage, current) for _ in range(5) for voltage in (4.3, 2.5)]
        first[pressure], last[pressure] = charges[1], charges[9]
    assert first[0.2e6] == pytest.approx(first[2.5e6], rel=0.03)
    assert first[0.2e6] < first[2.5e6] < first[10e6]
    retention = {pressure: last[pressure] / first[pressure] for pressure in first}
    assert retention[0.2e6] == pytest.approx(retention[2.5e6], abs=1e-3)
    assert retention[10e6] > retention[2.5e6]


def test_doerrer_thick() -> None:
    """Held out: 43 mg/cm² gives 205 mAh/g and 87 %."""
    cell = at_reference(CellChoice(preset="nmc83-li", loading=0.43).parameters())
    current = 0.2 * MA_PER_CM2 * cell.parameters.area
    charged, discharged = run_to(cell, 4.3, current), run_to(cell, 2.5, current)
    assert per_gram(cell, discharged) == pytest.approx(205.0, abs=3.0)
    assert discharged / charged == pytest.approx(0.87, abs=0.03)


def test_ma() -> None:
    """196 mAh/g, 88 % at 0.2C (225 mA/g), 1.35 to 2.75 V against LTO, 45 °C; 78 % after 100 cycles (pellet)."""
    cell = preset("lno-lto")
    current = 0.2 * 225.0 * cell.parameters.loading * cell.parameters.area
    charges = [run_to(cell, voltage, current) for _ in range(100) for voltage in (2.75, 1.35)]
    assert per_gram(cell, charges[1]) == pytest.approx(196.0, abs=2.0)
    assert charges[1] / charges[0] == pytest.approx(0.88, abs=0.01)
    assert charges[199] / charges[1] == pytest.approx(0.78, abs=0.02)


def test_wang() -> None:
    """116 mAh/g, 76 % at 1C (150 mA/g), 4.3 V for 15 min, to 2.7 V vs Li; 82 % after 2000 cycles."""
    cell = preset("nmc721-liin")
    current = 150.0 * cell.parameters.loading * cell.parameters.area
    discharged = []
    for _ in range(2000):
        charged = run_to(cell, 3.68, current) + hold(cell, 900.0)
        discharged.append(run_to(cell, 2.08, current))
        if len(discharged) == 1:
            assert discharged[0] / charged == pytest.approx(0.76, abs=0.01)
    assert per_gram(cell, discharged[0]) == pytest.approx(116.0, abs=2.0)
    assert discharged[-1] / discharged[0] == pytest.approx(0.82, abs=0.01)


def test_doerrer_against_lto() -> None:
    """Held out: the same cathode gives the same capacity against LTO, 1.55 V lower; without lithium it never shorts."""
    cells = {"nmc83-li": 0.0, "nmc83-lto": 1.55}
    given = {}
    for name, counter in cells.items():
        cell = preset(name)
        current = 0.2 * MA_PER_CM2 * cell.parameters.area
        given[name] = [run_to(cell, voltage - counter, current) for voltage in (4.3, 2.5)]
    assert given["nmc83-lto"] == pytest.approx(given["nmc83-li"], rel=1e-6)
    assert preset("nmc83-lto").parameters.penetration_charge == math.inf


def test_lee() -> None:
    """105.5 mAh/g, 62.1 % after 100 cycles (pellet): 3 CC-CV cycles at 0.1C, then 0.2C; 81.4 % in the first of CC."""
    cell = preset("lnmo-liin")
    one_c = 147.0 * cell.parameters.loading * cell.parameters.area
    discharged = []
    for cycle in range(100):
        current = one_c * (0.1 if cycle < 3 else 0.2)
        charged = run_to(cell, 4.4, current)
        if not cycle:
            held_from = charged
        while cell.current > current / 5.0:
            charged += hold(cell, 60.0)
        discharged.append(run_to(cell, 2.75, current))
        if not cycle:
            assert discharged[0] / held_from == pytest.approx(0.814, abs=0.01)
    assert per_gram(cell, discharged[0]) == pytest.approx(105.5, abs=1.0)
    assert discharged[99] / discharged[0] == pytest.approx(0.621, abs=0.01)


def test_wang_2024() -> None:
    """83 % in the sixth cycle at 0.1C; then both cut-offs are met at once."""
    cell = preset("nmc811-li")
    current = 0.1 * 200.0 * cell.parameters.loading * cell.parameters.area
    charged = [run_to(cell, voltage, current) for _ in range(7) for voltage in (4.3, 2.5)]
    assert charged[11] / charged[1] == pytest.approx(0.83, abs=0.01)
    assert charged[12] == charged[13] == 0.0


@pytest.mark.parametrize(
    ("name", "negative", "net"), [("nmc83-li", 13.85e-6, 12.3e-6), ("lno-lto", 0.0, None), ("nmc721-liin", 0.0, None)]
)
def test_breathing_of_one_charge(name: str, negative: float, net: float | None) -> None:
    """Doerrer's 14 mg/cm² against lithium: +12.3 µm net; against LTO and indium only the positive side shrinks."""
    cell = preset(name)
    top, bottom = {"nmc83-li": (4.3, 2.5), "lno-lto": (2.75, 1.35), "nmc721-liin": (3.68, 2.08)}[name]
    current = 0.2 * MA_PER_CM2 * cell.parameters.area
    run_to(cell, top, current)
    run_to(cell, bottom, current)
    before = cell.growth()
    run_to(cell, top, current)
    after = cell.growth()
    grown = [b - a for a, b in zip(before, after, strict=True)]
    assert grown[0] == pytest.approx(negative, abs=0.2e-6)
    assert grown[1] < -1e-6
    if net is not None:
        assert sum(grown) == pytest.approx(net, abs=0.2e-6)


def test_a_cell_can_have_another_size() -> None:
    parameters = CellChoice(preset="lno-lto", diameter=9e-3, loading=0.17).parameters()
    assert parameters.area == pytest.approx(math.pi * 4.5e-3**2)
    assert parameters.loading == 0.17


def test_an_unknown_cell_is_refused_with_those_that_exist() -> None:
    with pytest.raises(
        ValueError, match='no simulated cell "nmc"; there are lnmo-bare-liin, lnmo-liin, lno-lto, nmc721-liin,'
    ):
        CellChoice(preset="nmc")


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_open_circuit_voltage_rises_with_charge(name: str) -> None:
    parameters = PRESETS[name]()
    assert min(parameters.charging.slopes) > 0.0
    assert min(parameters.discharging.slopes) > 0.0
