"""A station whose daemon is no more: each instrument opened, identified, brought to its safe state, and confirmed.

The circuit comes first, then the pressure, then the heaters. One that does not answer, or is not the one that stood
there, hinders no other. A load cell only measures and a tool lies where a hand put it: they are not touched.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from labctl.clock import host_unix
from labctl.config import Config
from labctl.engine.station import Station
from labctl.errors import InstrumentError, LabctlError, RefusedForSafety
from labctl.instrument import Instrument
from labctl.lab.guarded import InstrumentReport, Outcome, StationReport
from labctl.lab.heartbeat import Beat
from labctl.lab.laboratory import Pace, all_simulated, in_lab_time, open_laboratory
from labctl.lab.simulators import running_simulators
from labctl.program import ProgrammableCycler, ProgramState

_log = logging.getLogger(__name__)

NO_TAKEOVER = "it cannot be taken over by a second process: go there, and switch it off by hand."


async def make_safe(config: Config, path: Path, name: str, beat: Beat) -> StationReport:
    """Make one station of a dead daemon safe, and report how it was left; never raises a LabctlError."""
    if name not in config.stations:
        sentence = f"Station {name} is not in {path} any more: the guard cannot reach its instruments. Go there."
        return StationReport(outcome=Outcome.UNCONFIRMED, sentence=sentence)
    try:
        if beat.simulate or (
            all_simulated(config, name) and await running_simulators(config.storage.folder, name) is None
        ):
            sentence = f"The simulators of station {name} ended with the daemon: there is nothing there to make safe."
            return StationReport(outcome=Outcome.NOTHING, sentence=sentence)
        return await _reach(config, path, name, beat.stations[name].program)
    except RefusedForSafety as refusal:
        return StationReport(outcome=Outcome.LEFT_ALONE, sentence=f"Station {name} was left alone: {refusal.sentence}")
    except LabctlError as error:
        sentence = f"Station {name} could not be reached: {error.sentence} Go there."
        return StationReport(outcome=Outcome.UNCONFIRMED, sentence=sentence)


async def _reach(config: Config, path: Path, name: str, program: str) -> StationReport:
    reports: dict[str, InstrumentReport] = {}
    async with open_laboratory(config, path, name, Pace(in_memory=False)) as (assembly, clock):

        async def act() -> None:
            for instrument, driver in _in_order(assembly.station):
                if config.drivers[name, instrument][0].features.takeover:
                    reports[instrument] = await _confirm(f"{name}/{instrument}", driver, program)
                else:
                    reports[instrument] = InstrumentReport(trouble=NO_TAKEOVER)

        await in_lab_time(clock, act())
    safe = all(report.confirmed_unix_second is not None for report in reports.values())
    said = "; ".join(_said(instrument, report) for instrument, report in reports.items())
    return StationReport(
        outcome=Outcome.SAFE if safe else Outcome.UNCONFIRMED,
        sentence=f"The guard made station {name} safe: {said}."
        if safe
        else f"The guard could not make station {name} safe. Go there. {said}.",
        instruments=reports,
    )


def _in_order(station: Station) -> Iterator[tuple[str, Instrument]]:
    """Every instrument that drives something, in the order in which it is to let go."""
    parts = station.instruments
    yield "cycler", parts.cycler
    for side, rig in parts.rigs.items():
        yield f"pressure_rig.{side}", rig
    for side, gas in parts.gases.items():
        yield f"gas_regulator.{side}", gas
    if parts.thermostat is not None:
        yield "thermostat", parts.thermostat


async def _confirm(name: str, instrument: Instrument, program: str) -> InstrumentReport:
    """Identify an instrument and bring it to its safe state, which it confirms."""
    identity = ""
    try:
        if program and isinstance(instrument, ProgrammableCycler):
            instrument.expect_program(program)
        identity = str(await instrument.connect())
        if not (isinstance(instrument, ProgrammableCycler) and await _paused(instrument, program)):
            await instrument.safe_state()
    except InstrumentError as error:
        return InstrumentReport(identity=identity, trouble=error.what)
    except Exception as bug:  # noqa: BLE001 - a driver is anybody's code, and the other instruments come next
        _log.exception("%s", name)
        return InstrumentReport(identity=identity, trouble=f"its driver failed: {bug!r}")
    return InstrumentReport(identity=identity, confirmed_unix_second=host_unix())


async def _paused(cycler: ProgrammableCycler, program: str) -> bool:
    """Open the circuit of a program that the next daemon can go on with; return whether there is one."""
    status = await cycler.program_status()
    if not program or status.token != program or status.state not in (ProgramState.RUNNING, ProgramState.PAUSED):
        return False
    await cycler.pause_program()
    return True


def _said(instrument: str, report: InstrumentReport) -> str:
    if report.confirmed_unix_second is None:
        return f"{instrument}: {report.trouble}".rstrip(".")
    instant = datetime.fromtimestamp(report.confirmed_unix_second, UTC).isoformat(sep=" ", timespec="milliseconds")
    return f"{instrument} confirmed at {instant.removesuffix('+00:00')} UTC"
