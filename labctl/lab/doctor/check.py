"""One line of the doctor's report: what was looked at, how it is, what was found, and what to do about it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it is."""

    FINE = "fine"
    WARNING = "warning"
    """Nothing is lost by it now, but a person should know."""
    ERROR = "error"
    """Something that belongs to a laboratory does not work."""


@dataclass(frozen=True, slots=True)
class Check:
    """A line; the remedy is empty where the verdict is FINE."""

    part: str
    verdict: Verdict
    found: str
    remedy: str = ""


Tell = Callable[[Check], None]


def fine(part: str, found: str) -> Check:
    """Say that a part is as it should be."""
    return Check(part, Verdict.FINE, found)


def warning(part: str, found: str, remedy: str) -> Check:
    """Say what a person should know of a part."""
    return Check(part, Verdict.WARNING, found, remedy)


def error(part: str, found: str, remedy: str) -> Check:
    """Say that a part does not work."""
    return Check(part, Verdict.ERROR, found, remedy)
