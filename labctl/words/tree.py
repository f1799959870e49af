"""A protocol as numbered paragraphs: steps, loops, branches and hooks, each bound to its cell."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from labctl import plan
from labctl.protocol.verbs import At, ForStep, IfStep, Named, RepeatStep
from labctl.words.conditions import spoken
from labctl.words.steps import bounds, deed
from labctl.words.values import Values, as_written, listed

_TESTS = {
    "pulse": "a current pulse",
    "gitt": "a galvanostatic intermittent titration (GITT)",
    "pitt": "a potentiostatic intermittent titration (PITT)",
    "ici": "an intermittent current interruption (ICI)",
    "hppc": "a hybrid pulse power characterisation (HPPC)",
    "formation": "a formation",
    "rate_capability": "a test of rate capability",
    "capacity_check": "a capacity check",
}


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A step or a loop in words, and the paragraphs inside it."""

    text: str
    inside: "tuple[Paragraph, ...]" = ()

    def lines(self, number: str, depth: int = 0) -> Iterator[str]:
        """Yield the paragraph and those inside it, numbered: 3, 3.1, 3.1.1."""
        yield f"{'   ' * depth}{number}. {self.text}"
        for index, each in enumerate(self.inside, 1):
            yield from each.lines(f"{number}.{index}", depth + 1)


def paragraphs(
    steps: tuple[Named, ...], nodes: tuple[plan.Node, ...], values: Values, *, expand: bool = False
) -> tuple[Paragraph, ...]:
    """Return the steps of a list in words; `nodes` are the same steps bound, `expand` unrolls every `for`."""
    return tuple(_Teller(values, expand=expand).told(steps, nodes))


@dataclass(frozen=True, slots=True)
class _Teller:
    values: Values
    expand: bool

    def told(self, steps: tuple[Named, ...], nodes: tuple[plan.Node, ...]) -> Iterator[Paragraph]:
        paired: tuple[plan.Node | None, ...] = nodes if len(nodes) == len(steps) else (None,) * len(steps)
        for step, node in zip(steps, paired, strict=True):
            match step:
                case RepeatStep():
                    yield self._loop(step, node)
                case ForStep():
                    yield self._for(step, node)
                case IfStep():
                    yield from self._branch(step, node)
                case _:
                    sentences = [_named(step, deed(step, self.values)) + ".", *bounds(step, node, self.values)]
                    yield Paragraph(" ".join(sentences))

    def _loop(self, step: RepeatStep, node: plan.Node | None) -> Paragraph:
        loop = node if isinstance(node, plan.Loop) else None
        if step.part is not None and not self.expand:
            count = len(step.do)
            told = f"Do {part_in_words(step.part)} ({count} step{'' if count == 1 else 's'}; --expand shows them)."
            return Paragraph(_named(step, told))
        inside = list(self.told(step.do, loop.body if loop else ()))
        for index, hook in enumerate(step.at):
            body = loop.hooks[index].body if loop and index < len(loop.hooks) else ()
            inside.append(Paragraph(f"{times(hook)}:", tuple(self.told(hook.do, body))))
        counts = ", each pass one cycle" if loop and loop.counts else ""
        what = f"Do this {often(step.repeat)}" if step.part is None else f"Do {part_in_words(step.part)}"
        held = f", within {as_written(step.limits)}" if step.limits.model_fields_set else ""
        tag = f', tagged "{step.tag}"' if step.tag else ""
        return Paragraph(_named(step, f"{what}{counts}{tag}{held}:"), tuple(inside))

    def _for(self, step: ForStep, node: plan.Node | None) -> Paragraph:
        bodies = node.bodies if isinstance(node, plan.ForEach) else ((),) * len(step.do)
        told = [tuple(self.told(steps, nodes)) for steps, nodes in zip(step.do, bodies, strict=True)]
        labels, values = labels_of(step), values_of(step)
        if self.expand:
            inside = tuple(Paragraph(f"With {label}:", each) for label, each in zip(labels, told, strict=True))
            return Paragraph(_named(step, f"Do these {len(labels)} in turn:"), inside)
        if len(labels) == 1:
            return Paragraph(_named(step, f"With {labels[0]}:"), told[0])
        first = f"Do this {often(len(labels))}, with {values}; here with {labels[0]}:"
        return Paragraph(_named(step, first), told[0])

    def _branch(self, step: IfStep, node: plan.Node | None) -> Iterator[Paragraph]:
        branch = node if isinstance(node, plan.Branch) else None
        once = " (once in a run at most)" if step.once else ""
        when = f"If {spoken(step.when, self.values)}{once}:"
        yield Paragraph(_named(step, when), tuple(self.told(step.do, branch.body if branch else ())))
        if step.otherwise:
            yield Paragraph("Otherwise:", tuple(self.told(step.otherwise, branch.otherwise if branch else ())))


def part_in_words(part: str) -> str:
    """Say what was written elsewhere and unfolded: a test by name, a definition or a file."""
    return _TESTS.get(part) or f'what "{part}" says'


def times(hook: At) -> str:
    """Say in which cycles a hook runs, and where in them."""
    named = hook.cycles.named
    which = f"In every {hook.cycles.every}th cycle" if hook.cycles.every is not None else ""
    if named:
        which = f"In cycle{'s' if named[1:] else ''} {listed(map(str, named))}"
    return f"{which}, after {hook.after}"


def often(count: int) -> str:
    """Say how often: once, twice, 5 times."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def labels_of(step: ForStep) -> list[str]:
    """Return the combinations of a `for` in words: "rate = C/10"."""
    combinations = itertools.product(*step.values.values())
    return [listed(f"{key} = {value}" for key, value in zip(step.values, c, strict=True)) for c in combinations]


def values_of(step: ForStep) -> str:
    """Say what a `for` goes through: "rate = C/10, C/5 and then C/2"."""
    if len(step.values) > 1:
        return listed(labels_of(step), "and then")
    ((key, values),) = step.values.items()
    return f"{key} = {listed(map(str, values), 'and then')}"


def _named(step: Named, text: str) -> str:
    return text if step.name is None else f"{step.name}: {text[:1].lower()}{text[1:]}"
