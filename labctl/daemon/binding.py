"""What a client sends as text, bound to the station that is to run it: the daemon itself is the authority.

It is done in a worker thread: a text may be large, and hostile, and every station is polled meanwhile.
"""

import asyncio

from labctl.api import Check, Start
from labctl.errors import Finding, ProtocolError
from labctl.lint import check_source
from labctl.plan import Plan, StationAbilities
from labctl.protocol import bind
from labctl.protocol.load import LoadedCell, cell_of, fill
from labctl.protocol.source import Source, parse


async def bound(sent: Start | Check, station: StationAbilities) -> Plan:
    """Return the plan; raises ProtocolError with every finding."""
    return await asyncio.to_thread(_bound, sent, station)


async def findings(sent: Check, station: StationAbilities | None) -> tuple[Finding, ...]:
    """Return everything wrong with what was sent."""
    return await asyncio.to_thread(_findings, sent, station)


def _bound(sent: Start | Check, station: StationAbilities) -> Plan:
    return bind(fill(_source(sent.file, sent.protocol), {}), station, _cell(sent), sent.inputs)


def _findings(sent: Check, station: StationAbilities | None) -> tuple[Finding, ...]:
    try:
        return check_source(_source(sent.file, sent.protocol), station, _cell(sent), sent.inputs)
    except ProtocolError as error:
        return error.findings


def _source(name: str, text: str) -> Source:
    return parse(name, text, ProtocolError)


def _cell(sent: Start | Check) -> LoadedCell | None:
    return None if sent.cell is None else cell_of(_source(sent.cell_file or "cell", sent.cell))
