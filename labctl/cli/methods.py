"""`labctl methods`: the experimental paragraph of a paper, from a protocol or from a recorded run."""

import re
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.context import settings
from labctl.cli.named import Cell, folders, protocol_file

if TYPE_CHECKING:
    from labctl.plan import BoundCell
    from labctl.protocol.folders import Folders
    from labctl.protocol.provenance import Provenance
    from labctl.record.queries import RunRow
    from labctl.words.methods import Used


def methods(
    context: typer.Context,
    what: Annotated[
        str, typer.Argument(metavar="RUN|FILE", help="Number or UUID of a run, or a protocol.", show_default=False)
    ],
    cell: Cell = None,
    db: Annotated[Path | None, typer.Option(help="Database; else labctl.db in the data folder.")] = None,
) -> None:
    r"""Write the experimental paragraph of a paper: what was done to what, with which instruments and software.

    \b
    Examples:
      labctl methods 12
      labctl methods protocols/ma-2024/lto-0.2C.toml
    """
    if not _is_run(what):
        paragraph = _of_file(protocol_file(context, Path(what)), folders(context), cell)
    elif cell is not None:
        raise typer.BadParameter("a run knows its cell; --cell is for a protocol")
    else:
        paragraph = _of_run(what, settings(context).database(db))
    typer.echo(paragraph, nl=False)


def _is_run(what: str) -> bool:
    """Whether this is the number of a run, or the beginning of a UUID, and no file."""
    return not Path(what).is_file() and re.fullmatch(r"\d+|[0-9a-f-]{8,36}", what) is not None


def _of_file(file: Path, among: "Folders", cell: Path | None) -> str:
    from labctl.protocol import ANY_STATION, bind, load, load_cell
    from labctl.protocol.scale import merge
    from labctl.words.methods import methods as paragraph

    protocol, loaded = load(file, among), None if cell is None else load_cell(cell)
    plan = bind(protocol, ANY_STATION, loaded)
    whole = merge(protocol.file.cell, loaded.file.cell if loaded else None)
    return paragraph(protocol, whole, plan.cell, plan.hash, None)


def _of_run(which: str, database: Path) -> str:
    from labctl.errors import ProtocolError, StorageError
    from labctl.lab.provenance import of_run
    from labctl.protocol.load import fill
    from labctl.protocol.scale import bind_cell
    from labctl.protocol.source import parse
    from labctl.record.queries import Queries
    from labctl.words.methods import methods as paragraph

    with Queries(database) as queries:
        run = queries.run(which)
        cycles = sum(cycle.complete for cycle in queries.cycles(run.id))
        came_from = of_run(queries.events(run.id))
    if not run.protocol_text:
        raise StorageError(f"Of run {run.id} no protocol is recorded.", "Write its paragraph from the file.")
    protocol = fill(parse(f"run {run.id}", run.protocol_text, ProtocolError), run.inputs or {})
    bound = _cell_of(run) or bind_cell(protocol.file.cell)
    return paragraph(protocol, protocol.file.cell, bound, run.protocol_hash or "", _used(run, cycles, came_from))


def _cell_of(run: "RunRow") -> "BoundCell | None":
    """Return the cell as the run was bound to it."""
    from labctl.plan import BoundCell

    known = {field.name for field in fields(BoundCell)}
    said = {key: value for key, value in (run.cell or {}).items() if key in known}
    return BoundCell(**said) if {"name", "kind"} <= said.keys() else None


def _used(run: "RunRow", cycles: int, came_from: "Provenance | None") -> "Used":
    from labctl.calibration.quote import in_words, quoted_at
    from labctl.words.methods import Instrument, Used

    instruments = tuple(
        Instrument(
            role,
            str(one.get("identity", "")),
            str(one.get("driver", "")),
            bool(one.get("simulated")),
            () if (found := quoted_at(one)) is None else (in_words(found),),
        )
        for role, one in (run.instruments or {}).items()
    )
    return Used(
        run=run.uuid,
        station=run.station or "",
        instruments=instruments,
        software=run.software_version or "",
        simulated=bool(run.simulated),
        began=_when(run.started_unix_second),
        ended=_when(run.ended_unix_second),
        cycles=cycles,
        state=run.state.value,
        reason=run.end_reason or "",
        commit="" if came_from is None else came_from.of_commit,
    )


def _when(unix: float | None) -> str:
    return "" if unix is None else datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M")
