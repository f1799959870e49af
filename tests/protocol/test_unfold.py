"""Definitions, other files and tests by name unfold to plain steps; what is wrong in them is told where it stands."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import ProtocolError
from labctl.lint import check
from labctl.plan import Bound, Jump, Loop, Plan, Step
from labctl.protocol import bind, load
from labctl.protocol.attached import attach, read_protocol
from labctl.protocol.hash import protocol_hash
from labctl.protocol.load import fill
from labctl.protocol.source import Source, parse
from labctl.words.explain import explain
from tests.protocol.plain import plain

from .files import HEAD, STATION, of_step, sentences

STEPS = HEAD.removesuffix("[[step]]\n")
PART = """\
schema = "1"
[protocol]
name = "formation"
unknown = ["limits.voltage"]
[inputs]
rate = { default = "C/20", max = "C/5" }
cycles = { default = 3 }
[cell]
kind = "full"
[limits]
voltage = ["2.4 V", "4.3 V"]
[record]
interval = "5 s"
[[step]]
repeat = "{cycles}"
do = [
  { charge = "{rate}", until = "4.25 V" },
  { discharge = "{rate}", until = "2.5 V", limits.voltage = ["2.45 V", "4.3 V"] },
]
"""
CHARGE = '{ charge = "{rate}", until = "4.25 V" }'
MAIN = STEPS + '[[step]]\nrun = "formation.toml"\ninputs = { rate = "C/10", cycles = 2 }\n[[step]]\nrest = "1 h"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.toml").write_text(MAIN, encoding="utf-8")
    (tmp_path / "formation.toml").write_text(PART, encoding="utf-8")
    return tmp_path


def told(folder: Path) -> list[str]:
    """What a user is told of the main file: "file:line: reason"."""
    found = check(folder / "main.toml", STATION)
    return [f"{Path(f.place.file).relative_to(folder)}:{f.place.line}: {f.reason}" for f in found]


def change(folder: Path, name: str, *pairs: tuple[str, str]) -> None:
    text = (folder / name).read_text(encoding="utf-8")
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after)
    (folder / name).write_text(text, encoding="utf-8")


def steps(plan: Plan) -> list[tuple[str, int]]:
    return [(step.name, step.line) for step in plan.steps()]


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_file_gives_its_steps_under_its_own_limits_and_record_rules(folder: Path) -> None:
    plan = bind(load(folder / "main.toml"), STATION)
    part, rest = plan.body
    assert isinstance(part, Loop)
    assert isinstance(rest, Step)
    assert (part.name, part.passes, part.counts) == ("formation.toml", 1, False)
    (cycles,) = part.body
    assert isinstance(cycles, Loop)
    assert (cycles.passes, cycles.counts) == (2, True)
    charge, discharge = cycles.body
    assert isinstance(charge, Step)
    assert isinstance(discharge, Step)
    assert charge.limits is not None
    assert discharge.limits is not None
    assert (charge.limits.voltage, discharge.limits.voltage) == (Bound(2.4, 4.3), Bound(2.45, 4.3))
    assert charge.limits.current == plan.limits.current
    assert (charge.record.interval, rest.record.interval) == (5.0, None)
    assert rest.limits is None
    assert plan.unknown == ("formation.toml: limits.voltage",)
    assert {line for name, line in steps(plan) if name != "rest 1 h"} == {15}, "the line from which the file is run"


def test_the_stored_text_alone_is_the_same_plan_wherever_it_is_read(folder: Path) -> None:
    plan = bind(load(folder / "main.toml"), STATION)
    again = bind(fill(parse("/elsewhere/p.toml", plan.text, ProtocolError), {}), STATION)
    assert again == plan
    assert plan.text.startswith(MAIN)
    assert PART in plan.text


def test_the_hash_is_of_what_the_file_does_not_of_how_it_is_called_or_written(folder: Path) -> None:
    before = protocol_hash(load(folder / "main.toml").file)
    (folder / "formation.toml").rename(folder / "other.toml")
    change(folder, "main.toml", ("formation.toml", "other.toml"))
    change(folder, "other.toml", ('"2.5 V"', '"2500 mV"'), ('"formation"', '"anything"'))
    assert protocol_hash(load(folder / "main.toml").file) == before
    change(folder, "other.toml", ('"2500 mV"', '"2501 mV"'))
    assert protocol_hash(load(folder / "main.toml").file) != before


def test_what_is_wrong_in_a_file_is_told_there_with_where_it_is_run_from(folder: Path) -> None:
    change(folder, "formation.toml", ('"4.25 V"', '"4.35 V"'))
    (finding,) = check(folder / "main.toml", STATION)
    assert str(finding) == (
        f"{folder}/formation.toml:17:32: error[voltage]: "
        "the cut-off of 4.35 V is not inside the limits of voltage, 2.4 V to 4.3 V\n"
        '   17 |   { charge = "{rate}", until = "4.35 V" },\n'
        "      |                                ^^^^^^^^\n"
        f"      = run from {folder}/main.toml:15\n"
        "      = Safety must lie beyond every cut-off: change the cut-off, or widen [limits]."
    )


WRONG = {
    "a cell that is another": (
        ('kind = "full"', 'kind = "half"'),
        '9: this file says "half" here, and the protocol that runs it "full"',
    ),
    "limits that have nothing in common": (
        ('["2.4 V", "4.3 V"]\n[record]', '["4.5 V", "4.6 V"]\n[record]'),
        "11: 4.5 V to 4.6 V has nothing in common with the limits around it, 2 V to 4.4 V",
    ),
    "a key that there is not": (("unknown =", "unknwon ="), '4: "unknwon" is unknown here (did you mean "unknown"?)'),
    "no TOML": (('name = "formation"', "name = "), "3: this is not TOML: invalid value"),
    "no steps": (("[[step]]\nrepeat", "[[stp]]\nrepeat"), '14: "stp" is unknown here'),
    "another schema": (('schema = "1"', 'schema = "2"'), '1: "2" is not possible for schema'),
    "a file that carries others": (("[record]", "[attached]\n[record]"), '12: "attached" is unknown here'),
    "itself": ((CHARGE, '{ run = "formation.toml" }'), "17: this never ends: formation.toml runs formation.toml"),
    "a file outside": ((CHARGE, '{ run = "../x.toml" }'), '17: "../x.toml": this is no file of this protocol'),
    "a file that is not there": (
        (CHARGE, '{ run = "x.toml" }'),
        '17: "x.toml": this file cannot be read: No such file or directory',
    ),
    "a definition of the main file": ((CHARGE, '{ run = "x" }'), '17: nothing is defined as "x"'),
}


@pytest.mark.parametrize(("pair", "sentence"), list(WRONG.values()), ids=list(WRONG))
def test_a_wrong_part_is_told_in_its_own_file(pair: tuple[str, str], sentence: str, folder: Path) -> None:
    change(folder, "formation.toml", pair)
    assert any(each.startswith(f"formation.toml:{sentence}") for each in told(folder)), told(folder)


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        (('rate = "C/10"', 'rate = "1C"'), 'main.toml:17: rate="1C": "1C" is above the input\'s max of C/5'),
        (
            ('rate = "C/10"', 'rte = "1C"'),
            'main.toml:17: no input of formation.toml is called "rte" (did you mean "rate"?)',
        ),
        (('"formation.toml"', '"{x}.toml"'), "main.toml:16: what is run cannot hang on an input"),
        (('"formation.toml"', '"main.toml"'), "main.toml:16: this never ends: main.toml runs main.toml"),
        (('run = "formation.toml"', 'run = "formation.toml"\nuntil = "1 h"'), 'main.toml:17: "until" is unknown here'),
    ],
)
def test_a_wrong_run_is_told_where_it_stands(pair: tuple[str, str], sentence: str, folder: Path) -> None:
    change(folder, "main.toml", pair)
    assert any(each.startswith(sentence) for each in told(folder)), told(folder)


def test_files_that_run_each_other_are_refused_with_their_chain(folder: Path) -> None:
    change(folder, "formation.toml", (CHARGE, '{ run = "b.toml" }'))
    (folder / "b.toml").write_text('schema = "1"\n[[step]]\nrun = "formation.toml"\n', encoding="utf-8")
    reason = "this never ends: formation.toml runs b.toml runs formation.toml"
    assert f"b.toml:3: {reason}" in told(folder)


def test_files_nested_too_deeply_are_refused(folder: Path) -> None:
    for number in range(12):
        text = f'schema = "1"\n[[step]]\nrun = "{number + 1}.toml"\n'
        (folder / f"{number}.toml").write_text(text, encoding="utf-8")
    (folder / "12.toml").write_text('schema = "1"\n[[step]]\nrest = "1 s"\n', encoding="utf-8")
    change(folder, "main.toml", ('run = "formation.toml"\ninputs = { rate = "C/10", cycles = 2 }', 'run = "0.toml"'))
    (sentence,) = told(folder)
    assert sentence.startswith("7.toml:3: more than 8 files and definitions run each other here: main.toml runs 0.toml")


@pytest.mark.parametrize("thing", ["link", "folder", "huge"])
def test_what_is_no_file_of_this_folder_is_not_read(
    thing: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.toml"
    outside.write_text(PART, encoding="utf-8")
    file = folder / "formation.toml"
    file.unlink()
    if thing == "link":
        file.symlink_to(outside)
    elif thing == "folder":
        file.mkdir()
    else:
        with file.open("wb") as stream:
            stream.truncate(100_000_000)
    (sentence,) = told(folder)
    reason = {
        "link": "this is no file of this protocol",
        "folder": "this is a folder, not a file",
        "huge": "this file is larger than 400 kB",
    }
    assert sentence == f'main.toml:16: "formation.toml": {reason[thing]}'


def test_a_file_below_names_files_as_seen_from_itself(folder: Path) -> None:
    below = folder / "sub"
    below.mkdir()
    (below / "a.toml").write_text('schema = "1"\n[[step]]\nrun = "b.toml"\n', encoding="utf-8")
    (below / "b.toml").write_text('schema = "1"\n[[step]]\nrest = "7 s"\n', encoding="utf-8")
    change(
        folder, "main.toml", ('run = "formation.toml"\ninputs = { rate = "C/10", cycles = 2 }', 'run = "sub/a.toml"')
    )
    assert [name for name, _ in steps(bind(load(folder / "main.toml"), STATION))] == ["rest 7 s", "rest 1 h"]


def test_a_profile_that_a_file_below_names_lies_beside_that_file(folder: Path) -> None:
    below = folder / "sub"
    below.mkdir()
    (below / "a.toml").write_text(
        'schema = "1"\n[[step]]\nprofile = "drive.csv"\nuntil = "voltage >= 4.2 V"\n', encoding="utf-8"
    )
    (below / "drive.csv").write_text("Test Time / s,Current / A\n0,0.001\n60,0\n120,0\n", encoding="utf-8")
    change(
        folder, "main.toml", ('run = "formation.toml"\ninputs = { rate = "C/10", cycles = 2 }', 'run = "sub/a.toml"')
    )
    protocol = load(folder / "main.toml")
    assert list(protocol.file.attached) == ["sub/drive.csv"]
    assert next(bind(protocol, STATION).steps()).verb == "profile"


def test_a_protocol_that_came_as_text_reads_no_disk(folder: Path) -> None:
    with pytest.raises(ProtocolError) as caught:
        fill(parse(str(folder / "main.toml"), MAIN, ProtocolError), {})
    assert [f.reason for f in caught.value.findings] == ['"formation.toml" did not come with this protocol']


# -- files of the folders ----------------------------------------------------------------------------------------------

RUNS = 'run = "formation.toml"\ninputs = { rate = "C/10", cycles = 2 }'


@pytest.fixture
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the search path, whose protocol runs what lies beside it and below."""
    shelf = tmp_path_factory.mktemp("shelf")
    (shelf / "ma" / "sub").mkdir(parents=True)
    named = 'schema = "1"\n[[step]]\nrun = "short.toml"\n[[step]]\nrun = "sub/long.toml"\n'
    (shelf / "ma" / "rests.toml").write_text(named.replace("[[", '[protocol]\nname = "rests"\n[[', 1), encoding="utf-8")
    (shelf / "ma" / "short.toml").write_text('schema = "1"\n[[step]]\nrest = "7 s"\n', encoding="utf-8")
    (shelf / "ma" / "sub" / "long.toml").write_text('schema = "1"\n[[step]]\nrest = "7 h"\n', encoding="utf-8")
    return shelf


