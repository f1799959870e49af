"""`labctl repair`: a database with everything that can be read of a damaged one; the damaged one stays as it is."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from labctl.cli.context import console, print_json


def repair(
    db: Annotated[Path, typer.Argument(help="Database that is damaged.", show_default=False)],
    output: Annotated[Path | None, typer.Option(help="File of the copy; else DB with -repaired.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a copy with everything that can be read of a database and its journals, and say what is lost.

    Example: labctl repair labctl.db
    """
    from labctl.lab.recording import journals_of
    from labctl.record.repair import repair as write_copy

    copy = output or db.with_name(f"{db.stem}-repaired{db.suffix}")
    repaired = write_copy(db, copy, journals_of(db), tell_progress)
    if json:
        print_json(
            {
                "copy": str(copy),
                "rows": repaired.rows,
                "from_journals": repaired.delivered,
                "lost": repaired.lost,
                "told": repaired.told,
            }
        )
        return
    out = console()
    for table, count in repaired.rows.items():
        out.print(f"{table:11} {count}")
    out.print(f"{repaired.lost} record(s) are lost, each marked as a gap:" if repaired.told else "Nothing is lost.")
    for sentence in repaired.told:
        out.print(f"  {sentence}")
    aside = db.with_name(db.name + "-damaged")
    old = [path for suffix in ("", "-wal", "-shm") if (path := db.with_name(db.name + suffix)).exists()]
    out.print(f"The copy is {copy}; {db} is as it was. To go on with the copy:", soft_wrap=True)
    out.print(f"  {_shell('mkdir', aside)} && {_shell('mv', *old, aside)}", soft_wrap=True)
    out.print(f"  {_shell('mv', copy, db)}", soft_wrap=True)


def _shell(*words: Path | str) -> str:
    return shlex.join(map(str, words))


def tell_progress(what: str, done: int, of: int) -> None:
    """Say on a terminal how far a long work is."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{what}: {done} of {of}\x1b[K" + ("\n" if done == of else ""))
        sys.stderr.flush()
