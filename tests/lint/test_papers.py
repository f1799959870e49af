"""The figures of five papers: those that do not close are found, those that close within rounding are not."""

from dataclasses import replace

import pytest

from labctl.errors import ProtocolError
from labctl.lint import check_source
from labctl.plan import StationAbilities
from labctl.protocol import bind, load_cell
from labctl.protocol.attached import read_protocol
from labctl.protocol.hash import protocol_hash
from labctl.protocol.load import fill
from labctl.protocol.source import parse
from tests.protocol.files import LIBRARY, STATION
from tests.stations import ROOT

from .files import LIMITS, protocol, told

LI_IN = 'negative = { material = "Li-In", potential = "0.62 V vs Li" }\n'
REST = '[[step]]\nrest = "1 h"\n'


def cell(positive: str, stated: dict[str, str], negative: str = LI_IN) -> str:
    pairs = ", ".join(f'"{one}" = "{other}"' for one, other in stated.items())
    disc = f'kind = "full"\nbore = "10 mm"\npositive = {{ diameter = "10 mm", {positive} }}\n'
    return f"{disc}{negative}stated = {{ {pairs} }}\n"


WANG = {"0.2C": "0.8 mA/cm2", "3C": "11.5 mA/cm2", "116 mAh/g": "4.3 mAh/cm2"}


def test_the_currents_of_wang_2023_do_not_close_with_the_stated_loading() -> None:
    positive = 'material = "NMC721", active_loading = "36 mg/cm2", one_c = "150 mA/g"'
    by = "by 150 mA/g and 36 mg/cm2"
    one_c = "(1C is 5.4 mA/cm2 by them and"
    assert told(protocol(REST, cell(positive, WANG))) == [
        (
            f'not-closing: "0.8 mA/cm2": {by} "0.2C" is 1.08 mA/cm2, not "0.8 mA/cm2": 35 % more, beyond rounding'
            f" {one_c} 4 mA/cm2 by this)"
        ),
        (
            f'not-closing: "11.5 mA/cm2": {by} "3C" is 16.2 mA/cm2, not "11.5 mA/cm2": 41 % more, beyond rounding'
            f" {one_c} 3.83 mA/cm2 by this)"
        ),
    ]


def test_read_as_composite_the_currents_close_and_the_capacity_does_not() -> None:
    positive = 'material = "NMC721", active_loading = "25.2 mg/cm2", one_c = "150 mA/g"'
    assert told(protocol(REST, cell(positive, WANG))) == [
        (
            'not-closing: "4.3 mAh/cm2": by 25.2 mg/cm2 "116 mAh/g" is 2.92 mAh/cm2, not "4.3 mAh/cm2": 32 % less,'
            " beyond rounding"
        )
    ]


def test_the_anode_of_wang_2023_is_beyond_the_plateau() -> None:
    positive = 'material = "NMC721", active_loading = "25.2 mg/cm2", one_c = "150 mA/g"'
    foils = LI_IN.replace(" }", ', li_thickness = "50 um", in_thickness = "50 um" }')
    assert told(protocol(REST, cell(positive, {}, foils))) == [
        'plateau: "50 um": Li:In is 1.21 as assembled: beyond 1 it leaves the plateau on which 0.62 V vs Li rests'
    ]


LEE = 'material = "LiNi0.5Mn1.5O4", one_c = "146 mA/g", active_loading = '
MA = (
    'material = "LiNiO2", active_loading = "11.0 mg/cm2", one_c = "225 mA/g"',
    'negative = { material = "Li4Ti5O12", potential = "1.55 V vs Li", areal_capacity = "4.35 mAh/cm2" }\n',
)
DOERRER = 'material = "LiNi0.83Mn0.06Co0.11O2", active_loading = '
CLOSING = {
    "lee, pellet": cell(f'{LEE}"14 mg/cm2"', {"105.5 mAh/g": "1.51 mAh/cm2"}),
    "lee, film": cell(f'{LEE}"27 mg/cm2"', {"0.2C": "0.8 mA/cm2", "89.8 mAh/g": "2.46 mAh/cm2"}),
    "lee, anode": cell(f'{LEE}"14 mg/cm2"', {}, LI_IN.replace(" }", ", li_in_ratio = 0.33 }")),
    "ma": cell(MA[0], {"225 mAh/g": "2.5 mAh/cm2", "196 mAh/g": "2.2 mAh/cm2"}, MA[1]),
    "doerrer, thin": cell(f'{DOERRER}"14 mg/cm2"', {"204 mAh/g": "3 mAh/cm2", "14.3 mA/g": "0.2 mA/cm2"}),
    "doerrer, thick": cell(f'{DOERRER}"43 mg/cm2"', {"205 mAh/g": "8.7 mAh/cm2"}),
}


