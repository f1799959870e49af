"""What the commands that speak to a daemon share: a connection for as long as they need it, and words for targets."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from labctl.cli.context import settings

if TYPE_CHECKING:
    from labctl.client import Lab

T = TypeVar("T")

Target = Annotated[str, typer.Argument(help="Station, or the beginning of a run's UUID.", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why; it is stored with your name.")]
Assignments = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set an input.")]
Consent = Annotated[
    str,
    typer.Option(
        help="Who takes it upon themselves, and why, that only software protects the cell, or that a calibration is"
        ' missing: "NAME: WHY".'
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def with_lab(context: typer.Context, work: "Callable[[Lab], Awaitable[T]]") -> T:
    """Connect to the laboratory of the configuration, do something there, and return its result."""
    import asyncio

    from labctl.client import connect

    async def connected() -> T:
        async with connect(settings(context).config_path) as lab:
            return await work(lab)

    return asyncio.run(connected())
