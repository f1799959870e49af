"""Turns what pydantic found wrong into located sentences: what is wrong, where, what is allowed, what to do."""

import difflib
from collections.abc import Iterable, Iterator
from typing import get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from labctl.errors import MOST_FINDINGS, Finding
from labctl.protocol.source import KeyPath, Source
from labctl.protocol.templates import WRITTEN
from labctl.protocol.verbs import CLASSES
from labctl.quantity import WordingError, shown
from labctl.table import Model, written_keys

UNBUILT_KEYS = ("by",)
"""Keys of the language that this version refuses by name."""


def explain(error: ValidationError, root: type[Model], source: Source) -> Iterator[Finding]:
    """Yield one finding for each thing that pydantic found wrong with the data of `source`, up to MOST_FINDINGS."""
    for detail in error.errors(include_url=False, include_input=True)[:MOST_FINDINGS]:
        yield _finding(detail, root, source)


def step_of(detail: ErrorDetails) -> KeyPath:
    """Return the way to the step that an error lies in, in the validated data; empty where it lies in none."""
    loc = detail["loc"]
    tags = [index for index, part in enumerate(loc) if isinstance(part, str) and part.startswith("<")]
    verbs = [index for index in tags if str(loc[index]).strip("<>") in CLASSES]
    end = len(loc) if detail["type"].startswith("union_tag") else verbs[-1] if verbs else 0
    return tuple(part for index, part in enumerate(loc[:end]) if index not in tags)


def _finding(detail: ErrorDetails, root: type[Model], source: Source) -> Finding:
    path = _path(detail["loc"])
    table = _table(detail["loc"][:-1], root)
    kind, given = detail["type"], detail["input"]
    key = str(detail["loc"][-1]) if detail["loc"] else ""
    if kind == "missing" and isinstance(detail["loc"][-1], int):
        return Finding("value", source.value(path), "a span has two values", 'Write ["low", "high"].')
    if kind == "missing":
        return _missing(key, path, table, source)
    if kind == "extra_forbidden":
        return _unknown_key(key, path, table, source)
    if kind.startswith("union_tag"):
        return _no_verb(path, given, source)
    cause = detail.get("ctx", {}).get("error")
    unbuilt = _unbuilt(given)
    if unbuilt:
        return Finding("not-built", source.value(path), f"{unbuilt} is not built yet", "Write the value itself.")
    if isinstance(cause, WordingError):
        return Finding("value", source.value(path), cause.sentence, _sentence(cause.remedy))
    reason, remedy = _form(detail, key)
    return Finding("value", source.value(path), reason, remedy)


def _path(loc: Iterable[str | int]) -> KeyPath:
    """Drop from pydantic's location the verb tags, and the index of a combination under an unfolded `for`."""
    path: KeyPath = ()
    unfolded = False
    for part in loc:
        if isinstance(part, str) and part.startswith("<"):
            unfolded = part == "<for>"
        elif isinstance(part, int) and unfolded and path[-1:] == ("do",):
            unfolded = False
        else:
            path += (part,)
    return path


def _table(loc: Iterable[str | int], root: type[Model]) -> type[Model]:
    """Find the class of the table that a location lies in."""
    table = root
    for part in loc:
        if isinstance(part, str) and part.startswith("<"):
            table = CLASSES.get(part.strip("<>"), table)  # another tag tells forms of one value apart
        elif isinstance(part, str):
            field = dict(written_keys(table)).get(part)
            table = next(_models(field.annotation), table) if field else table
    return table


def _models(annotation: object) -> Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _unbuilt(given: object) -> str:
    """Name the form of a value that the language knows and this version does not."""
    if isinstance(given, dict) and "by" in given:
        return "a pressure relative to the present one"
    return ""


def _missing(key: str, path: KeyPath, table: type[Model], source: Source) -> Finding:
    field = dict(written_keys(table)).get(key)
    example = (field.examples or [None])[0] if field else None
    is_table = field is not None and (get_origin(field.annotation) is dict or any(_models(field.annotation)))
    name = ".".join(str(part) for part in path[:-1])
    where = "this step" if path[:1] == ("step",) and len(path) > 1 else f"[{name}]" if name else "this file"
    remedy = (
        f"Add {key} = {example}." if example else f"Add [{'.'.join(map(str, path))}]." if is_table else f"Add {key}."
    )
    return Finding("missing", source.key(path[:-1]), f'{where} lacks "{key}"', remedy)


