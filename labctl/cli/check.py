"""`labctl check`: everything wrong with a protocol file, before anything moves; and what it would do, rehearsed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli.context import print_json, settings

if TYPE_CHECKING:
    from labctl.config import Config
    from labctl.errors import Finding
    from labctl.protocol import LoadedCell
    from labctl.rehearse import Rehearsal

INVALID = 3


def check(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Protocol files.", show_default=False)],
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
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    r"""Check protocol files: every error at once, with its place, its reason and what to do.

    \b
    Examples:
      labctl check protocols/doerrer-2021/asymmetric.toml --station A1
      labctl check protocols/wang-2023/cccv.toml --station A3 --rehearse --set cycles=10 --png wang.png
    """
    from labctl.cli.inputs import assignments
    from labctl.lab.abilities import abilities
    from labctl.protocol import check as check_file
    from labctl.protocol import load_cell

    if rehearse and (station is None or len(files) != 1):
        raise typer.BadParameter("--rehearse takes one file, and the --station on which it is to run")
    if png is not None and not rehearse:
        raise typer.BadParameter("--png shows a rehearsal: add --rehearse")
    config = None if station is None else settings(context).load_config()
    against = None if config is None or station is None else abilities(config, station)
    values = assignments(set_ or [])
    loaded = None if cell is None else load_cell(cell)
    findings = {path: check_file(path, against, loaded, values) for path in files}
    valid = not any(finding.severity == "error" for found in findings.values() for finding in found)
    if not json:
        _tell(findings)
    rehearsed: Rehearsal | None = None
    if valid and rehearse and config is not None and station is not None:
        rehearsed = _rehearse(config, station, files[0], loaded, values, seed=seed, poll=poll, boundaries=boundaries)
    _print_result(findings, rehearsed, png, as_json=json)
    if not valid:
        raise typer.Exit(INVALID)
    if rehearsed is not None:
        from labctl.cli.rehearsal import exit_status

        raise typer.Exit(exit_status(rehearsed))


def _rehearse(
    config: "Config",
    station: str,
    file: Path,
    cell: "LoadedCell | None",
    values: dict[str, str],
    *,
    seed: int,
    poll: float,
    boundaries: bool,
) -> "Rehearsal":
    import asyncio

    from labctl.cli.rehearsal import perform
    from labctl.lab.abilities import abilities
    from labctl.protocol import bind, load

    plan = bind(load(file), abilities(config, station), cell, values)
    return asyncio.run(perform(plan, config, station, seed=seed, poll=poll, boundaries=boundaries))


def _tell(findings: "dict[Path, tuple[Finding, ...]]") -> None:
    for path, found in findings.items():
        for finding in found:
            typer.echo(str(finding), err=True)
        if not found:
            typer.echo(f"{path}: no errors")


def _print_result(
    findings: "dict[Path, tuple[Finding, ...]]", rehearsed: "Rehearsal | None", png: Path | None, *, as_json: bool
) -> None:
    result: dict[str, Any] = {"files": [_file_json(path, found) for path, found in findings.items()]}
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


def _file_json(path: Path, found: "tuple[Finding, ...]") -> dict[str, Any]:
    return {
        "file": str(path),
        "findings": [
            {
                "code": finding.code,
                "severity": finding.severity,
                "line": finding.place.line,
                "column": finding.place.column,
                "reason": finding.reason,
                "remedy": finding.remedy,
            }
            for finding in found
        ],
    }