@pytest.mark.parametrize("name", ["rests", "rests.toml", "ma/rests", "ma/rests.toml"])
def test_a_protocol_is_run_by_its_name_in_the_folders_and_travels_in_the_text(
    name: str, folder: Path, shelf: Path
) -> None:
    change(folder, "main.toml", (RUNS, f'run = "{name}"'))
    (folder / "short.toml").write_text("what lies beside the main file is not what the other one names")
    protocol = load(folder / "main.toml", lambda: (shelf,))
    plan = bind(protocol, STATION)
    assert [each for each, _ in steps(plan)] == ["rest 7 s", "rest 7 h", "rest 1 h"]
    again = bind(fill(parse("elsewhere.toml", plan.text, ProtocolError), {}), STATION)
    assert (again.hash, again.body) == (plan.hash, plan.body)
    called = name.removesuffix(".toml")
    assert f'Files. "{called}" is {shelf / "ma" / "rests.toml"}.\n' in explain(protocol, plan)


def test_what_lies_beside_the_file_or_is_defined_in_it_comes_first(folder: Path, shelf: Path) -> None:
    (shelf / "formation.toml").write_text((shelf / "ma" / "short.toml").read_text("utf-8"), encoding="utf-8")
    (shelf / "cycle.toml").write_text((shelf / "ma" / "short.toml").read_text("utf-8"), encoding="utf-8")
    change(folder, "main.toml", ('rest = "1 h"\n', 'run = "cycle"\n[define]\ncycle = [ { rest = "2 h" } ]\n'))
    protocol = load(folder / "main.toml", lambda: (shelf,))
    assert protocol.file.attached_from == {}
    assert [name for name, _ in steps(bind(protocol, STATION))][-1] == "rest 2 h"


