"""`labctl backup`: everything that a laboratory has recorded, of one instant, while it goes on recording."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from labctl.cli.context import console, print_json, settings


def backup(
    context: typer.Context,
    dest: Annotated[Path | None, typer.Argument(help="Folder for backups; else backups in the data folder.")] = None,
    db: Annotated[Path | None, typer.Option(help="Database; else labctl.db in the data folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Copy database, journals, cells and configuration into a new folder, and verify them; recording goes on.

    Example: labctl backup /mnt/backups
    """
    from labctl.cli.repair import tell_progress
    from labctl.lab.recording import journals_of
    from labctl.record.backup import back_up

    chosen = settings(context)
    database = chosen.database(db)
    others = [chosen.config_path, chosen.cells_folder]
    made = back_up(database, journals_of(database), others, dest or database.parent / "backups", tell_progress)
    if json:
        print_json(asdict(made))
        return
    console().print(
        f"{made.folder}: {made.runs} runs, {made.readings} readings, {made.events} events,"
        f" {made.size_byte / 1e6:.1f} MB, and {len(made.journals)} journal(s); verified.",
        soft_wrap=True,
    )
