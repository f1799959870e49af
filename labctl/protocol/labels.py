"""Where an end or a step may lead: `goto` forward to a label around its step, `break` out of a loop."""

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from labctl.plan import Then
from labctl.protocol.endings import Follow
from labctl.protocol.findings import Refused
from labctl.protocol.verbs import Named


@dataclass(frozen=True)
class Scope:
    """What can be reached from a step: the names of later steps of its list and of the lists around it.

    Attributes:
        names: every name of the file.
        doubled: those that the nearest list which has them gives to several of its steps.
    """

    names: frozenset[str]
    reachable: frozenset[str] = field(default=frozenset())
    doubled: frozenset[str] = field(default=frozenset())
    in_loop: bool = False

    def each(self, steps: Sequence[Named]) -> Sequence[Self]:
        """Return the scope of each step of a list: it reaches the later ones, too; their names hide those around."""
        own = Counter(step.name for step in steps if step.name is not None)
        doubled = frozenset(name for name, count in own.items() if count > 1)
        scopes = []
        scope = replace(self, reachable=self.reachable - own.keys(), doubled=(self.doubled - own.keys()) | doubled)
        for step in reversed(steps):
            scopes.append(scope)
            if step.name is not None:
                scope = replace(scope, reachable=scope.reachable | {step.name})
        return scopes[::-1]

    def inside_loop(self) -> Self:
        """Return the scope of what a loop does."""
        return replace(self, in_loop=True)

    def inside_file(self) -> Self:
        """Return the scope of the steps of another file: they do not depend on what is around them."""
        return replace(self, reachable=frozenset())

    def check(self, follow: Follow) -> None:
        """Refuse what cannot follow here."""
        if follow.then is Then.BREAK and not self.in_loop:
            raise Refused("label", "there is no loop around this step to break out of", 'Write "end" or "goto LABEL".')
        if follow.then is Then.GOTO:
            self.check_label(follow.label)

    def check_label(self, label: str) -> None:
        """Refuse a label to which no jump leads from here."""
        if label in self.doubled:
            raise Refused("label", f'several steps are called "{label}"', "Give each its own name.")
        if label in self.reachable:
            return
        if label in self.names:
            reason = f'"{label}" cannot be reached from here: it is not a later step of this list or of one around it'
            raise Refused("label", reason, "A jump leads forward; to go back write a repeat, and break out of it.")
        near = difflib.get_close_matches(label, list(self.names), n=1)
        hint = f' (did you mean "{near[0]}"?)' if near else ""
        raise Refused("label", f'no step is called "{label}"{hint}', f'Give the step that is meant name = "{label}".')
