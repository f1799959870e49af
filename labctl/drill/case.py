"""A case: a laboratory, its protocols and all that befalls them, as TOML that is read back to the last digit."""

import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from labctl.errors import LabctlError
from labctl.sim.schedule import Scheduled
from labctl.sim.script import read as read_faults
from labctl.sim.script import write as write_faults

Step = Mapping[str, Any]
"""A step of a protocol as TOML has it."""


class Say(StrEnum):
    """What an operator may say to a run."""

    PAUSE = "pause"
    RESUME = "resume"
    SKIP = "skip"
    STOP = "stop"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Word:
    """What an operator says at an instant of lab time (s)."""

    at: float
    say: Say


@dataclass(frozen=True, slots=True)
class Death:
    """The process dies.

    Attributes:
        at: s of lab time.
        away: s until another one begins.
        torn: part of what was not yet on disk that reaches it all the same, cut anywhere.
    """

    at: float
    away: float
    torn: float = 0.0


@dataclass(frozen=True, slots=True)
class BusTrouble:
    """What the bus does to messages: parts of them, 0 to 1.

    Attributes:
        lose: are lost with the connection.
        silent: are lost though they were acknowledged.
        double: are delivered twice.
    """

    lose: float = 0.0
    silent: float = 0.0
    double: float = 0.0


@dataclass(frozen=True, slots=True)
class Place:
    """A station.

    Attributes:
        config: its tables of config.toml.
        head: its protocol up to the first step.
        acknowledged_after: s that a trip or a failure stands until somebody acknowledges it.
        answers_after: s that the operator takes for an answer.
    """

    name: str
    config: str
    head: str
    steps: tuple[Step, ...]
    faults: tuple[Scheduled, ...] = ()
    words: tuple[Word, ...] = ()
    acknowledged_after: float = 60.0
    answers_after: float = 5.0

    @property
    def protocol(self) -> str:
        """Its protocol as a file."""
        return self.head + "".join(f"\n[[step]]\n{keys_text(step)}" for step in self.steps)


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that a search varies.

    Attributes:
        seed: of noise, scatter and chance on the bus.
        duration: s of lab time.
        flush_every: s of lab time between two fsyncs of the journals.
    """

    seed: int
    duration: float
    places: tuple[Place, ...]
    deaths: tuple[Death, ...] = ()
    bus: BusTrouble = BusTrouble()
    flush_every: float = 1.0

    @property
    def config(self) -> str:
        """Its config.toml."""
        return 'schema = "1"\n' + "\n".join(place.config for place in self.places)


# -- text --------------------------------------------------------------------------------------------------------------

HEADING = "# A laboratory that broke a promise. Run it again: python -m labctl.drill again THIS_FILE\n"


def write(case: Case) -> str:
    """Write a case as `read` reads it."""
    lines = [HEADING + f"seed = {case.seed}", f"duration = {case.duration!r}", f"flush_every = {case.flush_every!r}"]
    if case.bus != BusTrouble():
        lines.append(
            f"bus = {{ lose = {case.bus.lose!r}, silent = {case.bus.silent!r}, double = {case.bus.double!r} }}"
        )
    lines += [f"\n[[death]]\nat = {d.at!r}\naway = {d.away!r}\ntorn = {d.torn!r}" for d in case.deaths]
    for place in case.places:
        lines += _place(place)
    return "\n".join(lines) + "\n"


def _place(place: Place) -> Iterator[str]:
    yield f'\n[[place]]\nname = "{place.name}"'
    yield f"acknowledged_after = {place.acknowledged_after!r}\nanswers_after = {place.answers_after!r}"
    yield f"config = '''\n{place.config}'''\nprotocol = '''\n{place.protocol}'''"
    if place.faults:
        yield f"faults = '''\n{write_faults(place.faults)}'''"
    if place.words:
        words = ", ".join(f'{{ at = {word.at!r}, say = "{word.say}" }}' for word in place.words)
        yield f"words = [{words}]"


_WORDS = TypeAdapter(tuple[Word, ...])
_DEATHS = TypeAdapter(tuple[Death, ...])
_BUS = TypeAdapter(BusTrouble)


def read(path: Path) -> Case:
    """Read a case.

    Raises:
        LabctlError: it is none; the sentence says why.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
        return Case(
            int(data["seed"]),
            float(data["duration"]),
            tuple(_read_place(place) for place in data["place"]),
            _DEATHS.validate_python(tuple(data.get("death", ()))),
            _BUS.validate_python(data.get("bus", {})),
            float(data["flush_every"]),
        )
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise LabctlError(f"{path} is no case of a drill: {error!r}.", "Take one that a drill has written.") from error


def _read_place(table: Mapping[str, Any]) -> Place:
    head, first, rest = str(table["protocol"]).partition("\n[[step]]\n")
    steps = tomllib.loads(first + rest)["step"]
    return Place(
        str(table["name"]),
        str(table["config"]),
        head,
        tuple(steps),
        read_faults(str(table.get("faults", ""))),
        _WORDS.validate_python(tuple(table.get("words", ()))),
        float(table["acknowledged_after"]),
        float(table["answers_after"]),
    )


def keys_text(table: Mapping[str, Any]) -> str:
    """Write the keys of a table as TOML, a line each."""
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items())


def _value(value: object) -> str:
    """Write a value as TOML."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value)
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return repr(value)
        case Mapping():
            return "{ " + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(_value(each) for each in value) + "]"
    raise TypeError(f"no table here holds {value!r}")
