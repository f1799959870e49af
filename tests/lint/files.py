"""A protocol that nobody would ask about, to be made doubtful in one respect at a time; what is told of it."""

from labctl.errors import Finding, ProtocolError
from labctl.lint import check_source
from labctl.plan import StationAbilities
from labctl.protocol.source import parse

CELL = """\
kind = "full"
bore = "10 mm"
positive = { material = "NMC811", diameter = "10 mm", active_loading = "14 mg/cm2", one_c = "200 mA/g" }
negative = { material = "Li-In", potential = "0.62 V vs Li" }
"""
LIMITS = """\
voltage = ["2.0 V", "4.4 V"]
current = "5 mA"
capacity = "300 mAh/g"
pressure.negative = ["0 MPa", "5 MPa"]
pressure.positive = ["0 MPa", "1 MPa"]
temperature = ["10 degC", "50 degC"]
"""
CYCLE = """\
[[step]]
charge = "C/10"
until = "3.7 V"
timeout = "15 h"
[[step]]
discharge = "C/10"
until = "2.2 V"
timeout = "15 h"
"""


def protocol(steps: str = CYCLE, cell: str = CELL, limits: str = LIMITS, check: str = "", record: str = "60 s") -> str:
    rows = f'[record]\ninterval = "{record}"\n' if record else ""
    head = f'schema = "1"\n[protocol]\nname = "p"\n{check}'
    return f"{head}[cell]\n{cell}[limits]\n{limits}{rows}{steps}"


def findings(text: str, station: StationAbilities | None = None) -> tuple[Finding, ...]:
    return check_source(parse("p.toml", text, ProtocolError), station)


def told(text: str, station: StationAbilities | None = None) -> list[str]:
    """Code, what the caret points at, and reason of every finding."""
    said = []
    for finding in findings(text, station):
        place = finding.place
        pointed = text.split("\n")[place.line - 1][place.column - 1 : place.column - 1 + place.length]
        said.append(f"{finding.code}: {pointed}: {finding.reason}")
    return said
