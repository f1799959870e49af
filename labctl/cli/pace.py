"""How fast lab time passes, as options say it."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from labctl.lab.laboratory import Pace


def pace(speed: str | None, *, simulate: bool, seed: int) -> "Pace":
    """Return the pace; raises a usage error for what is no speed."""
    from labctl.lab.laboratory import Pace

    if speed is None:
        return Pace(in_memory=simulate, seed=seed)
    if speed == "max":
        return Pace(in_memory=simulate, speed=None, seed=seed)
    try:
        factor = float(speed)
    except ValueError:
        factor = 0.0
    if not 0.0 < factor < 1e9:
        raise typer.BadParameter(f'"{speed}" is no speed; write a factor such as 600, or max')
    return Pace(in_memory=simulate, speed=factor, seed=seed)
