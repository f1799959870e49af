"""A small protocol that is right, to be broken one sentence at a time, and the station it runs on."""

from pathlib import Path

from labctl.errors import ProtocolError
from labctl.plan import Bound, Plan, StationAbilities
from labctl.protocol import LoadedCell, Protocol, bind
from labctl.protocol.load import fill
from labctl.protocol.source import parse

HEAD = """\
schema = "1"
[protocol]
name = "small"
[cell]
kind = "full"
bore = "10 mm"
positive = { diameter = "10 mm", active_loading = "14 mg/cm2", one_c = "200 mA/g" }
negative = { potential = "0.62 V vs Li" }
[limits]
voltage = ["2.0 V", "4.4 V"]
current = "5 mA"
capacity = "300 mAh/g"
pressure.negative = ["0 MPa", "5 MPa"]
temperature = ["10 degC", "50 degC"]
[[step]]
"""
FIRST = HEAD.count("\n") + 1
"""The line on which the text of the step begins."""

STATION = StationAbilities(
    name="A1",
    voltage=(-20.0, 20.0),
    current=1.0,
    torque=2.0,
    temperature=(5.0, 95.0),
    actuated=("negative",),
    measured=(("negative", 500.0), ("positive", 500.0)),
    external_probe=True,
    poll_period=1.0,
    frequencies=(1e-3, 7e6),
    voltage_limit=Bound(0.0, 5.0),
    current_limit=0.02,
    temperature_limit=Bound(5.0, 80.0),
    pressure_negative_limit=Bound(0.0, 6e6),
    pressure_positive_limit=Bound(0.0, 6e6),
)
BARE = StationAbilities(name="B1", voltage=(-20.0, 20.0), current=1.0)
"""A cycler and nothing else."""


def read(text: str) -> Protocol:
    return fill(parse("p.toml", text, ProtocolError), {})


def plan(step: str, station: StationAbilities = STATION, cell: LoadedCell | None = None) -> Plan:
    return bind(read(HEAD + step), station, cell)


def sentences(
    text: str, station: StationAbilities = STATION, cell: LoadedCell | None = None, **settings: str
) -> list[str]:
    """What a user is told: "line:column: reason" of every finding."""
    try:
        bind(read(text), station, cell, settings)
    except ProtocolError as error:
        return [f"{f.place.line}:{f.place.column}: {f.reason}" for f in error.findings]
    return []


def of_step(step: str, station: StationAbilities = STATION) -> list[str]:
    """What a user is told of a step, its lines counted from 1."""
    told = []
    for sentence in sentences(HEAD + step, station):
        line, rest = sentence.split(":", 1)
        told.append(f"{int(line) - FIRST + 1}:{rest}")
    return told


LIBRARY = Path(__file__).parents[2] / "protocols"
