"""The operator of a daemon: a prompt is told to every client, and the first valid answer counts."""

from labctl.api import Asked
from labctl.clock import LabClock, Signal
from labctl.errors import RefusedForSafety
from labctl.plan import Prompt


class BusOperator:
    """Asks whoever is at a client; at a simulated station the protocol's declared answer is taken where it has one.

    Attributes:
        asked: the question that waits for an answer.
    """

    def __init__(self, clock: LabClock, *, simulated: bool) -> None:
        self.asked: Asked | None = None
        self._clock = clock
        self._simulated = simulated
        self._answered: Signal[str] = Signal(clock)

    async def ask(self, prompt: Prompt, output_state: str) -> str:
        """Wait for an answer that the prompt allows; lab time passes."""
        if self._simulated and prompt.simulated is not None:
            return prompt.simulated
        self._answered.clear()
        self.asked = Asked(text=prompt.text, answers=prompt.answers, output=output_state)
        try:
            return await self._answered.wait()
        finally:
            self.asked = None

    def answer(self, text: str) -> None:
        """Answer the question; raises RefusedForSafety where none is asked, or this answer is not allowed."""
        if self.asked is None:
            raise RefusedForSafety("Nothing is asked here now.", "See `labctl status`.")
        if self.asked.answers and text not in self.asked.answers:
            raise RefusedForSafety(
                f'"{text}" is no answer to "{self.asked.text}".', f"Allowed: {', '.join(self.asked.answers)}."
            )
        self._answered.set(text)
