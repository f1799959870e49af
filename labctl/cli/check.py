"""`labctl check`: what is wrong or doubtful in a protocol, before anything moves; and what it would do, rehearsed."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli import findings
from labctl.cli.context import print_json, settings

if TYPE_CHECKING:
    from labctl.config import Config
    from labctl.errors import Finding
    from labctl.plan import Plan, StationAbilities
    from labctl.protocol import LoadedCell
    from labctl.protocol.folders import Folders
    from labctl.rehearse import Rehearsal
    from labctl.rehearse.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in one file; plan and estimate where it can run on the station that was named."""

    file: Path
    found: "tuple[Finding, ...]"
    plan: "Plan | None"
    estimate: "Estimate | None"

    @property
    def status(self) -> int:
        """The exit status that the worst finding asks for."""
        return findings.status(self.found)


def check(
    context: typer.Context,
    files: Annotated[
        list[Path] | None, typer.Argument(help="Protocol files, or names of some in the folders.", show_default=False)
    ] = None,
    station: Annotated[str | None, typer.Option(help="Check against this station of the configuration, too.")] = None,
    cell: Annotated[Path | None, typer.Option(help="Cell file that fills or overrides the protocol's [cell].")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set an input of the protocol.")
    ] = None,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Run it in virtual time on the station's simulators; nothing is stored.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Decides noise and scatter of a rehearsal.")] = 1,
    poll: Annotated[
        float, typer.Option(min=0.0, help="Longest time in s between two looks of a rehearsal; 0: as a real run.")
    ] = 10.0,
    boundaries: Annotated[
        bool, typer.Option("--boundaries", help="Rehearse the first and last row of each step only: faster.")
    ] = False,
    png: Annotated[Path | None, typer.Option(help="Write the rehearsal's curves as a picture.")] = None,
    explain: Annotated[
        str | None, typer.Option(metavar="CODE", help="Say what a finding with this code means, and check nothing.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    r"""Check protocol files: every finding at once, with its place, its reason and what to do.

    \b
    Examples:
      labctl check protocols/doerrer-2021/asymmetric.toml --station A1
      labctl check protocols/wang-2023/cccv.toml --station A3 --rehearse --set cycles=10 --png wang.png
      labctl check --explain not-closing
    """
    from labctl.cli.inputs import assignments
    from labctl.cli.named import folders, protocol_file
    from labctl.lab.abilities import abilities
    from labctl.protocol import load_cell

    if explain is not None:
        findings.explain(explain, json=json)
        return
    if not files:
        raise typer.BadParameter("name a protocol file, or --explain CODE")
    files = [protocol_file(context, file) for file in files]
    if rehearse and (station is None or len(files) != 1):
        raise typer.BadParameter("--rehearse takes one file, and the --station on which it is to run")
    if png is not None and not rehearse:
        raise typer.BadParameter("--png shows a rehearsal: add --rehearse")
    config = None if station is None else settings(context).load_config()
    against = None if config is None or station is None else abilities(config, station)
    values = assignments(set_ or [])
    loaded = None if cell is None else load_cell(cell)
    checked = [_checked(file, folders(context), against, loaded, values, estimated=not rehearse) for file in files]
    if not json:
        for each in checked:
            findings.tell(each.file, each.found, each.estimate)
    plan, rehearsed = checked[0].plan, None
    if rehearse and plan is not None and config is not None and station is not None:
        rehearsed = _rehearse(plan, config, station, seed=seed, poll=poll, boundaries=boundaries)
    _print_result(checked, rehearsed, png, as_json=json)
    raise typer.Exit(_status(checked, rehearsed))


def _checked(
    file: Path,
    among: "Folders",
    station: "StationAbilities | None",
    cell: "LoadedCell | None",
    values: dict[str, str],
    *,
    estimated: bool,
) -> Checked:
    from labctl.lint import check as check_file

    found = check_file(file, station, cell, values, among)
    if station is None or findings.status(found) == findings.STATUS["error"]:
        return Checked(file, found, None, None)
    from labctl.protocol import bind, load
    from labctl.rehearse.estimate import estimate

    plan = bind(load(file, among), station, cell, values)
    return Checked(file, found, plan, estimate(plan, station) if estimated else None)


def _status(checked: list[Checked], rehearsed: "Rehearsal | None") -> int:
    """Return the worst: errors, then what happened in a rehearsal, then warnings."""
    if rehearsed is not None:
        from labctl.cli.rehearsal import exit_status

        return exit_status(rehearsed) or checked[0].status
    every = {each.status for each in checked}
    return next((status for status in findings.STATUS.values() if status in every), 0)


def _rehearse(plan: "Plan", config: "Config", station: str, *, seed: int, poll: float, boundaries: bool) -> "Rehearsal":
    import asyncio

    from labctl.cli.rehearsal import perform

    return asyncio.run(perform(plan, config, station, seed=seed, poll=poll, boundaries=boundaries))


def _print_result(checked: list[Checked], rehearsed: "Rehearsal | None", png: Path | None, *, as_json: bool) -> None:
    result: dict[str, Any] = {"files": [findings.as_json(each.file, each.found, each.estimate) for each in checked]}
    if rehearsed is not None:
        from labctl.cli import rehearsal

        if png is not None:
            from labctl.rehearse.picture import save_picture

            save_picture(rehearsed, png)
        result["rehearsal"] = rehearsal.as_json(rehearsed, png)
        if not as_json:
            rehearsal.tell(rehearsed)
    if as_json:
        print_json(result)
