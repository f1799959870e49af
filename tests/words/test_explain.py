"""A protocol in numbered prose: the exact text of three papers' protocols, and of every kind of step."""

import re
from pathlib import Path

import pytest

from labctl.protocol.templates import TESTS
from labctl.protocol.verbs import CLASSES
from labctl.words import drive
from labctl.words import steps as in_words
from labctl.words.tree import part_in_words

from .told import HEAD, explained, library, paragraph, read, steps

TEXTS = Path(__file__).parent / "texts"


@pytest.mark.parametrize("name", ["doerrer-2021/asymmetric", "ma-2024/lto-0.2C", "wang-2023/cccv"])
def test_three_papers_explained_and_as_their_paragraph(name: str) -> None:
    protocol = library(name)
    told = re.sub(r"\b[0-9a-f]{64}\b", "HASH", f"{explained(protocol)}\n{paragraph(protocol)}")
    assert told == (TEXTS / f"{name.replace('/', '-')}.txt").read_text("utf-8")


SAID = {
    'rest = "1 h"\nuntil = "stable within 1 mV for 10 min"': (
        "Rest at open circuit for 1 h, or until the voltage is stable within ±1 mV for 10 min."
    ),
    'charge = "C/10"\nuntil = ["4.3 V vs Li", "12 h"]': (
        "Charge with C/10 (219.9 µA) to 4.3 V vs Li (3.68 V at the terminals), or for 12 h, whichever comes first."
    ),
    'charge = "1C"\ncv = "3.7 V"\nuntil = ["C/20", "30 h"]': (
        "Charge with 1C (2.199 mA) to 3.7 V (4.32 V vs Li), and hold it there until the current has fallen to C/20 "
        "(110 µA), or for 30 h in all, whichever comes first."
    ),
    'discharge = "1 mA"\nuntil = ["2.5 V", { when = "temperature >= 40 degC for 30 s", then = "fault: hot" }]': (
        "Discharge with 1 mA to 2.5 V (3.12 V vs Li). "
        'It fails ("hot") if the temperature is at least 40 °C for 30 s. '
        "It fails if it moves more than 3.299 mAh, the limit of capacity."
    ),
    'discharge = "1 mA"\nuntil = "200 mAh/g"\ntimeout = { when = "9 h", then = "next" }': (
        "Discharge with 1 mA over 200 mAh g⁻¹ (2.199 mAh). The next step follows after 9 h at the latest. "
        "The instrument itself stops it at 2 V, the limit of voltage."
    ),
    'current = "-1 mA"\nuntil = "1 h"': (
        "Drive the cell with -1 mA for 1 h. The instrument itself stops it at 2 V, the limit of voltage."
    ),
    'cv = "4 V"\nmax_current = "1 mA"\nuntil = "1 h"\nrecord.interval = "1 s"': (
        "Hold the cell at 4 V (4.62 V vs Li) with at most 1 mA for 1 h. It records a reading every 1 s."
    ),
    'pressure = { negative = "2 MPa", ramp = "0.1 MPa/s", control = "gap" }\nuntil = "stable within 2 % for 60 s"\n'
    'timeout = "1 h"': (
        "Bring the negative side to 2 MPa (157.1 N) at 0.1 MPa s⁻¹, then lock the gap, until the pressure is stable "
        "within ±2 % for 60 s. It fails if it takes longer than 1 h."
    ),
    'tare = "anode"': "Zero the load cell of the negative side, once the operator has said it is unloaded.",
    "end = true": "End the protocol.",
}


@pytest.mark.parametrize(("step", "text"), list(SAID.items()), ids=[step.split(" ")[0] for step in SAID])
def test_a_step(step: str, text: str) -> None:
    assert steps(step + "\n") == [f"1. {text}"]


def test_loops_branches_and_hooks() -> None:
    told = steps(
        'name = "life"\nrepeat = 3\ncounts = "cycle"\n'
        'do = [{ charge = "1 mA", until = "1 h" }, { discharge = "1 mA", until = "1 h" }]\n'
        'at = [{ cycles = [1, 3], after = "charge", do = [{ rest = "1 min" }] }]\n'
        '[[step]]\nif = "cycle >= 3 and not voltage > 4 V"\nonce = true\n'
        'do = [{ rest = "1 min" }]\nelse = [{ end = true }]\n'
    )
    assert told == [
        "1. life: do this 3 times, each pass one cycle:",
        "   1.1. Charge with 1 mA for 1 h. The instrument itself stops it at 4.4 V, the limit of voltage.",
        "   1.2. Discharge with 1 mA for 1 h. The instrument itself stops it at 2 V, the limit of voltage.",
        "   1.3. In cycles 1 and 3, after charge:",
        "      1.3.1. Rest at open circuit for 1 min.",
        (
            "2. If the cycle number is at least 3 and it is not so that the voltage is above 4 V (4.62 V vs Li) "
            "(once in a run at most):"
        ),
        "   2.1. Rest at open circuit for 1 min.",
        "3. Otherwise:",
        "   3.1. End the protocol.",
    ]


def test_a_rate_by_a_measured_capacity() -> None:
    formed = 'formation = { current = "C/10", window = ["2.5 V", "3.7 V"] }\n[[step]]\n'
    charge = (
        'charge = "0.5C(measured, cycle = 3)"\ncv = "3.7 V"\nuntil = "C(measured, cycle = 3)/20"\ntimeout = "9 h"\n'
    )
    assert steps(formed + charge)[1] == (
        "2. Charge with 0.5C by the capacity discharged in cycle 3 to 3.7 V (4.32 V vs Li), and hold it there until "
        "the current has fallen to C/20 by the capacity discharged in cycle 3. It fails if it takes longer than 9 h."
    )


