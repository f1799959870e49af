"""The hash is of the meaning: the same for all spellings of one experiment, another for another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.protocol.hash import protocol_hash

from .files import HEAD, read

STEP = 'charge = "C/10"\nuntil = ["4.3 V", "30 h"]\n'


def hashed(text: str) -> str:
    return protocol_hash(read(text).file)


BASE = hashed(HEAD + STEP)

SAME = {
    "rate": HEAD + STEP.replace("C/10", "0.1C"),
    "unit": HEAD.replace("5 mA", "5000 µA") + STEP.replace("30 h", "1800 min"),
    "comment": "# hello\n" + HEAD + STEP + "# bye\n",
    "title": HEAD.replace('name = "small"', 'name = "small"\ntitle = "T"\ndoi = "10.1/x"\nlicence = "MIT"') + STEP,
    "order of keys": HEAD.replace('kind = "full"\nbore = "10 mm"', 'bore = "10 mm"\nkind = "full"') + STEP,
    "names of electrodes": HEAD.replace("positive =", "cathode =").replace("negative =", "anode =") + STEP,
    "a default written out": HEAD.replace("[limits]", "[record]\n[limits]") + STEP,
    "an input": HEAD + STEP.replace("C/10", "{rate}") + '[inputs]\nrate = { default = "0.1C", help = "h" }\n',
    "abbreviation": HEAD + STEP.replace('"30 h"', '{ when = "30 h", then = "next" }'),
}


@pytest.mark.parametrize("text", list(SAME.values()), ids=list(SAME))
def test_another_spelling_has_the_same_hash(text: str) -> None:
    assert hashed(text) == BASE


OTHER = {
    "rate": HEAD + STEP.replace("C/10", "C/20"),
    "dimension": HEAD + STEP.replace("C/10", "0.1 mA"),
    "reference": HEAD + STEP.replace("4.3 V", "4.3 V vs Li"),
    "verb": HEAD + STEP.replace("charge", "discharge").replace("4.3", "2.3"),
    "end": HEAD + STEP.replace("30 h", "31 h"),
    "order of steps": HEAD + 'rest = "1 h"\n[[step]]\n' + STEP,
    "limit": HEAD.replace("4.4 V", "4.45 V") + STEP,
    "cell": HEAD.replace("14 mg", "15 mg") + STEP,
    "what follows": HEAD + STEP.replace('"30 h"', '{ when = "30 h", then = "end" }'),
}


def test_a_rate_by_the_capacity_of_another_cycle_has_another_hash() -> None:
    cycle = '{ discharge = "C/10", until = "2.5 V" }, { charge = "C/10", until = "4.3 V" }'
    text = HEAD + f'repeat = 3\ndo = [ {cycle} ]\n[[step]]\ncharge = "RATE"\nuntil = "4.3 V"\n'
    rates = ("0.2C(measured, cycle = 3)", "C(measured,cycle=3)/5", "C(measured, cycle = 2)/5", "C/5")
    first, same, other, nominal = (hashed(text.replace("RATE", rate)) for rate in rates)
    assert first == same
    assert len({first, other, nominal}) == 3


@pytest.mark.parametrize("text", list(OTHER.values()), ids=list(OTHER))
def test_another_experiment_has_another_hash(text: str) -> None:
    assert hashed(text) != BASE


def test_the_hash_stays_what_it_is() -> None:
    assert hashed(HEAD + 'rest = "1 h"\n') == "f140ea90100a1c9f638b0f95b2077754efcbdaa417bd52010ce67ca9786ad5f1"


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_two_times_have_one_hash_only_if_they_are_equal(one: int, other: int) -> None:
    hashes = {hashed(HEAD + f'rest = "{n} ms"\n') for n in (one, other)}
    assert len(hashes) == (1 if one == other else 2)
