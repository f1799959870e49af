"""Hands: does a protocol ask a person, or a gas behind a leaking valve, for what only a motor keeps?"""

from collections.abc import Iterator

from labctl.errors import Finding
from labctl.lint.subject import Subject
from labctl.plan import Pressure


def by_hand(subject: Subject) -> Iterator[Finding]:
    """Tell of a force that a person makes and nobody corrects afterwards, or that leaks away by itself."""
    if subject.station is None:
        return
    for step in subject.plan.steps():
        if not isinstance(step.action, Pressure):
            continue
        for side in step.action.by_hand:
            tool = subject.station.tool(side)
            leaks = tool is not None and not tool.self_locking
            if step.action.control != "force" and not leaks:
                continue
            reason = f"a person presses the {side} side, and nobody corrects what creep and breathing make of it"
            if leaks:
                reason = f"a person presses the {side} side with a press that does not lock itself: it loses force"
            remedy = 'Write control = "gap", ask again where it matters, or use a rig.'
            yield subject.finding("by-hand", subject.of_step(step, "pressure", side), reason, remedy)


RULES = (by_hand,)
