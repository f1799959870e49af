"""The arguments of a command: so many numbers, or a refusal."""

import math


class Refusal(Exception):
    """A command that is not carried out, and why."""


def numbers(arguments: str, count: int) -> list[float]:
    """Return so many finite numbers; raises Refusal for anything else."""
    words = arguments.split(" ")
    try:
        found = [float(word) for word in words]
    except ValueError:
        found = []
    if len(found) != count or not all(map(math.isfinite, found)):
        raise Refusal(f"{count} numbers belong here")
    return found
