"""The order in which a protocol names its tables and keys: that of the language, a step's verb before its ends."""

from collections.abc import Iterable, Iterator, Sequence
from typing import get_args, get_origin

from pydantic.fields import FieldInfo

from labctl.protocol.part import RunStep
from labctl.protocol.templates import TESTS
from labctl.protocol.verbs import CLASSES, Lasting, Named, ProtocolFile, verb_of
from labctl.table import Model, written_keys

Kind = object
"""The annotation of a table, or of a list of tables; None where the language knows nothing of it."""

WHOLE: Kind = ProtocolFile

STEP_FORMS: dict[str, type[Named]] = {**CLASSES, "run": RunStep, **TESTS}
"""What a step may be, by its verb: those that unfold to plain steps, too."""


class _Definitions:
    """The kind of [define]: any key stands for a list of steps."""


_DEFINE = "define"
"""Lists of steps by name; they stand before the steps that run them."""


def inside(kind: Kind, key: str) -> Kind:
    """Return the kind of what stands under a key, which may be dotted, of a table."""
    for part in key.split("."):
        kind = _under(kind, part)
    return kind


def rank(kind: Kind, keys: Sequence[str]) -> dict[str, int]:
    """Return the place of each of the keys of one table; those that the language does not know come last."""
    heads = {key: key.partition(".")[0] for key in keys}
    tables = set(_tables(kind))
    table = next(iter(tables)) if len(tables) == 1 else _form(heads.values())
    known = [name for name, _ in _fields(table)] if table else []
    if table is ProtocolFile:
        known.insert(known.index("step"), _DEFINE)
    return {key: known.index(head) if head in known else len(known) for key, head in heads.items()}


def _form(keys: Iterable[str]) -> type[Named] | None:
    """Return what a step with these keys is, by its verb; None where they name none."""
    step = dict.fromkeys(keys)
    verb = verb_of(step) or next((verb for verb in STEP_FORMS.keys() - CLASSES.keys() if verb in step), None)
    return STEP_FORMS[verb] if verb else None


def _under(kind: Kind, key: str) -> Kind:
    if kind is WHOLE and key == _DEFINE:
        return _Definitions
    if kind is _Definitions:
        return ProtocolFile.model_fields["step"].annotation
    if get_origin(kind) is dict:
        return get_args(kind)[1]
    for table in _tables(kind):
        for name, field in _fields(table):
            if name == key:
                return field.annotation
    return None


def _tables(kind: Kind) -> Iterator[type[Model]]:
    if isinstance(kind, type) and issubclass(kind, Model):
        yield kind
    for part in get_args(kind):
        yield from _tables(part)


def _fields(table: type[Model]) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the keys of a table as they are written; of a step its name, then its own, then those of every step."""
    late = Lasting.model_fields.keys() - {"name"} if issubclass(table, Named) else ()
    yield from sorted(written_keys(table), key=lambda field: field[0] in late)
