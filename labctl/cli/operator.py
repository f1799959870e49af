"""The operator at this terminal."""

import asyncio
import sys

from labctl.cli.context import console
from labctl.errors import RefusedForSafety
from labctl.protocol.plan import Prompt


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
