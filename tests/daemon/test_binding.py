"""What a client is told of a protocol is what the command line tells."""

from labctl.api import Check
from labctl.daemon.binding import findings
from tests.lint.files import CYCLE, protocol


async def test_a_client_is_told_what_a_colleague_would_ask() -> None:
    late = protocol(CYCLE.replace('"15 h"', '"9 h"', 1))
    (finding,) = await findings(Check(file="p.toml", protocol=late), None)
    assert (finding.code, finding.severity, finding.place.line) == ("timeout-short", "warning", 21)
    assert await findings(Check(file="p.toml", protocol=protocol()), None) == ()


async def test_what_is_wrong_with_a_cell_is_told_in_the_cell_file() -> None:
    cell = 'schema = "1"\n[cell]\nname = "C1"\npositive = { active_mass = "18.9 mg" }\n'
    (finding,) = await findings(Check(file="p.toml", protocol=protocol(), cell_file="c.toml", cell=cell), None)
    assert (finding.code, finding.place.file, finding.place.line) == ("not-closing", "c.toml", 4)
