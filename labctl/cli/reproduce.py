"""`labctl reproduce`: the results of a paper beside those of its protocols on simulated stations, row by row."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli.context import console, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from labctl.rehearse import Rehearsal
    from labctl.reproduce import Judged, Set

NOTICE = (
    "This proves software, not chemistry: a simulated cell shows what it was built and calibrated to show. A calibrated"
    " row tells that the software still does so; a row held out tells how far its model carries."
)
MISSED = 1
INTERRUPTED = 130


def reproduce(
    paper: Annotated[str, typer.Argument(help="Folder of its protocols, such as doerrer-2021.", show_default=False)],
    only: Annotated[list[str] | None, typer.Option("--only", metavar="ID", help="This set alone; repeatable.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer cycles, where a set allows it; later rows are not reached.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Decides noise and scatter.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    r"""Run a paper's protocols on simulated stations in virtual time, and compare.

    \b
    Examples:
      labctl reproduce doerrer-2021
      labctl reproduce ma-2024 --only ma-0.2C-200 --quick
    """
    from labctl.reproduce import judge

    sets = _chosen(paper, only or [])
    runs: dict[str, Rehearsal] = {}
    judged: list[Judged] = []
    for each in sets:
        runs[each.id] = _run(each, seed, quick=quick)
        rows = judge(each, runs)
        judged += rows
        if not json:
            _tell(each, rows, runs)
    if json:
        print_json(_as_json(paper, sets, judged, runs, seed, quick=quick))
    else:
        _sum_up(judged)
    raise typer.Exit(_status(judged))


def _chosen(paper: str, only: "Sequence[str]") -> "list[Set]":
    """Return the sets that were asked for, and before them those that their rows are compared with."""
    from labctl.reproduce import acceptance

    known = list(dict.fromkeys(each.paper for each in acceptance()))
    if paper not in known:
        raise typer.BadParameter(f"there is no paper {paper!r}; there are {', '.join(known)}")
    sets = {each.id: each for each in acceptance() if each.paper == paper}
    for name in only:
        if name not in sets:
            raise typer.BadParameter(f"{paper} has no set {name!r}; it has {', '.join(sets)}")
    wanted = {*(only or sets)}
    wanted |= {row.against for name in wanted for row in sets[name].row if row.against}
    return [each for each in sets.values() if each.id in wanted]


def _run(each: "Set", seed: int, *, quick: bool) -> "Rehearsal":
    """Rehearse a set; leave where somebody has stopped it."""
    import asyncio

    from labctl.cli.rehearsal import perform
    from labctl.reading import RunState
    from labctl.reproduce import prepare

    ready = prepare(each, quick=quick)
    rehearsal = asyncio.run(
        perform(ready.plan, ready.config, ready.station, seed=seed, poll=each.poll, boundaries=each.boundaries)
    )
    if rehearsal.outcome.state is RunState.STOPPED:
        raise typer.Exit(INTERRUPTED)
    return rehearsal


def _tell(each: "Set", rows: "Sequence[Judged]", runs: "Mapping[str, Rehearsal]") -> None:
    """Print a set: what ran, and its rows."""
    from rich.text import Text

    from labctl.cli.tables import duration, make_table
    from labctl.literal import literal

    out = console()
    run = runs[each.id]
    out.print(f"{each.id}  protocols/{each.protocol}", style="bold", soft_wrap=True)
    how = f"{duration(run.duration)} of lab time, {run.outcome.state.value}. {literal(run.outcome.reason)}"
    out.print(how, soft_wrap=True)
    table = make_table("", "", "paper", "within", "run", "", left=2)
    table.columns[-1].justify, table.columns[-1].no_wrap = "left", False
    for one in rows:
        row = one.row
        basis = "" if row.basis is None else row.basis.value
        says = row.says if not row.cannot else f"{row.says}: {row.cannot}"
        within = "" if row.tolerance is None else str(row.tolerance)
        cells = (one.verdict.value, basis, _expected(one), within, _got(one), says)
        table.add_row(*map(Text, cells))
    out.print(table)
    out.print()


def _scale(judged: "Judged") -> tuple[float, str]:
    """Return what divides a row's SI value, and the unit it is then in."""
    from labctl.quantity import Dimension

    given = judged.row.paper or judged.row.at_least or judged.row.at_most
    match None if given is None else given.dimension:
        case Dimension.SPECIFIC_CHARGE:
            return 3600.0, "mAh/g"
        case Dimension.AREAL_CHARGE:
            return 36000.0, "mAh/cm2"
        case Dimension.AREAL_RESISTANCE:
            return 1e-4, "Ohm cm2"
        case Dimension.CONDUCTIVITY:
            return 0.1, "mS/cm"
        case Dimension.RATIO:
            return 0.01, "%"
    return 1.0, ""


def _expected(judged: "Judged") -> str:
    row = judged.row
    if row.at_least is not None:
        return f"≥ {row.at_least}"
    if row.at_most is not None:
        return f"≤ {row.at_most}"
    said = row.paper or row.state or row.count
    return "" if said is None else str(said)


def _got(judged: "Judged") -> str:
    if judged.run is None:
        return judged.state
    scale, unit = _scale(judged)
    return f"{judged.run / scale:.4g} {unit}".rstrip()


def _sum_up(judged: "Sequence[Judged]") -> None:
    from labctl.reproduce import Basis, Verdict

    out = console()
    for basis in Basis:
        rows = [one for one in judged if one.row.basis is basis]
        counts = {verdict: sum(one.verdict is verdict for one in rows) for verdict in Verdict}
        told = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
        out.print(f"{basis.value}: {told or 'no rows'}")
    out.print(f"cannot run: {sum(one.verdict is Verdict.CANNOT for one in judged)}")
    out.print(NOTICE, soft_wrap=True)


def _status(judged: "Sequence[Judged]") -> int:
    """Return 1 where a row is missed that the simulated cell was calibrated to meet."""
    from labctl.reproduce import Basis, Verdict

    broken = any(one.verdict is Verdict.MISSED and one.row.basis is Basis.CALIBRATED for one in judged)
    return MISSED if broken else 0


def _as_json(
    paper: str,
    sets: "Sequence[Set]",
    judged: "Sequence[Judged]",
    runs: "Mapping[str, Rehearsal]",
    seed: int,
    *,
    quick: bool,
) -> dict[str, Any]:
    return {
        "notice": NOTICE,
        "paper": paper,
        "simulated": True,
        "seed": seed,
        "quick": quick,
        "sets": [
            {
                "id": each.id,
                "protocol": each.protocol,
                "state": runs[each.id].outcome.state.value,
                "reason": runs[each.id].outcome.reason,
                "duration": runs[each.id].duration,
                "rows": [_row_json(one) for one in judged if one.set is each],
            }
            for each in sets
        ],
    }


def _row_json(judged: "Judged") -> dict[str, Any]:
    row, (scale, unit) = judged.row, _scale(judged)
    said = row.paper or row.at_least or row.at_most
    return {
        "id": row.id,
        "says": row.says,
        "where": row.where,
        "basis": None if row.basis is None else row.basis.value,
        "measure": None if row.measure is None else row.measure.value,
        "cycle": row.cycle,
        "bound": "at_least" if row.at_least else "at_most" if row.at_most else "within",
        "paper": row.state or row.count if said is None else float(said) / scale,
        "tolerance": None if row.tolerance is None else float(row.tolerance),
        "run": judged.state or None if judged.run is None else judged.run / scale,
        "unit": unit,
        "verdict": judged.verdict.value,
        "cannot": row.cannot,
    }
