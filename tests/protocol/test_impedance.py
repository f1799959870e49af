"""What spectra become: their frequencies, their sine and what it swings around; and which of them are refused."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.plan import Bound, Compare, Impedance, Operator, Quantity, Step
from labctl.protocol.hash import protocol_hash
from labctl.protocol.layout import tidy
from labctl.protocol.spectrum import EisTable, frequencies

from .files import BARE, HEAD, STATION, of_step, plan, read

WINDOW = Bound(2.0, 4.4)
ALONE = 'from = "1 kHz", to = "1 kHz"'


def only(text: str) -> Step:
    (step,) = plan(text).body
    assert isinstance(step, Step)
    return step


def action(text: str) -> Impedance:
    found = only(text).action
    assert isinstance(found, Impedance)
    return found


BOUND: dict[str, tuple[str, Impedance]] = {
    "at open circuit": (
        f'eis = {{ {ALONE}, amplitude = "10 mV rms" }}',
        Impedance((1000.0,), "voltage", 0.01, None, 5e-3, WINDOW),
    ),
    "at open circuit, said": (
        f'eis = {{ {ALONE}, amplitude = "10 mV rms", bias = "ocv", max_current = "1 mA" }}',
        Impedance((1000.0,), "voltage", 0.01, None, 1e-3, WINDOW),
    ),
    "around a voltage": (
        f'eis = {{ {ALONE}, amplitude = "10 mV peak", bias = "4.3 V vs Li", max_current = "C/2" }}',
        Impedance((1000.0,), "voltage", 0.01 / math.sqrt(2.0), 3.68, plan('rest = "1 s"').cell.one_c or 0.0, WINDOW),
    ),
    "around no current": (
        f'geis = {{ {ALONE}, amplitude = "0.1 mA rms" }}',
        Impedance((1000.0,), "current", 1e-4, 0.0, 5e-3, WINDOW),
    ),
    "around a current": (
        f'geis = {{ {ALONE}, amplitude = "1 mA peak", bias = "-2 mA" }}',
        Impedance((1000.0,), "current", 1e-3 / math.sqrt(2.0), -2e-3, 5e-3, WINDOW),
    ),
}


@pytest.mark.parametrize(("text", "wanted"), list(BOUND.values()), ids=list(BOUND))
def test_a_spectrum_is_this_action(text: str, wanted: Impedance) -> None:
    if "C/2" in text:
        wanted = replace(wanted, max_current=wanted.max_current / 2.0)
    assert action(text) == wanted


def test_its_frequencies_are_those_that_people_expect() -> None:
    found = action('eis = { from = "1 MHz", to = "0.1 Hz", amplitude = "10 mV rms" }').frequencies
    assert len(found) == 71
    assert found[::10] == (1e6, 1e5, 1e4, 1e3, 100.0, 10.0, 1.0, 0.1)
    upward = action('eis = { from = "0.1 Hz", to = "1 MHz", amplitude = "10 mV rms" }').frequencies
    assert upward == found[::-1]


@given(
    st.integers(-3_000, 7_000),
    st.integers(-3_000, 7_000),
    st.integers(1, 100),
)
def test_frequencies_are_evenly_spaced_and_none_lies_further_from_the_next_than_asked_for(
    first: int, last: int, per_decade: int
) -> None:
    texts = {key: f"{10 ** (each / 1000.0):.9f} Hz" for key, each in (("from", first), ("to", last))}
    table = EisTable.model_validate({**texts, "amplitude": "1 mV rms", "per_decade": per_decade})
    found = frequencies(table)
    assert (found[0], found[-1]) == (float(table.from_), float(table.to))
    steps = [math.log10(after / before) for before, after in pairwise(found)]
    assert all(math.copysign(1.0, step) == math.copysign(1.0, last - first) for step in steps)
    widest = max(map(abs, steps), default=0.0)
    assert widest <= 1.0 / per_decade + 1e-9
    assert len(found) - 2 <= abs(last - first) / 1000.0 * per_decade + 1e-3
    if steps:
        assert widest - min(map(abs, steps)) < 1e-9


def test_a_spectrum_ends_by_itself_and_sooner_by_its_time_alone() -> None:
    sine = f'eis = {{ {ALONE}, amplitude = "10 mV rms" }}\n'
    assert only(sine.replace('to = "1 kHz"', 'to = "1 Hz"')).name == "eis 1 kHz to 1 Hz"
    assert (only(sine).ends, only(sine).timeout, only(sine).name) == ((), None, "eis 1 kHz")
    (end,) = only(sine + 'until = "10 min"').ends
    assert end.condition == Compare(Quantity.TIME, Operator.GE, 600.0)
    assert only(sine + 'until = { when = "voltage >= 4.2 V", then = "fault: too far" }\ntimeout = "1 h"').timeout
    assert of_step(sine + 'until = "voltage >= 4.2 V"') == [
        '2:9: "voltage >= 4.2 V" would end a spectrum before its last frequency'
    ]
    assert of_step(sine + 'until = { when = "|current| >= 1 mA", then = "fault: short" }') == [
        '2:18: the current of a step with the verb eis is a sine, so "current" says nothing'
    ]


REFUSED = {
    f'eis = {{ {ALONE}, amplitude = "10 mV rms", bias = "3.8 V" }}': (
        '1:71: "3.8 V" is not where the cell is, and nothing bounds the current that leads there'
    ),
    f'eis = {{ {ALONE}, amplitude = "10 mV rms", bias = "0 V", max_current = "1 mA" }}': (
        '1:71: "0 V" is a short for a full cell'
    ),
    f'eis = {{ {ALONE}, amplitude = "10 mV rms", bias = "4.39 V", max_current = "1 mA" }}': (
        '1:71: "10 mV rms" around "4.39 V" swings from 4.376 V to 4.404 V, not inside the limits of voltage,'
        " 2 V to 4.4 V"
    ),
    f'eis = {{ {ALONE}, amplitude = "1 V rms" }}': (
        '1:51: "1 V rms" swings over 2.828 V, more than the limits of voltage leave'
    ),
    f'eis = {{ {ALONE}, amplitude = "10 mV rms", max_current = "6 mA" }}': (
        '1:78: "6 mA" is 6 mA on this cell, beyond the limit of 5 mA'
    ),
    f'geis = {{ {ALONE}, amplitude = "4 mA rms" }}': ('1:52: "4 mA rms" peaks at 5.657 mA, beyond the limit of 5 mA'),
    f'geis = {{ {ALONE}, amplitude = "1 mA peak", bias = "-4.5 mA" }}': (
        '1:52: "1 mA peak" around "-4.5 mA" peaks at 5.5 mA, beyond the limit of 5 mA'
    ),
    'eis = { from = "10 MHz", to = "0.1 mHz", amplitude = "10 mV rms" }': (
        '1:16: "10 MHz" is outside the band of station A1, 1 mHz to 7 MHz'
    ),
}


@pytest.mark.parametrize(("text", "told"), list(REFUSED.items()))
def test_a_spectrum_that_could_hurt_or_cannot_be_is_refused(text: str, told: str) -> None:
    assert of_step(text)[0] == told


def test_both_ends_of_the_band_are_looked_at() -> None:
    told = of_step('eis = { from = "10 MHz", to = "0.1 mHz", amplitude = "10 mV rms" }')
    assert told[1:] == ['1:31: "0.1 mHz" is outside the band of station A1, 1 mHz to 7 MHz']


def test_a_station_whose_cycler_measures_none_is_named() -> None:
    for verb, size in (("eis", "10 mV"), ("geis", "1 mA")):
        text = f'{verb} = {{ {ALONE}, amplitude = "{size} rms" }}'
        column = len(verb) + 4
        assert of_step(text, BARE) == [f"1:{column}: the cycler of station B1 measures no impedance"]
        assert of_step(text, replace(STATION, frequencies=(1000.0, 1000.0))) == []


def hash_of(inner: str) -> str:
    return protocol_hash(read(f"{HEAD}eis = {{ {inner} }}\n").file)


def test_the_hash_knows_what_a_spectrum_is_and_not_how_it_is_written() -> None:
    usual = hash_of('from = "1 MHz", to = "0.1 Hz", amplitude = "10 mV rms"')
    assert (
        hash_of('to = "100 mHz", amplitude = "0.01 V rms", from = "1000 kHz", per_decade = 10, bias = "ocv"') == usual
    )
    assert hash_of('from = "1 MHz", to = "0.1 Hz", amplitude = "10 mV peak"') != usual
    assert hash_of('from = "1 MHz", to = "0.1 Hz", amplitude = "10 mV rms", per_decade = 9') != usual
    assert hash_of('to = "1 MHz", from = "0.1 Hz", amplitude = "10 mV rms"') != usual


def test_it_is_laid_out_in_the_order_in_which_it_is_read() -> None:
    said = 'amplitude = "10 mV rms", bias = "3 V", max_current = "1 mA", to = "1 Hz", from = "1 kHz"'
    assert tidy("p.toml", f"[[step]]\neis = {{ {said} }}\n").splitlines()[1] == (
        'eis = { from = "1 kHz", to = "1 Hz", amplitude = "10 mV rms", bias = "3 V", max_current = "1 mA" }'
    )
