"""The operator at this terminal who applies known forces and types what they are."""

from labctl.cli.context import console
from labctl.cli.operator import TerminalOperator
from labctl.errors import CalibrationFailed
from labctl.plan import Prompt


class ForceOperator(TerminalOperator):
    """Asks until the answer is a force in newtons."""

    async def ask(self, prompt: Prompt, output_state: str) -> str:
        """Ask; a typing error costs another question, not the calibration."""
        from labctl.calibration.loads import force_of

        while True:
            answer = await super().ask(prompt, output_state)
            try:
                force_of(answer)
            except CalibrationFailed as error:
                console(to_stderr=True).print(str(error))
            else:
                return answer
