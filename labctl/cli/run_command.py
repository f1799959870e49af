"""`labctl run`: one protocol on one station, watched at the terminal, recorded in the database."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.context import settings
from labctl.cli.named import Named, folders, protocol_file
from labctl.cli.remote import Consent

INTERRUPTED = 130

if TYPE_CHECKING:
    from labctl.config import Config
    from labctl.engine.run import Outcome
    from labctl.lab.experiment import Experiment, Running
    from labctl.lab.laboratory import Pace
    from labctl.protocol.folders import Folders


def run(
    context: typer.Context,
    file: Named,
    station: Annotated[
        str | None, typer.Option(help="Station of the configuration; needed where it has several.")
    ] = None,
    cell: Annotated[Path | None, typer.Option(help="Cell file that fills or overrides the protocol's [cell].")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set an input of the protocol.")
    ] = None,
    db: Annotated[Path | None, typer.Option(help="Database; else labctl.db in the data folder.")] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Simulate in virtual time in this process, whatever the addresses.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Decides noise and scatter of simulators.")] = 1,
    speed: Annotated[
        str | None, typer.Option(help='Pace of simulators on wires: 1, 600, "max", ...', show_default="1")
    ] = None,
    consent: Consent = "",
    json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    r"""Run a protocol on a station and record every reading.

    \b
    Examples:
      labctl run protocols/doerrer-2021/asymmetric.toml --station A1 --simulate --set cycles=1
      labctl run protocol.toml --station A1 --cell cells/nmc-07.toml
    """
    import asyncio

    from labctl.cli.inputs import assignments
    from labctl.cli.pace import pace

    config_path = settings(context).config_path
    config = settings(context).load_config()
    if simulate and speed is not None:
        raise typer.BadParameter("--simulate runs as fast as it can; --speed is for simulators on wires")
    asked = pace("max" if simulate else speed, simulate=simulate, seed=seed)
    named = protocol_file(context, file)
    among = folders(context)
    experiment = _prepare(config, config_path, named, among, station, cell, assignments(set_ or []), asked, db, consent)
    raise typer.Exit(asyncio.run(_conduct(experiment, as_json=json)))


def _prepare(
    config: "Config",
    config_path: Path,
    file: Path,
    among: "Folders",
    station: str | None,
    cell: Path | None,
    values: dict[str, str],
    pace: "Pace",
    database: Path | None,
    consent: str,
) -> "Experiment":
    """Bind the protocol to cell and station; nothing is opened yet."""
    from labctl.cli.operator import operator_for
    from labctl.engine.operator import DeclaredOperator
    from labctl.filelock import make_folder
    from labctl.lab.abilities import abilities
    from labctl.lab.consent import refuse_without_consent
    from labctl.lab.experiment import Experiment
    from labctl.lab.laboratory import all_simulated
    from labctl.protocol import bind, load, load_cell
    from labctl.protocol.provenance import provenance_of

    if station is None:
        if len(config.stations) > 1:
            names = ", ".join(config.stations)
            raise typer.BadParameter(f"{config.source.name} has several stations ({names}): choose one with --station")
        station = next(iter(config.stations), "")
    able = abilities(config, station)
    plan = bind(load(file, among), able, load_cell(cell) if cell else None, values)
    refuse_without_consent(able, consent)
    simulated = pace.in_memory or all_simulated(config, station)
    operator = DeclaredOperator() if simulated else operator_for(plan)
    target = database or config.storage.database
    make_folder(target.parent)
    origin = provenance_of(file, among())
    return Experiment(config, config_path, station, plan, pace, target.absolute(), operator, consent, origin)


async def _conduct(experiment: "Experiment", *, as_json: bool) -> int:
    from labctl.cells.shelf import FOLDER, Shelf
    from labctl.cli.result import tell

    done = await conducted(experiment)
    if done is None:
        return INTERRUPTED
    running, outcome = done
    tell(running, outcome, Shelf.read(experiment.config_path.parent / FOLDER), as_json=as_json)
    return status_of(outcome)


async def conducted(experiment: "Experiment") -> "tuple[Running, Outcome] | None":
    """Conduct an experiment, shown at the terminal and stopped by Ctrl-C; None where that came before it began."""
    import asyncio
    import signal
    from contextlib import suppress

    from labctl.cli.context import console
    from labctl.cli.progress import Progress
    from labctl.errors import NotNow
    from labctl.lab.experiment import Running, conduct

    said = console(to_stderr=True)
    progress = Progress(said)
    shown: list[Running] = []

    def started(running: Running) -> None:
        shown.append(running)
        progress.follow(running)

    def interrupted() -> None:
        said.print("Stopping: the circuit is opened and the pressure frozen; this is not interrupted.")
        for running in shown:
            with suppress(NotNow):  # it is ending by itself
                running.run.stop()
        if not shown and work is not None:
            work.cancel()

    work: asyncio.Task[object] | None = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted)
    try:
        outcome = await conduct(experiment, started)
    except asyncio.CancelledError:
        return None
    finally:
        await progress.close()
    return shown[0], outcome


def status_of(outcome: "Outcome") -> int:
    """Return the exit status of a run, whose error is told."""
    from labctl.cli.context import console
    from labctl.reading import RunState

    if outcome.error is not None:
        console(to_stderr=True).print(f"error: {outcome.error}")
        return outcome.error.exit_code
    return INTERRUPTED if outcome.state is RunState.STOPPED else 0
