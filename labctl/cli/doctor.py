"""`labctl doctor`: whether all that a laboratory stands on is as it should be, and what to do where it is not."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.context import console, print_json, settings

if TYPE_CHECKING:
    from labctl.lab.doctor.check import Check

GLYPHS = {"fine": ("✓", "+", "green"), "warning": ("!", "!", "yellow"), "error": ("✖", "x", "red")}
"""Verdict -> its glyph, the glyph where the terminal has no Unicode, its colour."""


def doctor(
    context: typer.Context,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Check the whole database, however long that takes.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Examine installation, configuration, machine, bus, instruments and database; each line ends with the remedy.

    Example: labctl doctor
    """
    import asyncio
    from dataclasses import asdict

    from labctl.lab.doctor.examination import examine

    checks: list[Check] = []

    def tell(check: "Check") -> None:
        checks.append(check)
        if not json:
            _print(check)

    def asking(name: str) -> None:
        if sys.stderr.isatty():
            console(to_stderr=True).print(f"  asking {name} ...", style="dim")

    asyncio.run(examine(settings(context).config_path, tell, asking, thorough=thorough))
    errors, warnings = (sum(check.verdict == verdict for check in checks) for verdict in ("error", "warning"))
    if json:
        print_json({"checks": [asdict(check) for check in checks], "errors": errors, "warnings": warnings})
    else:
        console().print(f"{errors} error(s), {warnings} warning(s), {len(checks) - errors - warnings} fine")
    if errors:
        raise typer.Exit(1)


def _print(check: "Check") -> None:
    from rich.text import Text

    from labctl.literal import literal

    glyph, plain, colour = GLYPHS[check.verdict]
    unicode = (sys.stdout.encoding or "ascii").lower().startswith("utf")
    line = Text(f"{glyph if unicode else plain} {check.verdict:7}", style=colour)
    line.append(f" {check.part:13} {literal(check.found)}", style="default")
    if check.remedy:
        line.append(f" {'→' if unicode else '->'} {literal(check.remedy)}", style="bold")
    console().print(line, soft_wrap=True)
