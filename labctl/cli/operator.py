"""The operator at this terminal."""

import asyncio
import sys

from labctl.cli.context import console
from labctl.errors import RefusedForSafety
from labctl.plan import Plan, Prompt, Tare, is_by_hand


def operator_for(plan: Plan) -> "TerminalOperator":
    """Return the person at this terminal.

    Raises:
        RefusedForSafety: the plan asks an operator, and there is nobody: nothing is answered in a person's place.
    """
    asking = [step for step in plan.steps() if isinstance(step.action, Prompt | Tare) or is_by_hand(step)]
    if asking and not sys.stdin.isatty():
        raise RefusedForSafety(
            f'Step {asking[0].id} "{asking[0].name}" asks the operator, and standard input is no terminal.',
            "Start the run at a terminal. Answers declared for a simulation are never given on real instruments.",
        )
    return TerminalOperator()


class TerminalOperator:
    """Asks on standard error and reads a line of standard input, without stopping the guard meanwhile."""

    async def ask(self, prompt: Prompt, output_state: str) -> str:
        """Ask until the answer is one that the prompt allows."""
        said = console(to_stderr=True)
        allowed = f" [{'/'.join(prompt.answers)}]" if prompt.answers else ""
        while True:
            said.print(f"\n{prompt.text}\n(The cell is at {output_state} meanwhile.)")
            said.print(f"Your answer{allowed}: ", end="")
            answer = (await _line()).strip()
            if answer and (not prompt.answers or answer in prompt.answers):
                return answer
            said.print(f'"{answer}" is not possible here. Type one of: {", ".join(prompt.answers) or "any text"}.')


async def _line() -> str:
    """Return the next line of standard input; a cancelled wait leaves nothing behind."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(sys.stdin, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sys.stdin)
    line = sys.stdin.readline()
    if not line:
        raise RefusedForSafety("The operator is gone: standard input has ended before the prompt was answered.")
    return line
