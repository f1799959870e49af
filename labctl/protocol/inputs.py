"""The inputs of a file: their values, from defaults and settings, and the `{placeholders}` that they fill."""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from labctl.errors import MOST_FINDINGS, Finding, Place
from labctl.protocol.source import Source
from labctl.quantity import Quantity, WordingError, parse, shown

Value = str | int

Refuse = Callable[[str, str], None]
"""Takes the reason and the remedy of what is wrong at the place that is looked at."""

_BRACES = re.compile(r"\{\{|\}\}|\{(\w+)\}|[{}]")
_LITERAL = ("schema", "protocol", "inputs", "attached")


def choose(
    source: Source, settings: Mapping[str, str], where: Callable[[str], Place] | None = None
) -> tuple[dict[str, Value], list[Finding]]:
    """Return the value of every input: the setting where there is one, else the default; both within its range.

    Args:
        where: says where the setting of a name was written; None: on a command line.
    """
    table = source.data.get("inputs")
    declared = {k: v for k, v in table.items() if isinstance(v, dict)} if isinstance(table, dict) else {}
    unknown = [name for name in settings if name not in declared]
    findings = [_unknown_setting(source, name, tuple(declared), where) for name in unknown[:MOST_FINDINGS]]
    values: dict[str, Value] = {}
    for name, entry in declared.items():
        default = entry.get("default")
        if not isinstance(default, str | int) or isinstance(default, bool):
            continue
        try:
            values[name] = _set(default, settings[name]) if name in settings else default
            _check_range(values[name], entry)
        except WordingError as error:
            values.setdefault(name, default)
            place, what = source.value(("inputs", name, "default")), f"the default of {name}"
            if name in settings:
                place = source.value(("inputs", name)) if where is None else where(name)
                what = f"{'--set ' if where is None else ''}{name}={shown(settings[name])}"
            findings.append(Finding("input", place, f"{what}: {error.sentence}", f"{_capital(error.remedy)}."))
    return values, findings


def _unknown_setting(
    source: Source, name: str, known: tuple[str, ...], where: Callable[[str], Place] | None
) -> Finding:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f' (did you mean "{near[0]}"?)' if near else ""
    remedy = f"Its inputs are {', '.join(known)}." if known else "It has no [inputs]."
    if where is not None:
        return Finding(
            "input", where(name), f"no input of {PurePath(source.name).name} is called {shown(name)}{hint}", remedy
        )
    return Finding(
        "input", source.value(("inputs",)), f"--set: no input of this file is called {shown(name)}{hint}", remedy
    )


def _set(default: Value, setting: str) -> Value:
    """Read a setting from the command line as what the default is: a count or a text."""
    if isinstance(default, str):
        return setting
    if not re.fullmatch(r"[+-]?\d{1,15}", setting):
        raise WordingError(f"{shown(setting)} is no whole number", f"write a count, such as {default}")
    return int(setting)


def _check_range(value: Value, entry: Mapping[str, object]) -> None:
    for bound, beyond, word in (("min", -1, "below"), ("max", 1, "above")):
        limit = entry.get(bound)
        if limit is None:
            continue
        if isinstance(value, str) != isinstance(limit, str) or not isinstance(limit, str | int):
            raise WordingError(f"{value!r} cannot be compared with {bound} = {limit!r}", "write both in the same way")
        if _order(value, limit) * beyond > 0:
            raise WordingError(
                f"{shown(str(value))} is {word} the input's {bound} of {limit}", f"stay within {_range(entry)}"
            )


def _order(value: Value, limit: Value) -> int:
    """Compare two counts or two quantities of the same dimension: -1, 0 or 1."""
    if isinstance(value, int) and isinstance(limit, int):
        return (value > limit) - (value < limit)
    bound = parse(str(limit))
    asked: Quantity = parse(str(value), bound.dimension)
    return (asked.value > bound.value) - (asked.value < bound.value)


def _range(entry: Mapping[str, object]) -> str:
    return " and ".join(f"{bound} {entry[bound]}" for bound in ("min", "max") if bound in entry)


@dataclass(frozen=True, slots=True)
class Names:
    """What `{name}` stands for at some place of a file; `used` gathers what was asked for anywhere in it."""

    values: Mapping[str, Value]
    used: set[str] = field(default_factory=set)

    def with_(self, more: Mapping[str, Value]) -> "Names":
        """Return these names and others, of which these are shadowed."""
        return Names({**self.values, **more}, self.used)

    def fill(self, text: str, refuse: Refuse) -> Value:
        """Return a text with its placeholders filled; a count where it is nothing but the name of one.

        What is wrong more than once in one text is told once, and not more than a report holds.
        """
        told: set[str] = set()

        def replace(match: re.Match[str]) -> str:
            name = match[1]
            if name is None:
                if len(match[0]) == 1 and match[0] not in told:
                    told.add(match[0])
                    refuse(f'a single "{match[0]}" stands here', 'Write "{{" and "}}" for braces themselves.')
                return match[0][0]
            if name not in self.values:
                if name not in told and len(told) < MOST_FINDINGS:
                    told.add(name)
                    self._unknown(name, refuse)
                return "0"
            self.used.add(name)
            return str(self.values[name])

        whole = re.fullmatch(r"\{(\w+)\}", text)
        if whole and isinstance(self.values.get(whole[1]), int):
            self.used.add(whole[1])
            return self.values[whole[1]]
        return _BRACES.sub(replace, text)

    def _unknown(self, name: str, refuse: Refuse) -> None:
        near = difflib.get_close_matches(name, list(self.values), n=1)
        hint = f' (did you mean "{{{near[0]}}}"?)' if near else ""
        reason = f'nothing here is called "{name}"{hint}'
        refuse(reason, f"Declare it: [inputs] {name} = {{ default = ... }}, or in a `for` around it.")


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
