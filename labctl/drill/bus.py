"""A bus that loses messages and delivers some twice."""

from random import Random

from labctl.bus.local import LocalBus
from labctl.drill.case import BusTrouble


class TroubledBus(LocalBus):
    """The bus of one process.

    Args:
        trouble: how much of it.
        chance: decides which messages meet it.
    """

    def __init__(self, trouble: BusTrouble, chance: Random) -> None:
        super().__init__()
        self._trouble = trouble
        self._chance = chance

    async def publish(self, topic: str, payload: bytes) -> None:
        """Deliver a message, or not, or twice."""
        draw = self._chance.random
        if draw() < self._trouble.lose:
            self.session += 1  # with the connection
            return
        if draw() < self._trouble.silent:
            return
        await super().publish(topic, payload)
        if draw() < self._trouble.double:
            await super().publish(topic, payload)

    def heal(self) -> None:
        """Lose nothing from now on; whoever waits for what was lost says it again."""
        self._trouble = BusTrouble()
        self.session += 1
