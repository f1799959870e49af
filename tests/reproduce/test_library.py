"""The library: every number says where it comes from, every file checks, and what can run begins to run."""

import asyncio
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.campaign.file import load_campaign
from labctl.cells.shelf import Shelf
from labctl.lab.abilities import abilities
from labctl.lint import check
from labctl.plan import ForEach, Plan
from labctl.protocol import bind, load, load_cell
from labctl.protocol.layout import tidy
from labctl.reading import RunState
from labctl.rehearse import rehearse
from labctl.rehearse.outline import with_few_passes
from labctl.reproduce import Basis, Set, Verdict, acceptance, judge, prepare
from tests.stations import ROOT, repository_config

PROTOCOLS = sorted((ROOT / "protocols").glob("*/*.toml"))
CELLS = sorted((ROOT / "cells").glob("*.toml"))
CAMPAIGNS = sorted((ROOT / "campaigns").glob("*.toml"))
REPRODUCED = ("doe-sym-50", "doe-eis", "lee-cccv-pellet", "lee-eis", "ma-0.2C-200", "doe-cond")
"""Sets of which rows are reproduced here: quick ones of three papers."""
TWICE = ("doe-cond-small", "lee-eis-bare", "ma-dc-pellet")
"""Sets whose protocol and station are those of another one."""

VALUE = re.compile(r'(?:^|[\s{,(\[=])(?:"[^"]*\d[^"]*"|\d+)')
ORIGIN = re.compile(r"paper|SI, unknown|ours: \w")
OURS_ALONE = re.compile(r"\bours\b(?!:)")


def name_of(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


def values(path: Path) -> Iterator[tuple[int, str, str]]:
    """Every line that holds a number of the experiment: its number, its code and its comment."""
    table = ""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        code, _, comment = line.partition("#")
        if heading := re.match(r"\[+([a-z.]+)\]+", code):
            table = heading[1]
        elif table not in {"", "protocol"} and VALUE.search(re.sub(r'(name|material)\s*= "[^"]*"', "", code)):
            yield number, code.strip(), comment.strip()


@pytest.mark.parametrize("path", [*PROTOCOLS, *CELLS], ids=name_of)
def test_every_number_says_where_it_comes_from(path: Path) -> None:
    silent = [f"{path}:{number}: {code}" for number, code, comment in values(path) if not ORIGIN.search(comment)]
    silent += [f"{path}:{number}: ours, but why?" for number, _, said in values(path) if OURS_ALONE.search(said)]
    assert not silent, "\n".join(silent)


@pytest.mark.parametrize("path", PROTOCOLS, ids=name_of)
def test_what_is_unknown_is_a_key_of_the_file(path: Path) -> None:
    data = tomllib.loads(path.read_text("utf-8"))
    for key in data["protocol"].get("unknown", []):
        found: object = data
        for part in key.split("."):
            assert isinstance(found, list | dict), key
            found = found[int(part)] if isinstance(found, list) else found[part]


@pytest.mark.parametrize("path", PROTOCOLS, ids=name_of)
def test_every_protocol_is_named_after_its_file_and_has_a_cell_a_campaign_and_a_set(path: Path) -> None:
    assert tomllib.loads(path.read_text("utf-8"))["protocol"]["name"] == name_of(path)
    assert (ROOT / "cells" / f"{name_of(path)}.toml").is_file()
    assert (ROOT / "campaigns" / f"{name_of(path)}.toml").is_file()
    tried = {each.protocol for each in acceptance()}
    assert f"{path.parent.name}/{path.name}" in tried | {"wang-2023/cccv.toml"}, "its cycles are those of rate.toml"


@pytest.mark.parametrize("each", acceptance(), ids=lambda each: each.id)
def test_every_protocol_that_can_run_checks_with_its_cell_and_its_station(each: Set) -> None:
    """Nothing is asked of it, but where a paper contradicts itself: Wang 2023 alone, whose figures do not close."""
    ready = prepare(each)
    file = ROOT / "protocols" / each.protocol
    cell = load_cell(ROOT / "cells" / f"{each.cell}.toml")
    found = {(finding.severity, finding.code) for finding in check(file, abilities(ready.config, each.station), cell)}
    contradictions = {("warning", "plateau"), ("warning", "not-closing")}
    assert found == (contradictions if each.paper == "wang-2023" else set())


@pytest.mark.parametrize("path", [*PROTOCOLS, *CELLS, *CAMPAIGNS], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_file_is_laid_out_as_fmt_does_it(path: Path) -> None:
    text = path.read_text("utf-8")
    assert tidy(str(path), text) == text, "run labctl fmt on it, and look at what it changes"


@pytest.mark.parametrize(
    ("file", "station"),
    [("doerrer-2021/asymmetric", "A1"), ("ma-2024/lto-0.2C", "A2"), ("wang-2023/cccv", "A3"), ("wang-2023/cccv", "A4")],
)
def test_the_laboratory_that_labctl_ships_can_do_one_protocol_of_each_kind(file: str, station: str) -> None:
    path = ROOT / "protocols" / f"{file}.toml"
    cell = load_cell(ROOT / "cells" / f"{name_of(path)}.toml")
    assert bind(load(path), abilities(repository_config(), station), cell).name == name_of(path)


@pytest.mark.parametrize("path", CAMPAIGNS, ids=lambda path: path.stem)
def test_every_campaign_unfolds(path: Path) -> None:
    shelf = Shelf.read(ROOT / "cells")
    assert not shelf.findings
    data = tomllib.loads(path.read_text("utf-8"))["campaign"]
    assert data["name"] == path.stem
    assert {trial.cell.name for trial in load_campaign(path, shelf).trials} == set(data["cells"])


def few_steps(each: Set) -> Plan:
    """One pass of the first loop; on a screw, whose control is looked at every second, only until it is tightened."""
    plan = with_few_passes(prepare(each, quick=True).plan, 1)
    body = plan.body[: 2 if each.station == "rig" else 3]
    first = (replace(n, labels=n.labels[:1], bodies=n.bodies[:1]) if isinstance(n, ForEach) else n for n in body)
    return replace(plan, body=tuple(first))


@pytest.mark.parametrize(
    "each", [each for each in acceptance() if each.id not in {*REPRODUCED, *TWICE}], ids=lambda each: each.id
)
def test_every_protocol_that_can_run_begins_to(each: Set) -> None:
    ready = prepare(each, quick=True)
    run = asyncio.run(rehearse(few_steps(each), ready.config, ready.station, poll=600.0))
    assert run.outcome.state is RunState.COMPLETED, run.outcome.reason
    assert not run.trouble
    if each.station != "rig":
        assert all(cycle.complete and (cycle.discharging_capacity_ah or 0.0) > 0.0 for cycle in run.cycles)


@pytest.mark.parametrize("name", REPRODUCED)
def test_a_row_that_the_cell_was_calibrated_to_is_met(name: str) -> None:
    [each] = [each for each in acceptance() if each.id == name]
    ready = prepare(each, quick=True)
    run = asyncio.run(rehearse(ready.plan, ready.config, ready.station, poll=each.poll, boundaries=each.boundaries))
    rows = [one for one in judge(each, {name: run}) if one.row.basis is Basis.CALIBRATED]
    assert {one.verdict for one in rows} <= {Verdict.MET, Verdict.NOT_REACHED}
    assert any(one.verdict is Verdict.MET for one in rows)
