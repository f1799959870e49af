"""The hash of a protocol's meaning: equal for files that do the same, however they are written."""

import hashlib
import json
from dataclasses import fields, is_dataclass
from enum import Enum
from fractions import Fraction

from pydantic import BaseModel

from labctl.protocol.verbs import ProtocolFile
from labctl.quantity import Quantity

SAYS_NOTHING = {"title", "doi", "licence", "inputs", "stated", "stated_loading", "check", "part", "attached_from"}
"""Keys that change nothing about what is done; inputs are already filled in."""


def protocol_hash(file: ProtocolFile) -> str:
    """Return the SHA-256 of the canonical model in hex.

    Quantities count by value and dimension, keys at their defaults not at all, so that a new optional key leaves old
    hashes alone.
    """
    return hashlib.sha256(meaning(file).encode()).hexdigest()


def meaning(part: object) -> str:
    """Return what a part of a protocol means as canonical JSON: equal texts mean the same, however it is written."""
    return json.dumps(_canonical(part), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _canonical(value: object) -> object:
    """Reduce a model to plain JSON of what it means."""
    if isinstance(value, Quantity):
        by = [] if value.cycle is None else [value.cycle]
        return [str(value.value), value.dimension.value, *by]
    if isinstance(value, BaseModel):
        said = {
            name: getattr(value, name)
            for name, field in type(value).model_fields.items()
            if name not in SAYS_NOTHING and getattr(value, name) != field.get_default(call_default_factory=True)
        }
        return _tagged(value, {name: _canonical(item) for name, item in said.items()})
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        # what is not compared, such as the text of a condition, means nothing
        said = {
            f.name: getattr(value, f.name) for f in fields(value) if f.compare and getattr(value, f.name) != f.default
        }
        return _tagged(value, {name: _canonical(item) for name, item in said.items()})
    if isinstance(value, dict):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_canonical(item) for item in value]
    return str(value) if isinstance(value, Fraction) else value


def _tagged(value: object, said: dict[str, object]) -> list[object]:
    return [type(value).__name__, said]
