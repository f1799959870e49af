"""What distinguishes two protocols, in sentences; none where they mean the same, however they are written."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from pydantic import BaseModel

from labctl.protocol.hash import SAYS_NOTHING, meaning
from labctl.protocol.verbs import ForStep, IfStep, Lasting, Named, ProtocolFile, RepeatStep
from labctl.words.drive import ConstantCurrentStep
from labctl.words.parts import changed
from labctl.words.steps import deed, verb_of
from labctl.words.tree import labels_of, often, values_of
from labctl.words.values import Values, as_written

Stretch = tuple[tuple[Named, ...], range]
"""Steps, and which of them are meant."""


def differences(first: ProtocolFile, second: ProtocolFile, values: tuple[Values, Values]) -> tuple[str, ...]:
    """Say how the second protocol differs from the first; there is a sentence exactly where their hashes differ.

    `values` are those of either cell.
    """
    if meaning(first) == meaning(second):
        return ()
    told = [*_tables(first, second), *_Steps(values).compared(first.step, second.step, "step ")]
    return tuple(dict.fromkeys(told))


def _tables(first: ProtocolFile, second: ProtocolFile) -> Iterator[str]:
    for name in type(first).model_fields:
        one, other = getattr(first, name), getattr(second, name)
        if isinstance(one, BaseModel) and name not in SAYS_NOTHING:
            yield from _fields(name, one, other)


def _fields(where: str, first: BaseModel, second: BaseModel, without: tuple[str, ...] = ()) -> Iterator[str]:
    """Say key by key what differs between two tables of one kind."""
    for name in type(first).model_fields:
        one, other = getattr(first, name), getattr(second, name)
        if name in {*SAYS_NOTHING, *without} or meaning(one) == meaning(other):
            continue
        if isinstance(one, BaseModel) and type(one) is type(other):
            yield from _fields(f"{where}, {name.strip('_')}", one, other)
        else:
            yield f"{where}: {name.strip('_')} is {as_written(other)} instead of {as_written(one)}"


@dataclass(frozen=True, slots=True)
class _Steps:
    """Compares lists of steps, those that correspond with each other."""

    values: tuple[Values, Values]

    def compared(self, first: tuple[Named, ...], second: tuple[Named, ...], number: str) -> Iterator[str]:
        """Yield what differs; `number` leads to the steps of these lists: "step ", "step 3."."""
        matcher = SequenceMatcher(None, [meaning(s) for s in first], [meaning(s) for s in second], autojunk=False)
        for kind, i, i_end, j, j_end in matcher.get_opcodes():
            if kind != "equal":
                yield from self._changed((first, range(i, i_end)), (second, range(j, j_end)), number)

    def _changed(self, first: Stretch, second: Stretch, number: str) -> Iterator[str]:
        """Pair the steps of two stretches by their verbs; what has no partner is new or gone."""
        (olds, here), (news, there) = first, second
        verbs = [verb_of(olds[i]) for i in here], [verb_of(news[j]) for j in there]
        for kind, a, a_end, b, b_end in SequenceMatcher(None, *verbs, autojunk=False).get_opcodes():
            if kind == "equal":
                for i, j in zip(here[a:a_end], there[b:b_end], strict=True):
                    yield from self._step(olds[i], news[j], f"{number}{j + 1}")
                continue
            yield from (f'{number}{j + 1} is new: "{self._said(news[j], 1)}"' for j in there[b:b_end])
            yield from (f'{number}{i + 1} of the first is gone: "{self._said(olds[i], 0)}"' for i in here[a:a_end])

    def _said(self, step: Named, which: int) -> str:
        match step:
            case RepeatStep():
                return f"Do this {often(step.repeat)}: {self._list(step.do, which)}"
            case ForStep():
                return f"With {values_of(step)}: {self._list(step.do[0], which)}"
            case IfStep():
                return f"If {as_written(step.when)}: {self._list(step.do, which)}"
        return deed(step, self.values[which])

    def _list(self, steps: tuple[Named, ...], which: int) -> str:
        return "; ".join(self._said(step, which) for step in steps)

    def _step(self, old: Named, new: Named, place: str) -> Iterator[str]:
        """Compare two steps of one verb."""
        where = f"{place} ({new.name or verb_of(new)})"
        match old, new:
            case RepeatStep(), RepeatStep():
                if old.repeat != new.repeat:
                    yield f"{where}: it is done {often(new.repeat)} instead of {often(old.repeat)}"
                yield from _fields(where, old, new, without=("repeat", "do"))
                yield from self.compared(old.do, new.do, f"{place}.")
            case ForStep(), ForStep():
                yield from _fields(where, old, new, without=("do",))
                yield from self._bodies(old, new, f"{place}.")
            case IfStep(), IfStep():
                yield from _fields(where, old, new, without=("do", "otherwise"))
                yield from self.compared(old.do, new.do, f"{place}.")
                yield from self.compared(old.otherwise or (), new.otherwise or (), f"{place}, else ")
            case Lasting(), Lasting():
                yield from (f"{where}: {clause}" for clause in changed(old, new, self.values))
                spoken = ("cv",) if isinstance(new, ConstantCurrentStep) else ()
                yield from _fields(where, old, new, without=("until", "timeout", *spoken))
            case _:
                yield from _fields(where, old, new)

    def _bodies(self, old: ForStep, new: ForStep, number: str) -> Iterator[str]:
        """Compare what is done for a value that both have; for their other values the same body is done."""
        labels = labels_of(old), labels_of(new)
        common = [(labels[0].index(label), labels[1].index(label)) for label in labels[1] if label in labels[0]]
        for i, j in common or [(0, 0)]:
            told = tuple(self.compared(old.do[i], new.do[j], number))
            if told:
                yield from told
                return
