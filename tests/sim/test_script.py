"""Scripts of faults: what is written is what is read, nonsense is refused with its place, chance repeats itself."""

import math
import random
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from labctl.sim.chance import random_script
from labctl.sim.schedule import DARK, HAPPENS_TO, LASTING, Kind, Scheduled, overlapping
from labctl.sim.script import ScriptError, load, read, write

INSTRUMENTS = (
    "cycler",
    "load_cell.negative",
    "load_cell.positive",
    "pressure_rig.negative",
    "hand_tool.negative",
    "gas_regulator.positive",
    "thermostat",
)
PLACES = (*INSTRUMENTS, "cell", "rig", "room")
TIMES = st.one_of(st.just(0.0), st.floats(1e-9, 1e7))
VALUES = st.one_of(st.sampled_from((0.0, 1.0)), st.floats(1e-9, 1e6), st.floats(-1e6, -1e-9))


@st.composite
def faults(draw: st.DrawFn) -> Scheduled:
    """Any fault that makes sense."""
    kind = draw(st.sampled_from(Kind))
    place = HAPPENS_TO.get(kind) or draw(st.sampled_from(INSTRUMENTS))
    begin = draw(TIMES)
    end = math.inf if kind in LASTING else draw(st.one_of(st.just(math.inf), TIMES))
    value = draw(VALUES)
    try:
        return Scheduled(place, kind, begin, end, value)
    except ValueError:
        assume(False)
        raise


@given(st.lists(faults(), max_size=5))
def test_what_was_written_is_read_to_the_last_digit(script: list[Scheduled]) -> None:
    assume(overlapping(script) is None)
    assert read(write(script)) == tuple(script)


def test_a_script_as_people_write_it(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text(
        """
        [[fault]]
        instrument = "load_cell.negative"
        kind = "drift"
        begin = "10 min"
        end = "1 h"
        value = "-5 mN/s"

        [[fault]]
        instrument = "cell"
        kind = "contact_loss"
        begin = "2 h"
        value = "30 %"

        [[fault]]
        instrument = "room"
        kind = "heater_failure"
        begin = "0 s"
        end = "5 min"
        value = "on"
        """
    )
    assert load(file) == (
        Scheduled("load_cell.negative", Kind.DRIFT, 600.0, 3600.0, -5e-3),
        Scheduled("cell", Kind.CONTACT_LOSS, 7200.0, math.inf, 0.3),
        Scheduled("room", Kind.HEATER_FAILURE, 0.0, 300.0, 1.0),
    )


HEAD = '[[fault]]\ninstrument = "cycler"\n'


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("fault = 3", ("1:1", "consists of [[fault]] tables")),
        ("seed = 1", ("consists of [[fault]] tables",)),
        ("fault = [3]", ("this is no table",)),
        ("[[fault]", ("this is not TOML",)),
        (HEAD, ("'kind' is missing",)),
        (HEAD + 'kind = "silent"\nbegin = "1 s"', ("3:8", 'no kind of fault called "silent"', "silence, late")),
        (HEAD + 'kind = "silence"\nbegin = 1', ("1 is a bare number where a time belongs",)),
        (HEAD + 'kind = "silence"\nbegin = "1 s"\nlength = "3 s"', ("5:10", 'no "length"', "instrument, kind, begin")),
        (HEAD + 'kind = "silence"\nbegin = "1 s"\nend = "1 s"', ("it ends after it has begun",)),
        (HEAD + 'kind = "silence"\nbegin = "1 s"\nvalue = "3 s"', ("this has no value",)),
        (HEAD + 'kind = "late"\nbegin = "1 s"', ("its value is above zero",)),
        (HEAD + 'kind = "late"\nbegin = "1 s"\nvalue = "3 V"', ("is a voltage, not a time",)),
        (HEAD + 'kind = "drift"\nbegin = "1 s"\nvalue = "3 V"', ('written like "0.001 V/s"',)),
        (HEAD + 'kind = "drift"\nbegin = "1 s"\nvalue = "3 N/s"', ("is a force, not a voltage",)),
        (HEAD + 'kind = "reboot"\nbegin = "1 s"\nend = "2 s"', (f"this takes {DARK:g} s or more",)),
        (HEAD + 'kind = "short"\nbegin = "1 s"\nvalue = "3 Ohm"', ('this happens to "cell"',)),
        ('[[fault]]\ninstrument = "cell"\nkind = "late"\nbegin = "0 s"', ("happens to an instrument: cycler",)),
        ('[[fault]]\ninstrument = "rig"\nkind = "slip"\nbegin = "0 s"\nend = "1 s"', ("this lasts",)),
        ('[[fault]]\ninstrument = "cell"\nkind = "contact_loss"\nbegin = "0 s"\nvalue = "100 %"', ("below 100 %",)),
        ('[[fault]]\ninstrument = "room"\nkind = "heater_failure"\nbegin = "0 s"\nvalue = "hot"', ("finite",)),
        ('[[fault]]\ninstrument = "pressure_rig.negative"\nkind = "wrong_unit"\nbegin = "0 s"', ("registers",)),
        (
            HEAD + 'kind = "half"\nbegin = "1 s"\n' + HEAD + 'kind = "half"\nbegin = "9 s"',
            ("5:3", "already there: half at cycler has not ended"),
        ),
    ],
)
def test_nonsense_is_refused_with_its_place_and_what_is_allowed(text: str, sentences: tuple[str, ...]) -> None:
    with pytest.raises(ScriptError) as refused:
        read(text, "f.toml")
    assert str(refused.value).startswith("f.toml:")
    for sentence in sentences:
        assert sentence in str(refused.value)


def test_every_finding_is_told_at_once() -> None:
    with pytest.raises(ScriptError) as refused:
        read(HEAD + 'kind = "silent"\nbegin = "1 s"\n' + HEAD + 'kind = "late"\nbegin = "1 s"')
    assert len(refused.value.findings) == 2


@given(st.integers(), st.floats(1.0, 1e6), st.integers(0, 30))
def test_chance_repeats_itself_and_draws_what_makes_sense(seed: int, duration: float, count: int) -> None:
    script = random_script(random.Random(seed), PLACES, duration, count)
    assert script == random_script(random.Random(seed), PLACES, duration, count)
    assert len(script) <= count
    assert overlapping(script) is None
    assert all(fault.begin <= duration for fault in script)
    assert list(script) == sorted(script, key=lambda fault: fault.begin)
    assert read(write(script)) == script


def test_chance_draws_every_kind_and_nothing_that_is_not_there() -> None:
    drawn = [fault for seed in range(200) for fault in random_script(random.Random(seed), PLACES, 1000.0, 10)]
    assert {fault.kind for fault in drawn} == set(Kind)
    assert {fault.instrument for fault in drawn} == set(PLACES)
    small = [fault for seed in range(50) for fault in random_script(random.Random(seed), ["cycler"], 1000.0, 10)]
    assert {fault.instrument for fault in small} == {"cycler"}
