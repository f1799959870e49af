"""Where an end may lead: `goto` forward to a label around its step, `break` out of a loop."""

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
    """What can be reached from a step: the names of later steps of its list and of the lists around it."""

    names: Counter[str]
    """Every name of the file, with how often it is given."""
    reachable: frozenset[str] = field(default=frozenset())
    in_loop: bool = False

    def each(self, steps: Sequence[Named]) -> Sequence[Self]:
        """Return the scope of each step of a list: it reaches the later ones, too."""
        scopes, scope = [], self
        for step in reversed(steps):
            scopes.append(scope)
            if step.name is not None:
                scope = replace(scope, reachable=scope.reachable | {step.name})
        return scopes[::-1]

    def inside_loop(self) -> Self:
        """Return the scope of what a loop does."""
        return replace(self, in_loop=True)

    def check(self, follow: Follow) -> None:
        """Refuse what cannot follow here."""
        if follow.then is Then.BREAK and not self.in_loop:
            raise Refused("label", "there is no loop around this step to break out of", 'Write "end" or "goto LABEL".')
        if follow.then is not Then.GOTO:
            return
        label = follow.label
        if self.names[label] > 1:
            raise Refused("label", f'several steps are called "{label}"', "Give each its own name.")
        if label in self.reachable:
            return
        if label in self.names:
            reason = f'"{label}" cannot be reached from here: it is not a later step of this list or of one around it'
            raise Refused("label", reason, "A jump leads forward; to go back write a repeat, and break out of it.")
        near = difflib.get_close_matches(label, list(self.names), n=1)
        hint = f' (did you mean "{near[0]}"?)' if near else ""
        raise Refused("label", f'no step is called "{label}"{hint}', f'Give the step that is meant name = "{label}".')
