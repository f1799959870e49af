"""How two protocols differ: a sentence exactly where their hashes differ, and a changed number is named."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.protocol.hash import protocol_hash
from tests.protocol.files import HEAD, LIBRARY, read
from tests.protocol.test_hash import OTHER, SAME, STEP

from .told import different

WANG = (LIBRARY / "wang-2023" / "cccv.toml").read_text("utf-8")
CHARGE = 'charge    = "1C", cv = "4.3 V vs Li", until = "cv_time >= 15 min", timeout = "4 h"'


def test_a_constant_voltage_part_is_one_difference() -> None:
    without = WANG.replace('cv = "4.3 V vs Li", until = "cv_time >= 15 min"', 'until = "4.3 V vs Li"')
    assert different(without, WANG) == ("step 2.1 (charge): the CV part is 15 min instead of none",)
    assert different(WANG, without) == ("step 2.1 (charge): the CV part is none instead of 15 min",)


CHANGES = {
    ("default = 100", "default = 1"): "step 2 (cycling): it is done once instead of 100 times",
    ("cv_time >= 15 min", "cv_time >= 30 min"): "step 2.1 (charge): the CV part is 30 min instead of 15 min",
    ('timeout = "2 h"', 'timeout = "3 h"'): "step 2.2 (discharge): its time-out is 3 h instead of 2 h",
    ('until = "2.7 V vs Li"', 'until = "2.8 V vs Li"'): (
        "step 2.2 (discharge): it goes to 2.8 V vs Li (2.18 V at the terminals) instead of 2.7 V vs Li (2.08 V at the "
        "terminals)"
    ),
    ('discharge = "1C"', 'discharge = "1.1C"'): "step 2.2 (discharge): discharge is 1.1C instead of 1C",
    ('"25.2 mg/cm2"', '"36 mg/cm2"'): "cell, positive: active_loading is 36 mg cm⁻² instead of 25.2 mg cm⁻²",
    ('["10 degC", "40 degC"]', '["15 degC", "40 degC"]'): (
        "limits: temperature is 15 °C to 40 °C instead of 10 °C to 40 °C"
    ),
    ('interval = "60 s"', 'interval = "2 min"'): "record: interval is 2 min instead of 60 s",
    ('answers   = ["holds"]', 'answers   = ["holds", "leaks"]'): (
        "step 1 (press): answers is holds and leaks instead of holds"
    ),
    ('timeout = "2 h" }', 'timeout = "2 h" }, { rest = "1 h" }'): 'step 2.3 is new: "Rest at open circuit for 1 h"',
    ("cycles = { default", "[outage]\npolicy = 'ask'\n[inputs]\ncycles = { default"): (
        "outage: policy is ask instead of wait"
    ),
}


@pytest.mark.parametrize(("change", "sentence"), list(CHANGES.items()), ids=[new for _, new in CHANGES])
def test_one_change_is_one_sentence(change: tuple[str, str], sentence: str) -> None:
    text = WANG.replace("[inputs]\n", "") if "[inputs]" in change[1] else WANG
    assert different(WANG, text.replace(*change)) == (sentence,)


def test_a_step_that_moved_is_gone_and_new() -> None:
    first = HEAD + 'rest = "1 h"\n[[step]]\nrest = "2 h"\n[[step]]\nrest = "3 h"\n'
    second = HEAD + 'rest = "2 h"\n[[step]]\nrest = "3 h"\n'
    assert different(first, second) == ('step 1 of the first is gone: "Rest at open circuit for 1 h"',)


def test_a_spectrum_is_compared_key_by_key() -> None:
    text = 'eis = { from = "1 MHz", to = "0.1 Hz", amplitude = "10 mV rms" }\n'
    other = text.replace("1 MHz", "2 MHz").replace('rms"', 'peak", bias = "3 V", max_current = "1 mA"')
    assert different(HEAD + text, HEAD + other) == (
        "step 1 (eis), eis: from is 2 MHz instead of 1 MHz",
        "step 1 (eis), eis: amplitude is 10 mV peak instead of 10 mV rms",
        "step 1 (eis), eis: bias is 3 V instead of ocv",
        "step 1 (eis), eis: max_current is 1 mA instead of none",
    )


def test_steps_of_other_verbs_are_no_pair() -> None:
    first, second = HEAD + 'rest = "1 h"\n', HEAD + 'charge = "1 mA"\nuntil = "1 h"\n'
    assert different(first, second) == (
        'step 1 is new: "Charge with 1 mA for 1 h"',
        'step 1 of the first is gone: "Rest at open circuit for 1 h"',
    )


def test_the_values_of_a_for_and_its_body() -> None:
    text = 'for = { rate = ["C/10", "C/5"] }\ndo = [{ charge = "{rate}", until = "3.6 V" }]\n'
    other = text.replace('"C/5"', '"C/2"').replace("3.6 V", "3.5 V")
    assert different(HEAD + text, HEAD + other) == (
        "step 1 (for): values is rate C/10 and C/2 instead of rate C/10 and C/5",
        "step 1.1 (charge): it goes to 3.5 V (4.12 V vs Li) instead of 3.6 V (4.22 V vs Li)",
    )


def test_branches() -> None:
    text = 'if = "cycle >= 3"\ndo = [{ rest = "1 h" }]\nelse = [{ rest = "2 h" }]\n'
    assert different(HEAD + text, HEAD + text.replace(">= 3", ">= 4").replace("2 h", "3 h")) == (
        'step 1 (if): when is "cycle >= 4" instead of "cycle >= 3"',
        "step 1, else 1 (rest): rest is 3 h instead of 2 h",
    )


@pytest.mark.parametrize("text", list(SAME.values()), ids=list(SAME))
def test_another_spelling_is_no_difference(text: str) -> None:
    assert different(HEAD + STEP, text) == ()


@pytest.mark.parametrize("text", list(OTHER.values()), ids=list(OTHER))
def test_another_experiment_is_a_difference_both_ways(text: str) -> None:
    assert different(HEAD + STEP, text)
    assert different(text, HEAD + STEP)


@settings(max_examples=40)
@given(st.lists(st.sampled_from(range(len(re.findall(r"\d+", STEP)))), max_size=2), st.integers(1, 9))
def test_a_sentence_stands_exactly_where_the_hashes_differ(places: list[int], by: int) -> None:
    text = STEP.replace("4.3", "3.3")
    base = HEAD + text
    numbers = list(re.finditer(r"(?<![\d.])\d+(?![\d.])", text))
    for place in {place % len(numbers) for place in places}:
        found = list(re.finditer(r"(?<![\d.])\d+(?![\d.])", text))[place]
        text = f"{text[: found.start()]}{int(found[0]) * by}{text[found.end() :]}"
    told = different(base, HEAD + text)
    same = protocol_hash(read(base).file) == protocol_hash(read(HEAD + text).file)
    assert bool(told) == (not same)


def test_every_pair_of_the_library_is_told_apart() -> None:
    files = [LIBRARY / name for name in ("doerrer-2021/asymmetric.toml", "ma-2024/lto-0.2C.toml")]
    texts = [*(file.read_text("utf-8") for file in files), WANG]
    assert all(bool(different(one, other)) == (one != other) for one in texts for other in texts)
