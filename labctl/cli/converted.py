"""What a conversion between two worlds wrote, and what it could not: where it goes, and the exit status."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from labctl.cli import findings
from labctl.cli.context import print_json

if TYPE_CHECKING:
    from labctl.exchange import Converted

Output = Annotated[Path | None, typer.Option(help="Write to this new file instead of standard output.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, with the text in it.")]


def refuse_unknown(option: str, value: str | None, known: list[str]) -> None:
    """Raise BadParameter for a word that an option does not know."""
    if value is not None and value not in known:
        raise typer.BadParameter(f'{option} knows no "{value}"; it knows {", ".join(known)}')


def tell(file: Path, converted: "Converted", output: Path | None, *, json: bool) -> None:
    """Write the text, tell every finding, and leave with the status of the worst."""
    text = converted.text
    if output is not None and text is not None:
        with writing_new(output) as new:
            new.write(text)
    if json:
        print_json({"text": text} | findings.as_json(file, converted.findings, None))
    else:
        if text is not None and output is None:
            typer.echo(text, nl=False)
        for finding in converted.findings:
            typer.echo(str(finding), err=True)
    raise typer.Exit(findings.status(converted.findings))


@contextmanager
def writing_new(output: Path) -> Iterator[TextIO]:
    """Yield a new file of this name to write to; what could not be written whole is not left there.

    Raises:
        BadParameter: it exists, or cannot be written.
    """
    try:
        file = output.open("x", encoding="utf-8", newline="")
    except OSError as error:
        raise typer.BadParameter(f"{output} cannot be written: {error.strerror}; choose another name") from None
    try:
        with file:
            yield file
    except BaseException as error:
        output.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise typer.BadParameter(f"{output} cannot be written: {error.strerror}; choose another place") from None
        raise