def _unknown_key(key: str, path: KeyPath, table: type[Model], source: Source) -> Finding:
    place = source.key(path)
    if key in UNBUILT_KEYS:
        known = ", ".join(name for name, _ in written_keys(table))
        return Finding("not-built", place, f'"{key}" is not built yet', f"This version knows here {known}.")
    fields = list(written_keys(table))
    keys = [name for name, _ in fields]
    if key in keys:
        twin = next(name for name, field in fields if field is dict(fields)[key] and name != key)
        return Finding("unknown-key", place, f'"{key}" and "{twin}" are the same', "Write one of them.")
    near = difflib.get_close_matches(key, keys, n=1)
    hint = f' (did you mean "{near[0]}"?)' if near else ""
    return Finding("unknown-key", place, f"{shown(key)} is unknown here{hint}", f"Known are {', '.join(keys)}.")


def _no_verb(path: KeyPath, step: object, source: Source) -> Finding:
    """Say of a step whether its verb is missing, doubled or misspelt."""
    verbs = ", ".join([*CLASSES, *WRITTEN])
    if not isinstance(step, dict):
        return Finding("verb", source.value(path), "this is no step", 'A step is a table, such as { rest = "1 h" }.')
    found = [key for key in step if key in CLASSES or key in WRITTEN]
    if len(found) > 1:
        two = " and ".join(f'"{verb}"' for verb in found[:2])
        reason = f"one step has the verbs {two}"
        return Finding("verb", source.key((*path, found[1])), reason, "Write two steps: one verb a step.")
    for key in step:
        near = difflib.get_close_matches(str(key), [*CLASSES, *WRITTEN], n=1)
        if near and near[0] not in {"for", "if", "end"}:
            reason = f'{shown(str(key))} is no verb (did you mean "{near[0]}"?)'
            return Finding("verb", source.key((*path, key)), reason, f"The verbs are {verbs}.")
    return Finding("verb", source.key(path), "this step has no verb", f"The verbs are {verbs}.")


def _form(detail: ErrorDetails, key: str) -> tuple[str, str]:
    """Say what pydantic's own checks found, in the words of a file."""
    context = detail.get("ctx", {})
    match detail["type"]:
        case "literal_error":
            expected = str(context["expected"]).replace("'", '"')
            return f"{_value(detail['input'])} is not possible for {key}", f"Write {expected}."
        case "int_type" | "int_from_float":
            return f"{_value(detail['input'])} is no whole number", "Counts are bare numbers, such as 5."
        case "greater_than_equal":
            return f"{_value(detail['input'])} is less than {context['ge']}", f"The least is {context['ge']}."
        case "less_than_equal":
            return f"{_value(detail['input'])} is more than {context['le']}", f"The most is {context['le']}."
        case "bool_type":
            return f"{_value(detail['input'])} is neither true nor false", "Write true or false."
        case "string_type":
            return f"{_value(detail['input'])} is no text", 'Write it between quotation marks: "...".'
        case "string_pattern_mismatch":
            return f"{_value(detail['input'])} is no name", "A name has no braces and no control characters."
        case "string_too_short" | "string_too_long":
            return f"{key} is {'empty' if not detail['input'] else 'too long'}", "Say it in a few words."
        case "too_short" | "too_long":
            return "this has the wrong number of values", 'A span has two: ["low", "high"].'
        case "tuple_type" | "list_type":
            return f"{_value(detail['input'])} is no list", "Write it between brackets: [ ... ]."
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"{key or 'this'} is no table", f"Write [{key}] or {key} = {{ ... }}."
    return detail["msg"][:1].lower() + detail["msg"][1:], ""


def _value(given: object) -> str:
    """Show a value as the file has it."""
    if isinstance(given, bool):
        return str(given).lower()
    return shown(given) if isinstance(given, str) else shown(str(given))[1:-1]


def _sentence(remedy: str) -> str:
    return f"{remedy[:1].upper()}{remedy[1:]}."