def test_what_is_wrong_in_a_protocol_of_a_folder_is_told_where_it_lies(folder: Path, shelf: Path) -> None:
    (shelf / "ma" / "rests.toml").write_text(
        'schema = "1"\n[protocol]\nname = "x"\n[[step]]\nrest = 1\n', encoding="utf-8"
    )
    change(folder, "main.toml", (RUNS, 'run = "rests"'))
    with pytest.raises(ProtocolError) as refused:
        load(folder / "main.toml", lambda: (shelf,))
    (finding,) = refused.value.findings
    assert (finding.place.file, finding.place.line) == (str(shelf / "ma" / "rests.toml"), 5)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("rests", 'several protocols are called "rests"'),
        ("rest", 'nothing is defined as "rest"'),
        ("rest.toml", "this file cannot be read"),
        ("../ma/rests", 'nothing is defined as "../ma/rests"'),
        ("../ma/rests.toml", "this is no file of this protocol"),
        ("ma/linked.toml", "this file cannot be read"),
        ("@rests/rests.toml", "this is no file of this protocol"),
    ],
)
def test_a_name_that_leads_nowhere_or_elsewhere_is_refused(
    name: str, sentence: str, folder: Path, shelf: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    for each in ("rests", "linked"):
        (other / "mine").mkdir(exist_ok=True)
        (other / "mine" / f"{each}.toml").write_text((shelf / "ma" / "rests.toml").read_text("utf-8"), encoding="utf-8")
    (shelf / "ma" / "linked.toml").symlink_to(other / "mine" / "linked.toml")
    change(folder, "main.toml", (RUNS, f'run = "{name}"'))
    with pytest.raises(ProtocolError) as refused:
        load(folder / "main.toml", lambda: (shelf, other))
    assert sentence in refused.value.findings[0].reason


@settings(max_examples=60)
@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\x00"), max_size=40))
def test_any_text_is_carried_unchanged(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    content = "schema = '1'\n#" + "".join(c if c.isprintable() or c in "\t\n" else " " for c in text).replace(
        "\n", "\n#"
    )
    (folder / "x.toml").write_text(content, encoding="utf-8")
    source = attach(parse("p.toml", STEPS + '[[step]]\nrun = "x.toml"\n', ProtocolError), folder)
    assert source.data["attached"] == {"x.toml": content}


# -- definitions -------------------------------------------------------------------------------------------------------

CYCLE = '[define]\ncycle = [ { charge = "{rate}", until = "4.2 V" }, { discharge = "{rate}", until = "2.5 V" } ]\n'


def test_a_definition_sees_the_values_around_the_step_that_runs_it() -> None:
    text = STEPS + '[[step]]\nfor = { rate = ["C/10", "C/5"] }\ndo = [ { run = "cycle" } ]\n' + CYCLE
    plan = bind(fill(parse("p.toml", text, ProtocolError), {}), STATION)
    assert steps(plan) == [(f"{verb} {rate}", 19) for rate in ("C/10", "C/5") for verb in ("charge", "discharge")]


DEFINITIONS = {
    "unused": (
        '[[step]]\nrest = "1 h"\n[define]\nx = [ { rest = "1 s" } ]\n',
        ['18:1: nothing runs the definition "x"'],
    ),
    "unknown": (
        '[[step]]\nrun = "y"\n[[step]]\nrun = "x"\n[define]\nx = [ { rest = "1 s" } ]\n',
        ['16:7: nothing is defined as "y"'],
    ),
    "misspelt": (
        '[[step]]\nrun = "cycel"\n[[step]]\nrun = "cycle"\n[define]\ncycle = [ { rest = "1 s" } ]\n',
        ['16:7: nothing is defined as "cycel" (did you mean "cycle"?)'],
    ),
    "in a circle": (
        '[[step]]\nrun = "a"\n[define]\na = [ { run = "b" } ]\nb = [ { run = "a" } ]\n',
        ["19:15: this never ends: a runs b runs a"],
    ),
    "no list": ('[[step]]\nrun = "a"\n[define]\na = "b"\n', ['18:5: "a" is no list of steps']),
    "no table": ('define = 5\n[[step]]\nrest = "1 h"\n', ["15:10: define is no table"]),
    "called like a file": (
        '[[step]]\nrest = "1 h"\n[define]\n"a.toml" = [ { rest = "1 s" } ]\n',
        ['18:1: "a.toml" would be taken for a file'],
    ),
    "with inputs": (
        '[[step]]\nrun = "a"\ninputs = { n = 1 }\n[define]\na = [ { rest = "1 s" } ]\n',
        ["17:1: a definition has no inputs of its own"],
    ),
    "nobody knows the value": (
        '[[step]]\nrun = "a"\n[define]\na = [ { rest = "{t}" } ]\n',
        ['18:16: nothing here is called "t"'],
    ),
    "wrong inside": (
        '[[step]]\nrun = "a"\n[[step]]\nrun = "a"\n[define]\na = [ { rest = "1" } ]\n',
        ['20:16: "1" has no unit'],
    ),
    "an inner word of ours": (
        '[[step]]\nrepeat = 1\npart = "x"\ndo = [ { rest = "1 s" } ]\n',
        ['17:1: "part" is unknown here'],
    ),
    "run what": ("[[step]]\nrun = 5\n", ["16:7: 5 is no text"]),
}


@pytest.mark.parametrize(("text", "expected"), list(DEFINITIONS.values()), ids=list(DEFINITIONS))
def test_a_wrong_definition_is_told_with_its_place(text: str, expected: list[str]) -> None:
    head = STEPS if not text.startswith("define") else STEPS.replace('schema = "1"\n', 'schema = "1"\n' + text[:11])
    body = text.removeprefix("define = 5\n")
    if text.startswith("define"):
        expected = ["2:10: define is no table"]
    assert sentences(head + body) == expected


def test_definitions_that_would_fill_the_memory_are_refused() -> None:
    many = ", ".join('{ run = "X" }' for _ in range(40))
    names = "abcdef"
    defined = "".join(f"{one} = [ {many.replace('X', other)} ]\n" for one, other in pairwise(names))
    text = STEPS + f'[[step]]\nrun = "a"\n[define]\n{defined}f = [ {{ rest = "1 s" }} ]\n'
    assert sentences(text) == ["1:1: this file unfolds to more than 30000 tables"]


def test_a_loop_around_a_definition_counts_its_passes_as_cycles() -> None:
    text = STEPS + '[[step]]\nrepeat = 3\ndo = [ { run = "cycle" } ]\n' + CYCLE.replace("{rate}", "C/5")
    (loop,) = bind(fill(parse("p.toml", text, ProtocolError), {}), STATION).body
    assert isinstance(loop, Loop)
    (part,) = loop.body
    assert isinstance(part, Loop)
    assert (loop.counts, part.counts, part.name) == (True, False, "cycle")


def test_a_hook_may_run_a_definition() -> None:
    hook = 'at = [ { cycles = [2], after = "rest", do = [ { run = "x" } ] } ]\n'
    text = STEPS + '[[step]]\nrepeat = 3\ndo = [ { rest = "1 s" } ]\n' + hook + '[define]\nx = [ { rest = "7 s" } ]\n'
    assert [name for name, _ in steps(bind(fill(parse("p.toml", text, ProtocolError), {}), STATION))] == [
        "rest 1 s",
        "rest 7 s",
    ]


def test_limits_and_record_rules_of_a_loop_hold_for_what_is_in_it() -> None:
    text = """repeat = 2
counts = "none"
limits = { voltage = ["2.4 V", "4.3 V"] }
record = { interval = "5 s", voltage = "1 mV" }
do = [
  { charge = "C/5", until = "4.2 V", record.interval = "2 s" },
  { discharge = "C/5", until = "2.5 V", limits = { voltage = ["2.0 V", "4.25 V"] } },
]
"""
    plan = bind(fill(parse("p.toml", HEAD + text, ProtocolError), {}), STATION)
    (loop,) = plan.body
    assert isinstance(loop, Loop)
    assert not loop.counts
    charge, discharge = plan.steps()
    assert charge.limits is not None
    assert discharge.limits is not None
    assert (charge.limits.voltage, discharge.limits.voltage) == (Bound(2.4, 4.3), Bound(2.4, 4.25))
    assert [(step.record.interval, step.record.voltage) for step in (charge, discharge)] == [(2.0, 0.001), (5.0, 0.001)]
    assert of_step(text.replace('"4.2 V"', '"4.35 V"')) == [
        "6:29: the cut-off of 4.35 V is not inside the limits of voltage, 2.4 V to 4.3 V"
    ]


# -- goto --------------------------------------------------------------------------------------------------------------


X = '[[step]]\nname = "x"\nrest = "1 s"\n'


def test_a_jump_is_a_step() -> None:
    text = STEPS + '[[step]]\ngoto = "last"\n[[step]]\nname = "last"\nrest = "1 s"\n'
    first = next(bind(fill(parse("p.toml", text, ProtocolError), {}), STATION).steps())
    assert (first.verb, first.name, first.action) == ("goto", "goto last", Jump("last"))


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ('goto = "x"\n', ['1:8: no step is called "x"']),
        (
            'name = "x"\nrest = "1 s"\n[[step]]\ngoto = "x"\n',
            ['4:8: "x" cannot be reached from here: it is not a later step of this list or of one around it'],
        ),
        (
            'goto = "x"\n[[step]]\nrest = "1 s"\n[[step]]\nname = "x"\nrest = "1 s"\n',
            ["2:3: this step can never be reached: the step before it always jumps"],
        ),
        ('goto = "x"\n[[step]]\nname = "x"\nrest = "1 s"\n', []),
        (
            'rest = "1 s"\nuntil = { when = "voltage >= 4 V", then = "goto x" }\n[[step]]\nend = true\n' + X,
            [],
        ),
        (
            'name = "x"\nrepeat = 1\ndo = [ { name = "x", rest = "1 s" }, { goto = "x" } ]\n' + X,
            ['3:47: "x" cannot be reached from here: it is not a later step of this list or of one around it'],
        ),
    ],
)
def test_jumps_lead_forward_to_what_can_be_reached(step: str, expected: list[str]) -> None:
    assert of_step(step) == expected


