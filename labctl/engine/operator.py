"""The operator: whoever answers a prompt, at a terminal or as declared for a simulation."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from labctl.errors import RefusedForSafety
from labctl.plan import Prompt


class Operator(Protocol):
    """Answers prompts."""

    async def ask(self, prompt: Prompt, output_state: str) -> str:
        """Return an answer that the prompt allows; `output_state` tells a person what the cell is doing meanwhile."""


class Person(Protocol):
    """The end of a wire at which a person sits."""

    def seat(self, ask: Callable[[str], Awaitable[str]] | None) -> None:
        """Ask this person, with a sentence, from now on; None: nobody is there."""


class DeclaredOperator:
    """Says what the protocol declares for a simulation, and nothing else."""

    async def ask(self, prompt: Prompt, output_state: str) -> str:
        """Return the declared answer.

        Raises:
            RefusedForSafety: the protocol declares none; inventing one could hurt a cell.
        """
        if prompt.simulated is None:
            raise RefusedForSafety(
                f'The protocol asks the operator: "{prompt.text}", and declares no answer for a simulation.',
                'Add simulated = "…" to the prompt.',
            )
        return prompt.simulated
