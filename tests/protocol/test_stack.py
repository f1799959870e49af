"""Cells between blocking electrodes: a stack that is measured, and nothing that speaks of chemistry."""

import math

import pytest

from labctl.errors import ProtocolError
from labctl.plan import ConstantCurrent, Step
from labctl.protocol import bind
from labctl.protocol.hash import protocol_hash
from labctl.protocol.load import cell_of
from labctl.protocol.schema import protocol_schema
from labctl.protocol.source import parse

from .files import BARE, read, sentences

STACK = 'stack = { material = "Li6PS5Cl", thickness = "1.5 mm", diameter = "12 mm" }\n'
WHOLE = 'current = "1 mA/cm2"\nuntil = "10 s"\n'
AREA = math.pi / 4 * 0.012**2
NOTHING = "says nothing of a blocking cell: neither of its electrodes takes lithium up"


def text(step: str = WHOLE, cell: str = STACK, kind: str = "blocking", limits: str = "") -> str:
    """A protocol whose step begins on line 11 where `cell` is one line."""
    head = f'schema = "1"\n[protocol]\nname = "pellet"\n[cell]\nkind = "{kind}"\n{cell}'
    bounds = 'voltage = ["-0.5 V", "0.5 V"]\ncurrent = "10 mA"\ncapacity = "1 mAh"\n'
    return f"{head}[limits]\n{bounds}{limits}[[step]]\n{step}"


def test_areal_values_are_those_of_the_stack() -> None:
    plan = bind(read(text()), BARE)
    assert (plan.cell.kind, plan.cell.stack_thickness) == ("blocking", 1.5e-3)
    assert plan.cell.positive_area == pytest.approx(AREA, rel=1e-15)
    (step,) = plan.body
    assert isinstance(step, Step)
    assert isinstance(step.action, ConstantCurrent)
    assert step.action.current == pytest.approx(10.0 * AREA, rel=1e-15)


def test_current_flows_either_way_in_amperes() -> None:
    assert sentences(text('discharge = "1 mA"\nuntil = "-0.3 V"\ntimeout = "1 h"\n'), BARE) == []


@pytest.mark.parametrize(
    ("step", "lack"),
    [
        ('charge = "C/10"\nuntil = "0.3 V"\n', '"C/10" needs the current of 1C'),
        ('current = "10 mA/g"\nuntil = "10 s"\n', '"10 mA/g" needs the active mass'),
        (
            'cv = "0.3 V vs Li"\nmax_current = "1 mA"\nuntil = "10 s"\n',
            '"0.3 V vs Li" needs the potential of the counter electrode',
        ),
    ],
)
def test_what_speaks_of_chemistry_is_refused_in_a_step(step: str, lack: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        bind(read(text(step)), BARE)
    (finding,) = refused.value.findings
    assert finding.reason == f"{lack}, and a blocking cell has none"
    assert finding.remedy.startswith("Write currents in mA or mA/cm2")


@pytest.mark.parametrize(
    ("cell", "key", "column"),
    [
        ('capacity = "1 mAh"\n', "capacity", 12),
        ('soc = "0 %"\n', "soc", 7),
        ('positive = { diameter = "12 mm" }\n', "diameter", 25),
        ('anode = { material = "steel", potential = "0 V vs Li" }\n', "potential", 43),
    ],
)
def test_what_speaks_of_chemistry_is_refused_in_the_cell(cell: str, key: str, column: int) -> None:
    with pytest.raises(ProtocolError) as refused:
        bind(read(text(cell=cell + STACK)), BARE)
    (finding,) = refused.value.findings
    assert (finding.place.line, finding.place.column) == (6, column)
    assert finding.reason == f'"{key}" {NOTHING}'


def test_it_is_told_in_the_file_that_says_it() -> None:
    said = 'schema = "1"\n[cell]\nname = "P1"\ncathode = { active_mass = "10 mg" }\n'
    with pytest.raises(ProtocolError) as refused:
        bind(read(text()), BARE, cell_of(parse("c.toml", said, ProtocolError)))
    (finding,) = refused.value.findings
    assert (finding.place.file, finding.place.line, finding.reason) == ("c.toml", 4, f'"active_mass" {NOTHING}')


def test_the_materials_of_its_electrodes_may_be_said() -> None:
    cell = 'positive = { material = "steel" }\nnegative = { material = "steel" }\n'
    assert sentences(text(cell=cell + STACK), BARE) == []


def test_the_cell_file_fills_and_overrides_key_by_key() -> None:
    said = 'schema = "1"\n[cell]\nname = "P1"\nstack = { thickness = "1.4 mm", mass = "0.3 g" }\n'
    plan = bind(read(text()), BARE, cell_of(parse("c.toml", said, ProtocolError)))
    assert plan.cell.stack_thickness == 1.4e-3
    assert plan.cell.positive_area == pytest.approx(AREA, rel=1e-15)
    without = text(cell="", step='rest = "1 h"\n')
    assert bind(read(without), BARE, cell_of(parse("c.toml", said, ProtocolError))).cell.stack_thickness == 1.4e-3


def test_without_a_diameter_the_remedy_names_the_stack() -> None:
    with pytest.raises(ProtocolError) as refused:
        bind(read(text(cell='stack = { thickness = "1.5 mm" }\n')), BARE)
    (finding,) = refused.value.findings
    assert finding.reason.startswith('"1 mA/cm2" needs the diameter of the stack')
    assert finding.remedy == 'Write diameter = "10 mm" in [cell.stack].'


@pytest.mark.parametrize("kind", ["full", "half", "symmetric"])
def test_no_other_cell_has_a_stack(kind: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        bind(read(text('rest = "1 h"\n', kind=kind)), BARE)
    (finding,) = refused.value.findings
    assert finding.reason == f"a {kind} cell has electrodes, not a stack between two that block"
    assert finding.place.line == 6


def test_a_misspelt_key_of_it_is_found() -> None:
    told = sentences(text(cell='stack = { thikness = "1.5 mm" }\n'), BARE)
    assert len(told) == 1
    assert 'did you mean "thickness"' in told[0]


def test_it_belongs_to_the_meaning_and_to_the_schema() -> None:
    thin = STACK.replace("1.5 mm", "1.4 mm")
    assert protocol_hash(read(text()).file) != protocol_hash(read(text(cell=thin)).file)
    assert protocol_hash(read(text()).file) == protocol_hash(read(text(cell=STACK.replace("1.5 mm", "1500 um"))).file)
    stack = protocol_schema()["$defs"]["Stack"]
    assert set(stack["properties"]) == {"material", "thickness", "mass", "diameter"}
