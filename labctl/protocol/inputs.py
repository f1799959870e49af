"""Fills a file's `{placeholders}`: inputs and settings everywhere, the keys of `for` in the steps below it."""

import difflib
import itertools
import re
from collections.abc import Mapping

from labctl.errors import MOST_FINDINGS, Finding
from labctl.protocol.source import KeyPath, Source
from labctl.quantity import Quantity, WordingError, parse, shown

Value = str | int

MAX_EXPANDED = 20_000
"""Steps that all `for` loops of a file may unfold to together."""

MAX_TABLES = 30_000
"""Tables of a file, all its `for` loops unfolded."""

_BRACES = re.compile(r"\{\{|\}\}|\{(\w+)\}|[{}]")
_LITERAL = ("schema", "protocol", "inputs")


def choose(source: Source, settings: Mapping[str, str]) -> tuple[dict[str, Value], list[Finding]]:
    """Return the value of every input: the setting where there is one, else the default; both within its range."""
    table = source.data.get("inputs")
    declared = {k: v for k, v in table.items() if isinstance(v, dict)} if isinstance(table, dict) else {}
    unknown = [name for name in settings if name not in declared]
    findings = [_unknown_setting(source, name, tuple(declared)) for name in unknown[:MOST_FINDINGS]]
    values: dict[str, Value] = {}
    for name, entry in declared.items():
        default = entry.get("default")
        if not isinstance(default, str | int) or isinstance(default, bool):
            continue
        try:
            values[name] = _set(default, settings[name]) if name in settings else default
            _check_range(values[name], entry)
        except WordingError as error:
            key = ("inputs", name) if name in settings else ("inputs", name, "default")
            what = f"--set {name}={shown(settings[name])}" if name in settings else f"the default of {name}"
            place = source.value(key)
            findings.append(Finding("input", place, f"{what}: {error.sentence}", f"{_capital(error.remedy)}."))
    return values, findings


def _unknown_setting(source: Source, name: str, known: tuple[str, ...]) -> Finding:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f' (did you mean "{near[0]}"?)' if near else ""
    remedy = f"Its inputs are {', '.join(known)}." if known else "It has no [inputs]."
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


def fill(source: Source, values: Mapping[str, Value]) -> tuple[dict[str, object] | None, list[Finding]]:
    """Return the file's data with placeholders filled and every `do` of a `for` unfolded to one list a combination.

    None: it is too much to be looked at any further.
    """
    filler = _Filler(source)
    data = {key: value if key in _LITERAL else filler.fill(value, (key,), values) for key, value in source.data.items()}
    for name in values:
        if name not in filler.used:
            filler.refuse(
                ("inputs", name), f'the input "{name}" changes nothing', f"Write {{{name}}} where it belongs."
            )
    return None if filler.overflowed else data, filler.findings


class _Filler:
    """Walks the data of one file."""

    def __init__(self, source: Source) -> None:
        self.findings: list[Finding] = []
        self.used: set[str] = set()
        self._source = source
        self._expanded = 0
        self._tables = 0
        self._unknowns: set[tuple[KeyPath, str]] = set()

    @property
    def overflowed(self) -> bool:
        return self._tables > MAX_TABLES

    def refuse(self, path: KeyPath, reason: str, remedy: str) -> None:
        if len(self.findings) >= MOST_FINDINGS:
            return
        finding = Finding("input", self._source.value(path), reason, remedy)
        if finding not in self.findings:
            self.findings.append(finding)

    def fill(self, value: object, path: KeyPath, values: Mapping[str, Value]) -> object:
        if isinstance(value, str):
            return self._text(value, path, values)
        if isinstance(value, list):
            return [self.fill(item, (*path, index), values) for index, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        self._tables += 1
        if self.overflowed:
            self.refuse((), f"this file unfolds to more than {MAX_TABLES} tables", "Use fewer values, or a `repeat`.")
            return {}
        if "for" in value and isinstance(value.get("do"), list):
            return self._unfold(value, path, values)
        return {key: self.fill(item, (*path, key), values) for key, item in value.items()}

    def _text(self, text: str, path: KeyPath, values: Mapping[str, Value]) -> Value:
        def replace(match: re.Match[str]) -> str:
            name = match[1]
            if name is None:
                if len(match[0]) == 1:
                    self.refuse(
                        path, f'a single "{match[0]}" stands here', 'Write "{{" and "}}" for braces themselves.'
                    )
                return match[0][0]
            if name not in values:
                self._unknown(name, path, values)
                return "0"
            self.used.add(name)
            return str(values[name])

        whole = re.fullmatch(r"\{(\w+)\}", text)
        if whole and isinstance(values.get(whole[1]), int):
            self.used.add(whole[1])
            return values[whole[1]]
        return _BRACES.sub(replace, text)

    def _unknown(self, name: str, path: KeyPath, values: Mapping[str, Value]) -> None:
        if len(self.findings) >= MOST_FINDINGS or (path, name) in self._unknowns:
            return
        self._unknowns.add((path, name))
        near = difflib.get_close_matches(name, list(values), n=1)
        hint = f' (did you mean "{{{near[0]}}}"?)' if near else ""
        reason = f'nothing here is called "{name}"{hint}'
        self.refuse(path, reason, f"Declare it: [inputs] {name} = {{ default = ... }}, or in a `for` around it.")

    def _unfold(self, step: dict[str, object], path: KeyPath, values: Mapping[str, Value]) -> dict[str, object]:
        """Give a `for` step one list of steps for each combination of its values."""
        filled = {key: self.fill(item, (*path, key), values) for key, item in step.items() if key != "do"}
        axes, body = filled["for"], step["do"]
        if not isinstance(axes, dict) or not isinstance(body, list):
            return filled | {"do": [self.fill(body, (*path, "do"), values)]}
        lists = [axis if isinstance(axis, list) else [] for axis in axes.values()]
        for name in axes:
            if name in values:
                self.refuse(
                    (*path, "for", name), f'"{name}" is the name of something else here', "Choose another name."
                )
        bodies: list[object] = []
        for combination in itertools.product(*lists):
            self._expanded += max(1, len(body))
            if self.overflowed:
                break
            if self._expanded > MAX_EXPANDED:
                reason = f"the `for` loops of this file unfold to more than {MAX_EXPANDED} steps"
                self.refuse((*path, "for"), reason, "Use fewer values, or a `repeat`.")
                break
            inner = dict(values) | {name: item for name, item in zip(axes, combination, strict=True) if _is_value(item)}
            bodies.append(self.fill(body, (*path, "do"), inner))
        filled["do"] = bodies
        return filled


def _is_value(item: object) -> bool:
    return isinstance(item, str | int) and not isinstance(item, bool)


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
