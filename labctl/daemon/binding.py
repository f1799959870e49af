"""What a client sends as text, bound to the station that is to run it: the daemon itself is the authority."""

from labctl.api import Check, Start
from labctl.errors import Finding, ProtocolError
from labctl.plan import Plan, StationAbilities
from labctl.protocol import bind, check_source
from labctl.protocol.load import LoadedCell, cell_of, fill
from labctl.protocol.source import Source, parse


def bound(sent: Start | Check, station: StationAbilities) -> Plan:
    """Return the plan; raises ProtocolError with every finding."""
    return bind(fill(_source(sent.file, sent.protocol), {}), station, _cell(sent), sent.inputs)


def findings(sent: Check, station: StationAbilities | None) -> tuple[Finding, ...]:
    """Return everything wrong with what was sent."""
    try:
        return check_source(_source(sent.file, sent.protocol), station, _cell(sent), sent.inputs)
    except ProtocolError as error:
        return error.findings


def _source(name: str, text: str) -> Source:
    return parse(name, text, ProtocolError)


def _cell(sent: Start | Check) -> LoadedCell | None:
    return None if sent.cell is None else cell_of(_source(sent.cell_file or "cell", sent.cell))
