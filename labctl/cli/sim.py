"""`labctl sim`: simulated instruments on real wires, for anyone's client."""

import os
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.context import print_json, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labctl.config import Config
    from labctl.lab.simulators import Served
    from labctl.sim.schedule import Scheduled


def sim(
    context: typer.Context,
    driver: Annotated[str | None, typer.Argument(help="Driver whose instrument to simulate alone.")] = None,
    station: Annotated[
        list[str] | None, typer.Option(help="Simulate a whole station: one cell, one rig. May be repeated.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option(help='Where: "tcp://127.0.0.1:0" (0: any free port) or "pty". Default: its own kind.')
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides noise and scatter.")] = 1,
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="NAME=VALUE", help="A key of the driver, as in config.toml.")
    ] = None,
    faults: Annotated[Path | None, typer.Option(help="A script of faults that will happen, in TOML.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print addresses as one line of JSON for each station.")] = False,
    while_stdin: Annotated[bool, typer.Option("--while-stdin", hidden=True)] = False,
) -> None:
    """Serve a simulated instrument, or whole simulated stations, until interrupted.

    Examples: labctl sim keithley-2450 --listen tcp://127.0.0.1:5025 ; labctl sim --station A1 --station A4
    """
    import asyncio

    if (driver is None) == (not station):
        raise typer.BadParameter("name either a driver or --station, for example: labctl sim keithley-2450")
    script: Sequence[Scheduled] = ()
    if faults is not None:
        from labctl.sim.script import load

        script = load(faults)
    if station:
        config = settings(context).load_config()
        stations = list(dict.fromkeys(station))
        asyncio.run(_stations(config, stations, seed, script, as_json=json, while_stdin=while_stdin))
    else:
        assert driver is not None
        folder = settings(context).data_folder()
        asyncio.run(_alone(folder, driver, listen, seed, option or [], script, as_json=json))


async def _stations(
    config: "Config",
    stations: Sequence[str],
    seed: int,
    script: "Sequence[Scheduled]",
    *,
    as_json: bool,
    while_stdin: bool,
) -> None:
    from labctl.lab.simulators import serving

    async with serving(config, stations, seed, script) as served:
        for station, one in served.items():
            if as_json:
                typer.echo(one.model_dump_json())
                continue
            for name, address in one.instruments.items():
                typer.echo(f"{station}/{name}: {address}")
        if while_stdin:
            await _end_of_stdin()
            return
        with ExitStack() as announcements:
            for station, one in served.items():
                announcements.enter_context(_announced(config.storage.folder, station, one))
            await _interrupted()


async def _alone(
    folder: Path,
    name: str,
    listen: str | None,
    seed: int,
    written: list[str],
    script: "Sequence[Scheduled]",
    *,
    as_json: bool,
) -> None:
    from labctl.cli.inputs import assignments
    from labctl.instrument import Role
    from labctl.lab.simulators import Served, listen_by_default
    from labctl.registry import load_driver
    from labctl.sim.bench import Bench, BenchParameters, port_of
    from labctl.sim.faults import troubled
    from labctl.sim.host import Host
    from labctl.sim.trouble import refuse_unfit

    driver = load_driver(name)
    instrument = driver.role if driver.role in (Role.CYCLER, Role.THERMOSTAT) else f"{driver.role}.negative"
    refuse_unfit(script, [instrument], "this simulator")
    port = port_of(instrument)
    bench = Bench.of(BenchParameters(), seed, script)
    simulator = driver.load_simulator()(bench, port, driver.example_options(assignments(written)))
    async with Host(bench) as host:
        address = await host.serve(troubled(simulator, bench.trouble(port)), listen or listen_by_default(driver.wire))
        if as_json:
            print_json({"address": address})
        else:
            typer.echo(address)
        served = Served(station=None, control=None, instruments={name: address})
        with _announced(folder, f"{name}-{os.getpid()}", served):
            await _interrupted()


@contextmanager
def _announced(folder: Path, name: str, served: "Served") -> "Iterator[None]":
    """Tell other processes what is simulated here, while the block runs."""
    from labctl.filelock import make_folder
    from labctl.lab.simulators import runtime_file

    file = runtime_file(folder, name)
    make_folder(file.parent)
    part = file.with_suffix(".part")
    part.write_text(served.model_dump_json())
    part.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


async def _interrupted() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    import asyncio
    import signal

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


async def _end_of_stdin() -> None:
    """Wait until whoever started this process has gone."""
    import asyncio
    import sys

    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass
