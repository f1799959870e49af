"""What a benchmark reports: figures with their spread, ratios beside their goals, and the machine they come from."""

import json
import os
import platform
import statistics
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from labctl import __version__

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity, measured in every round."""

    name: str
    unit: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        """The figure that stands for all."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        spread = f"({_short(min(self.values))} to {_short(max(self.values))})" if len(set(self.values)) > 1 else ""
        return f"  {self.name:<48} {_short(self.median):>7} {self.unit:<11} {spread}".rstrip()


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that has to stay on one side of a bound; its median counts."""

    figure: Figure
    bound: Literal["at least", "at most"]
    limit: float

    @property
    def holds(self) -> bool:
        """Whether this machine meets the goal now."""
        median = self.figure.median
        return median >= self.limit if self.bound == "at least" else median <= self.limit

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "DOES NOT HOLD"
        return f"{self.figure}   goal: {self.bound} {self.limit:g}: {verdict}"


@dataclass(frozen=True, slots=True)
class Report:
    """All that one benchmark has to say; `notes` are sentences without which its figures mislead."""

    name: str
    figures: Sequence[Figure]
    goals: Sequence[Goal]
    notes: Sequence[str] = field(default_factory=list)

    def as_text(self) -> str:
        """Return it for a person."""
        machine = ", ".join(f"{key} {value}" for key, value in _machine().items())
        lines = [
            f"{self.name} ({machine}); median (minimum to maximum)",
            *map(str, self.figures),
            *map(str, self.goals),
        ]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    def as_json(self) -> str:
        """Return it for a program."""
        goals = [
            {**_numbers(goal.figure), "bound": goal.bound, "limit": goal.limit, "holds": goal.holds}
            for goal in self.goals
        ]
        return json.dumps(
            {
                "schema": SCHEMA,
                "benchmark": self.name,
                "machine": _machine(),
                "figures": [_numbers(figure) for figure in self.figures],
                "goals": goals,
                "notes": list(self.notes),
            }
        )


def ratio(name: str, of: Figure, to: Figure) -> Figure:
    """Return round by round how many times `to` goes into `of`: neighbours in time saw the same machine."""
    return Figure(name, "", [one / other for one, other in zip(of.values, to.values, strict=True)])


def options(description: str, rounds: int) -> ArgumentParser:
    """Return the options that every benchmark has."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=_positive, default=rounds, help=f"how often each variant is run ({rounds})")
    return parser


def run(parser: ArgumentParser, measure: Callable[[Namespace], Report]) -> None:
    """Measure, and print; whether a goal holds is no exit status."""
    arguments = parser.parse_args()
    report = measure(arguments)
    print(report.as_json() if arguments.json else report.as_text())


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _machine() -> dict[str, str]:
    return {
        "cores": str(os.cpu_count()),
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "labctl": __version__,
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def _numbers(figure: Figure) -> dict[str, object]:
    return {
        "name": figure.name,
        "unit": figure.unit,
        "median": figure.median,
        "min": min(figure.values),
        "max": max(figure.values),
        "values": list(figure.values),
    }


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
