"""`labctl calibrate`: what a torque and a reading of a load cell are worth, measured and stored."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.context import console, print_json, settings
from labctl.cli.remote import Consent

if TYPE_CHECKING:
    from labctl.calibration.procedure import Procedure
    from labctl.calibration.wrench import WrenchProcedure
    from labctl.config import Config
    from labctl.lab.experiment import Experiment
    from labctl.lab.laboratory import Pace
    from labctl.plan import Side, StationAbilities
    from labctl.quantity import Quantity

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

StationName = Annotated[str, typer.Argument(help="Station of the configuration.", show_default=False)]
SideName = Annotated[str | None, typer.Option("--side", help="negative or positive; needed where both could be meant.")]
Expires = Annotated[str, typer.Option(help="How long it stands.")]
Person = Annotated[str | None, typer.Option(help="Who answers for it; else who started the run.")]
Db = Annotated[Path | None, typer.Option(help="Database; else labctl.db in the data folder.")]
Picture = Annotated[Path | None, typer.Option(help="Also draw it: a .png or .svg.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.callback()
def calibrate() -> None:
    """Calibrate a screw or a load cell; the result is stored and quoted by every run that it stands for."""


@app.command()
def torque(
    context: typer.Context,
    station: StationName,
    side: SideName = None,
    to: Annotated[
        str | None, typer.Option(help='Highest level, "2.5 MPa" or "200 N"; else what limits and load cell allow.')
    ] = None,
    bore: Annotated[
        str | None, typer.Option(help='Inner diameter of the die, "10 mm"; needed on real instruments.')
    ] = None,
    tightenings: Annotated[int, typer.Option(min=3, max=100, help="How often from the unloaded screw.")] = 8,
    levels: Annotated[int, typer.Option(min=2, max=50, help="Levels in each direction.")] = 6,
    expires: Expires = "180 d",
    operator: Person = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Simulate in virtual time in this process, whatever the addresses.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Decides noise and scatter of simulators.")] = 1,
    speed: Annotated[
        str | None, typer.Option(help='Pace of simulators on wires: 1, 600, "max", ...', show_default="1")
    ] = None,
    consent: Consent = "",
    show: Annotated[bool, typer.Option("--show", help="Print the protocol and do nothing.")] = False,
    picture: Picture = None,
    db: Db = None,
    json: Json = False,
) -> None:
    r"""Tighten and loosen a screw again and again, and find which force a torque means at the next tightening.

    With a torque wrench you are asked to do it, and to type what the wrench showed.

    \b
    Examples:
      labctl calibrate torque A1 --simulate
      labctl calibrate torque A1 --to "2.5 MPa" --bore "10 mm" --tightenings 10
    """
    from labctl.cli.operator import operator_for
    from labctl.cli.pace import pace
    from labctl.lab.abilities import abilities
    from labctl.lab.laboratory import all_simulated

    config = settings(context).load_config()
    able, lasts = abilities(config, station), _quantity(expires, "--expires", "TIME")
    simulated = simulate or all_simulated(config, station)
    die = _die(config, station, bore, simulated=simulated)
    procedure = _procedure(able, side, die, to, tightenings, levels)
    if show:
        typer.echo(procedure.text(), nl=False)
        return
    if simulate and speed is not None:
        raise typer.BadParameter("--simulate runs as fast as it can; --speed is for simulators on wires")
    asked = pace("max" if simulate else speed, simulate=simulate, seed=seed)
    if not simulate:
        _refuse_taken(config, station, f"labctl calibrate torque {station} --show")
    experiment = _experiment(config, settings(context).config_path, able, procedure.text(), asked, db, consent)
    if not simulated:
        experiment = replace(experiment, operator=operator_for(experiment.plan))
    _measure(experiment, operator, float(lasts), picture, as_json=json)


@app.command()
def loadcell(
    context: typer.Context,
    station: StationName,
    uncertainty: Annotated[
        str,
        typer.Option(help='Of the reference, at 95 %: "0.1 %"; its certificate says it.', show_default=False),
    ],
    side: SideName = None,
    to: Annotated[str | None, typer.Option(help='Largest force, "200 N"; else 80 % of the capacity.')] = None,
    levels: Annotated[int, typer.Option(min=2, max=50, help="Forces above nothing, on each way.")] = 5,
    series: Annotated[int, typer.Option(min=1, max=20, help="How often up and down.")] = 3,
    expires: Expires = "365 d",
    operator: Person = None,
    consent: Consent = "",
    show: Annotated[bool, typer.Option("--show", help="Print the protocol and do nothing.")] = False,
    picture: Picture = None,
    db: Db = None,
    json: Json = False,
) -> None:
    r"""Compare a load cell with known forces, which the operator applies and types, up and down.

    \b
    Examples:
      labctl calibrate loadcell A1 --side positive --uncertainty "0.1 %" --to "40 N"
    """
    from labctl.calibration.loads import LoadProcedure
    from labctl.cli.operator import operator_for
    from labctl.cli.pace import pace
    from labctl.lab.abilities import abilities

    config = settings(context).load_config()
    able, lasts = abilities(config, station), _quantity(expires, "--expires", "TIME")
    chosen = _side(able, side, tuple(dict(able.measured)), "a load cell")
    most = 0.8 * dict(able.measured)[chosen] if to is None else float(_quantity(to, "--to", "FORCE"))
    share = float(_quantity(uncertainty, "--uncertainty", "RATIO"))
    forces = tuple(most * level / levels for level in range(levels + 1))
    procedure = LoadProcedure(station, chosen, forces, series, share, able.poll_period)
    if show:
        typer.echo(procedure.text(), nl=False)
        return
    _refuse_taken(config, station, f"labctl calibrate loadcell {station} --side {chosen} ... --show")
    experiment = _experiment(
        config, settings(context).config_path, able, procedure.text(), pace(None, simulate=False, seed=1), db, consent
    )
    _measure(replace(experiment, operator=operator_for(experiment.plan)), operator, float(lasts), picture, as_json=json)


@app.command()
def fit(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="Number or (the beginning of the) UUID of a run.", show_default=False)],
    expires: Expires = "180 d",
    operator: Person = None,
    picture: Picture = None,
    db: Db = None,
    json: Json = False,
) -> None:
    r"""Fit the readings of a calibration that has run, again or for the first time, and store the result.

    \b
    Examples:
      labctl calibrate fit 12 --picture calibration.svg
    """
    lasts, lab = _quantity(expires, "--expires", "TIME"), settings(context)
    _keep(lab.data_folder(), lab.database(db), run, operator, float(lasts), picture, as_json=json)


def _measure(
    experiment: "Experiment", operator: str | None, lasts: float, picture: Path | None, *, as_json: bool
) -> None:
    """Run a calibration to its end and keep what comes of it; a run that ended otherwise leaves with its status."""
    import asyncio

    from labctl.cli.run_command import INTERRUPTED, conducted, status_of

    done = asyncio.run(conducted(experiment))
    if done is None:
        raise typer.Exit(INTERRUPTED)
    running, outcome = done
    if status := status_of(outcome):
        raise typer.Exit(status)
    data, database = experiment.config.storage.folder, experiment.database
    _keep(data, database, running.run_id, operator, lasts, picture, as_json=as_json)


def _keep(
    data: Path, database: Path, run: str, operator: str | None, lasts: float, picture: Path | None, *, as_json: bool
) -> None:
    """Fit a run of the database, store the result, and show it."""
    from labctl.calibration.evaluate import calibration_of
    from labctl.calibration.model import RECORD
    from labctl.calibration.picture import save_picture
    from labctl.calibration.store import Calibrations
    from labctl.cli.calibrated import show_calibration
    from labctl.record.queries import Queries

    with Queries(database) as queries:
        made = calibration_of(queries, queries.run(run), operator or "", lasts)
    path = Calibrations(data).add(made)
    if picture is not None:
        save_picture(made, picture)
    if as_json:
        print_json({"calibration": RECORD.dump_python(made, mode="json", by_alias=True), "file": str(path)})
        return
    out = console()
    show_calibration(out, made)
    out.print(f"Stored: {path}", soft_wrap=True)


def _procedure(
    able: "StationAbilities",
    side: str | None,
    bore: float,
    to: str | None,
    tightenings: int,
    levels: int,
) -> "Procedure | WrenchProcedure":
    import math

    from labctl.calibration.procedure import Procedure, highest_level, pace_of
    from labctl.calibration.wrench import WrenchProcedure

    possible = tuple(side for side in able.screws if side in dict(able.measured))
    chosen, area = _side(able, side, possible, "a screw and a load cell"), math.pi * bore**2 / 4
    asked = None
    if to is not None:
        level = _quantity(to, "--to", "PRESSURE", "FORCE")
        asked = float(level) / (area if level.dimension.name == "FORCE" else 1.0)
    highest, tool = highest_level(able, chosen, area, asked), able.tool(chosen)
    if tool is not None:
        return WrenchProcedure(able.name, tool, bore, highest, tightenings, levels, able.poll_period)
    return Procedure(
        able.name,
        chosen,
        bore,
        highest,
        tightenings,
        levels,
        torque=0.9 * (able.torque or 0.0),
        speed=pace_of(able, highest * area),
        interval=able.poll_period,
    )


def _side(able: "StationAbilities", said: str | None, possible: "tuple[Side, ...]", has: str) -> "Side":
    """Return the side that is meant: the only possible one, where nothing is said."""
    from labctl.errors import RefusedForSafety

    for side in possible:
        if side == said or (said is None and len(possible) == 1):
            return side
    where = " and ".join(f"the {side} side" for side in possible) or "no side"
    raise RefusedForSafety(
        f"Station {able.name} has {has} on {where}{'' if said is None else f', not on {said!r}'}.",
        "Name one with --side." if possible else "Fit what is to be calibrated.",
    )


def _die(config: "Config", station: str, bore: str | None, *, simulated: bool) -> float:
    """Return the diameter of the die in m: as it is said, or that of the simulated rig."""
    from labctl.errors import RefusedForSafety

    if bore is not None:
        return float(_quantity(bore, "--bore", "LENGTH"))
    if simulated:
        return config.station(station).simulation.rig.bore
    raise RefusedForSafety(
        "The limits of pressure mean a force only with the bore of the die, and nobody has said it.",
        'Say it: --bore "10 mm".',
    )


def _refuse_taken(config: "Config", station: str, shows: str) -> None:
    from labctl.errors import RefusedForSafety
    from labctl.filelock import is_locked
    from labctl.lab.locks import station_lock

    if is_locked(station_lock(config.storage.folder, station)):
        raise RefusedForSafety(
            f"Station {station} is kept by a daemon, or by another run.",
            f"Let the daemon run it: {shows} > calibration.toml; "
            f"labctl start calibration.toml --station {station}; when it has ended: labctl calibrate fit RUN.",
        )


def _experiment(
    config: "Config",
    config_path: Path,
    able: "StationAbilities",
    text: str,
    pace: "Pace",
    database: Path | None,
    consent: str,
) -> "Experiment":
    from labctl.engine.operator import DeclaredOperator
    from labctl.errors import ProtocolError
    from labctl.filelock import make_folder
    from labctl.lab.consent import refuse_without_consent
    from labctl.lab.experiment import Experiment
    from labctl.protocol import bind
    from labctl.protocol.load import fill
    from labctl.protocol.source import parse

    refuse_without_consent(able, consent)
    plan = bind(fill(parse("the protocol of this calibration", text, ProtocolError), {}), able)
    target = database or config.storage.database
    make_folder(target.parent)
    return Experiment(config, config_path, able.name, plan, pace, target.absolute(), DeclaredOperator(), consent)


def _quantity(text: str, option: str, *dimensions: str) -> "Quantity":
    from labctl.quantity import Dimension, QuantityError, Written

    try:
        return Written(tuple(Dimension[name] for name in dimensions), positive=True).read(text)
    except QuantityError as error:
        raise typer.BadParameter(f"{option}: {error}") from None
