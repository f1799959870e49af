"""`labctl safe`: everything to its safe state, over the bus, by a signal where the bus is dead, or by its own hands."""

from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.context import Settings, print_json, settings

if TYPE_CHECKING:
    from pathlib import Path

    from labctl.config import Config

BUS_PATIENCE = 3.0
SIGNAL_PATIENCE = 60.0
"""Host seconds: instruments that do not answer are tried several times before they are reported."""
UNSAFE = 4


def safe(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why; it is stored with your name.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    r"""Bring every station to its safe state: runs stopped, circuits open, pressure frozen, heaters off.

    It asks the daemon over the bus; where the bus does not answer it reaches the daemon by a signal; where no daemon
    runs it opens the instruments itself. It is no safety function: the hardware emergency stop comes first. A daemon
    then starts nothing until `labctl reset`. Exit status 4 where an instrument did not confirm.

    \b
    Example:
      labctl safe --reason "smell of solvent"
    """
    import asyncio

    way, stations = asyncio.run(_make_safe(settings(context), reason))
    unconfirmed = {name: said for name, said in stations.items() if said}
    if json:
        print_json({"way": way, "stations": stations})
    else:
        typer.echo(f"Asked {way}.")
        for name, said in stations.items():
            typer.echo(f"{name}: {'; '.join(said) if said else 'safe, confirmed by every instrument'}")
    if unconfirmed:
        raise typer.Exit(UNSAFE)


async def _make_safe(said: Settings, reason: str) -> "tuple[str, dict[str, list[str]]]":
    """Return which way was gone, and for each station what did not confirm its safe state."""
    from labctl.client import connect
    from labctl.errors import LabctlError

    try:
        async with connect(said.config_path, patience=BUS_PATIENCE) as lab:
            return "the daemon, over the bus", (await lab.estop(reason)).stations
    except LabctlError as error:
        typer.echo(f"The bus is no way: {error.sentence}", err=True)
    told = await _by_signal(said.lab_settings().storage.folder)
    if told is not None:
        return "the daemon, by a signal", told
    return "the instruments themselves, because no daemon runs", await _by_hand(said.load_config(), said.config_path)


async def _by_signal(folder: "Path") -> "dict[str, list[str]] | None":
    """Make a daemon act that cannot be reached over the bus; None where there is no daemon.

    Raises:
        LabctlError: it did not confirm in time.
    """
    import asyncio
    import os
    import signal

    from labctl.clock import host_sleep
    from labctl.daemon.report import read_report, report_file
    from labctl.errors import LabctlError
    from labctl.filelock import is_locked
    from labctl.lab.locks import GUARDING, daemon_lock

    lock, report = daemon_lock(folder), report_file(folder)
    if not is_locked(lock):
        return None
    if lock.read_text() == GUARDING:
        raise LabctlError(
            "The daemon is dead, and the guard makes every station safe at this moment.",
            "`labctl doctor` says what it has done; then give this command again.",
        )
    report.unlink(missing_ok=True)
    try:
        os.kill(int(lock.read_text()), signal.SIGUSR1)
        async with asyncio.timeout(SIGNAL_PATIENCE):
            while (told := read_report(report)) is None:
                await host_sleep(0.05)
    except (ValueError, ProcessLookupError, PermissionError, TimeoutError):
        raise LabctlError(
            f"The daemon that holds {lock} did not confirm that everything is safe.",
            "Use the hardware emergency stop. Then end that process, and give this command again.",
        ) from None
    return told.stations


async def _by_hand(config: "Config", path: "Path") -> "dict[str, list[str]]":
    """Open every station's instruments and make them safe, all stations at once."""
    import asyncio

    said = await asyncio.gather(*(_by_hand_at(config, path, station) for station in config.stations))
    return dict(zip(config.stations, said, strict=True))


async def _by_hand_at(config: "Config", path: "Path", station: str) -> list[str]:
    from labctl.errors import LabctlError
    from labctl.lab.laboratory import Pace, in_lab_time, open_laboratory

    unconfirmed: list[str] = []
    try:
        async with open_laboratory(config, path, station, Pace(in_memory=False)) as (assembly, clock):

            async def act() -> None:
                unconfirmed.extend(await assembly.station.make_safe(heaters_off=True))

            await in_lab_time(clock, act())
    except LabctlError as error:
        unconfirmed.append(error.sentence)
    return unconfirmed