@pytest.mark.parametrize("figures", CLOSING.values(), ids=CLOSING)
def test_figures_that_close_within_rounding_are_not_told(figures: str) -> None:
    limits = LIMITS.replace("300 mAh/g", "9 mAh")
    assert told(protocol(REST, figures, limits)) == []


def codes(file: str) -> set[str]:
    """Every warning that a file of the library has, whether its author allows it or not."""
    source = read_protocol(LIBRARY / file)
    found = {finding.code for finding in check_source(source)}
    return found if "not-built" in found else found | set(fill(source, {}).file.check.allow)


@pytest.mark.parametrize("paper", ["lee-2022", "ma-2024", "doerrer-2021"])
def test_the_library_is_told_nothing_of_papers_whose_figures_close(paper: str) -> None:
    for file in sorted((LIBRARY / paper).glob("*.toml")):
        assert codes(f"{paper}/{file.name}") <= {"not-built"}, file


@pytest.mark.parametrize("file", ["cccv", "rate"])
def test_the_library_as_shipped_is_told_of_wang_2023(file: str) -> None:
    """5.4 mA/cm2 from 150 mA/g and 36 mg/cm2 against 3.8 to 4.0 from the stated currents; suppressed is nothing."""
    source = read_protocol(LIBRARY / "wang-2023" / f"{file}.toml")
    assert not fill(source, {}).file.check.allow
    cell = load_cell(ROOT / "cells" / f"wang-2023-{file}.toml")
    by, one_c = "by 150 mA/g and 36 mg/cm2", "(1C is 5.4 mA/cm2 by them and"
    for given in (None, cell):
        plateau, *closing = [(each.code, each.reason) for each in check_source(source, None, given)]
        assert plateau == (
            "plateau",
            "Li:In is 1.21 as assembled: beyond 1 it leaves the plateau on which 0.62 V vs Li rests",
        )
        assert [code for code, _ in closing] == ["not-closing", "not-closing"]
        told = [reason.partition(", beyond rounding ") for _, reason in closing]
        assert [(figures, rest) for figures, _, rest in told] == [
            (f'{by} "0.2C" is 1.08 mA/cm2, not "0.8 mA/cm2": 35 % more', f"{one_c} 4 mA/cm2 by this)"),
            (f'{by} "3C" is 16.2 mA/cm2, not "11.5 mA/cm2": 41 % more', f"{one_c} 3.83 mA/cm2 by this)"),
        ]


def test_what_is_driven_is_not_what_the_source_states() -> None:
    positive = 'active_loading = "25.2 mg/cm2", one_c = "150 mA/g"'
    stated = positive.replace("25.2 mg/cm2", '25.2 mg/cm2", stated_loading = "36 mg/cm2')
    driven, said = (
        protocol('[[step]]\ncurrent = "1C"\nuntil = "1 s"\n', cell(each, {})) for each in (positive, stated)
    )
    one, other = (fill(parse("p.toml", text, ProtocolError), {}) for text in (driven, said))
    assert bind(one, STATION).body == bind(other, STATION).body
    assert protocol_hash(one.file) == protocol_hash(other.file)


def station(capacity: float, error: float) -> StationAbilities:
    """A station whose cathode side has such a load cell; N."""
    sides = (("negative", 500.0), ("positive", capacity))
    return replace(STATION, actuated=("negative",), measured=sides, accuracy=(("positive", error),))


def test_five_kilonewtons_with_one_per_cent_do_not_see_the_cathode_side_of_doerrer_2021() -> None:
    steps = """\
[[step]]
pressure = { negative = "2.5 MPa", positive = "0.2 MPa", ramp = "0.1 MPa/s" }
until = "stable within 5 % for 60 s"
timeout = "20 min"
"""
    assert told(protocol(steps), station(5000.0, 50.0)) == [
        (
            'load-cell-blind: "0.2 MPa": "0.2 MPa" cannot be seen: the load cell of the positive side (5 kN)'
            " is right within 636.6 kPa on this bore"
        )
    ]
    assert told(protocol(steps), station(500.0, 5.0)) == [
        (
            'load-cell: "0.2 MPa": the load cell of the positive side (500 N) is right within 63.66 kPa,'
            " less well than the band of ±10 kPa asks for"
        )
    ]
    assert told(protocol(steps), station(50.0, 0.05)) == []
