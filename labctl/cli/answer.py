"""`labctl answer`: the answer to a prompt that a run waits for."""

from typing import Annotated

import typer

from labctl.cli.remote import Target, with_lab


def answer(
    context: typer.Context, target: Target, text: Annotated[str, typer.Argument(help="Answer.", show_default=False)]
) -> None:
    """Answer the prompt that a run waits for; `labctl status` shows the question.

    Example: labctl answer A1 yes
    """
    with_lab(context, lambda lab: lab.answer(target, text))
    typer.echo(f"{target}: answered.")