def test_a_for_is_told_once_or_unrolled() -> None:
    text = 'for = { rate = ["C/10", "C/5"] }\ndo = [{ charge = "{rate}", until = "3.6 V" }]\n'
    assert steps(text)[:2] == [
        "1. Do this twice, with rate = C/10 and then C/5; here with rate = C/10:",
        (
            "   1.1. Charge with C/10 (219.9 µA) to 3.6 V (4.22 V vs Li). "
            "It fails if it moves more than 3.299 mAh, the limit of capacity."
        ),
    ]
    unrolled = steps(text, expand=True)
    assert [line for line in unrolled if "With" in line] == ["   1.1. With rate = C/10:", "   1.2. With rate = C/5:"]
    assert any("Charge with C/5 (439.8 µA)" in line for line in unrolled)


def test_a_spectrum_as_a_paper_prints_it() -> None:
    text = 'eis = { from = "1 MHz", to = "0.1 Hz", amplitude = "10 mV rms" }\n'
    assert (
        "An impedance spectrum was recorded from 1 MHz to 0.1 Hz with 10 mV rms, 10 points per decade, at open circuit."
        in paragraph(read(HEAD + text))
    )


def test_what_is_written_elsewhere_is_unrolled_when_asked() -> None:
    text = 'run = "pause"\n[define]\npause = [{ rest = "1 h" }, { rest = "2 h" }]\n'
    assert steps(text) == ['1. Do what "pause" says (2 steps; --expand shows them).']
    assert [line.strip() for line in steps(text, expand=True)] == [
        '1. Do what "pause" says:',
        "1.1. Rest at open circuit for 1 h.",
        "1.2. Rest at open circuit for 2 h.",
    ]


def test_a_test_by_name() -> None:
    text = 'gitt = { current = "C/10", until = "4.2 V", rest = "4 h" }\n'
    assert steps(text) == ["1. Do a galvanostatic intermittent titration (GITT) (2 steps; --expand shows them)."]
    assert paragraph(read(HEAD + text)).split(". ")[1] == (
        "A galvanostatic intermittent titration (GITT) was done: the following was done 200 times: the cell rested at "
        "open circuit for 4 h; the cell was charged with C/10 (219.9 µA) for 10 min; the loop was left when the "
        "voltage reached 4.2 V (4.82 V vs Li); the cell rested at open circuit for 4 h"
    )


def test_every_test_has_a_name_in_words() -> None:
    assert all(part_in_words(test).startswith("a") for test in TESTS)


EVERY = {
    "power": ('power = "-5 mW"\nuntil = "2.5 V"', "Discharge with a constant 5 mW to 2.5 V (3.12 V vs Li)."),
    "resistance": ('resistance = "1 kOhm"\nuntil = "2.5 V"', "Discharge as by a resistor of 1 kOhm to 2.5 V"),
    "sweep": (
        'sweep = ["ocv", "4.2 V", "2.5 V"]\nrate = "1 mV/s"\nmax_current = "1 mA"\ncycles = 3',
        (
            "Sweep the voltage from the open-circuit voltage to 4.2 V (4.82 V vs Li) and then 2.5 V (3.12 V vs Li) at "
            "1 mV s⁻¹ with at most 1 mA, 3 times."
        ),
    ),
    "eis": (
        'eis = { from = "1 MHz", to = "0.1 Hz", amplitude = "10 mV rms" }\ntimeout = "1 h"',
        (
            "Record an impedance spectrum from 1 MHz to 0.1 Hz with 10 mV rms, 10 points per decade, at open circuit. "
            "It fails if it takes longer than 1 h."
        ),
    ),
    "eis around a voltage": (
        'eis = { from = "1 kHz", to = "1 kHz", amplitude = "7 mV peak", bias = "3.6 V", max_current = "C/2" }',
        (
            "Record an impedance spectrum at 1 kHz alone with 7 mV peak, around 3.6 V (4.22 V vs Li) with at most "
            "C/2 (1.1 mA)."
        ),
    ),
    "geis": (
        'geis = { from = "10 mHz", to = "1 kHz", amplitude = "0.1 mA/cm2 rms", per_decade = 5 }\nuntil = "20 min"',
        (
            "Record an impedance spectrum from 10 mHz to 1 kHz with 0.1 mA cm⁻² (78.54 µA) rms, 5 points per decade, "
            "around no current, at most for 20 min."
        ),
    ),
    "geis around a current": (
        'geis = { from = "10 kHz", to = "1 Hz", amplitude = "0.1 mA rms", bias = "-1 mA" }',
        "Record an impedance spectrum from 10 kHz to 1 Hz with 0.1 mA rms, 10 points per decade, around -1 mA.",
    ),
    "park": (
        'park = "harvest"\nmax = "7 d"',
        'Keep the cell at open circuit for the operator ("harvest"), for 7 d at most.',
    ),
    "handover": (
        'handover = "impedance"\nmax = "2 h"',
        'Leave the cell, at open circuit, to another instrument ("impedance"), for 2 h at most.',
    ),
}


@pytest.mark.parametrize("verb", EVERY)
def test_a_step_of_a_rarer_kind(verb: str) -> None:
    step, text = EVERY[verb]
    assert steps(step + "\n")[0].startswith(f"1. {text}")


def test_every_verb_has_words_of_its_own() -> None:
    known = vars(in_words) | vars(drive)
    trees = {"repeat", "for", "if"}
    assert {verb for verb, table in CLASSES.items() if table.__name__ not in known} <= trees
