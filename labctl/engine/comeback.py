"""The comeback: a run whose process died is found again, and goes on, waits, asks or ends as its plan says."""

import asyncio
from collections.abc import Callable

from labctl.clock import LabClock
from labctl.engine.operator import Operator
from labctl.engine.outage import GO_ON, Found, objections, question, sentence
from labctl.engine.position import Position
from labctl.engine.progress import Progress
from labctl.engine.station import Station
from labctl.engine.telling import Teller
from labctl.engine.verbs import Verbs
from labctl.engine.whereabouts import Whereabouts
from labctl.engine.words import Words
from labctl.errors import RunLost
from labctl.plan import OutagePolicy, Plan, Prompt
from labctl.reading import Severity

ITSELF = "labctl"
"""In whose name a run waits that nobody has paused."""


class Comeback:
    """Judges once, before a run goes on.

    Args:
        away: s since the last record of the run; None: not known.
        against: what else speaks against going on, as sentences.
        stop: ends the run in somebody's name, with a reason.
    """

    def __init__(
        self,
        station: Station,
        operator: Operator,
        verbs: Verbs,
        words: Words,
        teller: Teller,
        progress: Progress,
        whereabouts: Whereabouts,
        away: float | None,
        against: tuple[str, ...],
        stop: Callable[[str, str], None],
    ) -> None:
        self._clock: LabClock = station.clock
        self._station = station
        self._operator = operator
        self._verbs = verbs
        self._words = words
        self._teller = teller
        self._progress = progress
        self._whereabouts = whereabouts
        self._away = away
        self._against = against
        self._stop = stop

    async def judge(self, plan: Plan, position: Position, group: asyncio.TaskGroup) -> None:
        """Say how the cell was found; where the run is not to go on by itself it is paused when this returns.

        Args:
            group: in which people are asked.

        Raises:
            RunLost: the plan wants it to end here.
        """
        hosted, policy = position.hosted, plan.outage.policy
        found = await self._look()
        step = next((step for step in plan.steps() if hosted is not None and step.id == hosted.step), None)
        text = sentence(found, "" if step is None else step.name, self._progress.number)
        if self._teller.step_is_open:
            self._teller.step_ended("its process died")
        limits = plan.limits if step is None or step.limits is None else step.limits
        against = (*objections(plan.outage, position, found, limits), *self._against)
        if policy is OutagePolicy.SAFE:
            raise RunLost(f"{text} Its protocol says that it ends then.")
        self._verbs.remember(position.surroundings)
        if not against:
            self._teller.event("run.found", f"{text} It goes on.", Severity.WARNING, away_second=found.away)
            return
        who = (hosted.paused_by if hosted is not None else "") or ITSELF
        self._words.pause(who)
        self._verbs.hold()
        words = f"{text} It waits at open circuit, its pressure frozen: {'; '.join(against)}."
        self._teller.event("run.found", words, Severity.WARNING, who=who, away_second=found.away)
        if policy is OutagePolicy.ASK:
            self._clock.spawn(group, self._ask(question(text)), "question after an outage")

    async def _look(self) -> Found:
        """Measure the cell at no current, and leave its circuit open."""
        cycler = self._station.instruments.cycler
        await cycler.rest()
        reading = await cycler.read()
        await cycler.off()
        identities = tuple((name, str(each)) for name, each in self._station.identities.items())
        return Found(self._away, self._whereabouts.seen(reading), identities)

    async def _ask(self, prompt: Prompt) -> None:
        answer = await self._operator.ask(prompt, "open circuit")
        self._teller.event("operator.answered", answer, answer=answer)
        if answer != GO_ON:
            self._stop("the operator", "ended after an outage")
        elif self._words.paused:
            self._words.resume("the operator")
            self._teller.event("run.resumed", "Resumed by the operator.", who="the operator", reason="")