def test_a_file_does_not_jump_into_what_is_around_it(folder: Path) -> None:
    change(folder, "formation.toml", (CHARGE, CHARGE + ', { goto = "last" }, { name = "over", rest = "1 s" }'))
    change(folder, "main.toml", ('rest = "1 h"', 'rest = "1 h"\nname = "last"'))
    assert any('"last" cannot be reached from here' in sentence for sentence in told(folder))


# -- written out -------------------------------------------------------------------------------------------------------

WHOLE = """
[[step]]
run = "cycle"
[[step]]
for = { rate = ["C/10", "C/5"], rest = ["1 s", "2 s"] }
do = [ { run = "rated" }, { rest = "{rest}" } ]
[[step]]
hppc = { current = "1C", window = ["2.5 V", "4.2 V"], pairs = 2 }
[[step]]
pitt = { from = "3.0 V vs Li", to = "2.95 V vs Li", max_current = "1 mA", cut_off = "C/50" }
limits.current = "2 mA"
[[step]]
prompt = "Is {{this}} right?"
[define]
cycle = [ { repeat = 2, do = [ { charge = "C/3", until = "4.1 V" }, { discharge = "C/3", until = "2.6 V" } ] } ]
rated = [ { charge = "{rate}", until = "4.2 V" } ]
"""


def test_a_protocol_written_out_has_the_same_steps() -> None:
    source = parse("p.toml", STEPS + WHOLE, ProtocolError)
    whole = bind(fill(source, {}), STATION)
    data = plain(source, {})
    assert "define" not in data
    out = bind(fill(Source("out.toml", "", data), {}), STATION)

    def meant(plan: Plan) -> list[object]:
        return [(s.verb, s.name, s.action, s.ends, s.timeout, s.record, s.limits) for s in plan.steps()]

    assert meant(out) == meant(whole)
    assert plain(Source("out.toml", "", data), {}) == data


def test_a_protocol_that_is_wrong_is_not_written_out() -> None:
    with pytest.raises(ProtocolError, match="nothing is defined"):
        plain(parse("p.toml", STEPS + '[[step]]\nrun = "x"\n', ProtocolError), {})


def test_reading_a_protocol_without_other_files_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(HEAD + 'rest = "1 s"\n', encoding="utf-8")
    assert read_protocol(file).text == HEAD + 'rest = "1 s"\n'
