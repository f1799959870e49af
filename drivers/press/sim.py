"""A person at a press."""

import math

from drivers.hand_sim import Person
from drivers.press.driver import Press
from labctl.sim.bench import Bench


class Simulator(Person):
    """Presses a side, by a screw or with oil, until the gauge shows what was asked for, with the scatter of a hand."""

    def __init__(self, bench: Bench, port: str, options: Press.Options) -> None:
        super().__init__(bench, port, "force", 1.0 if options.ram is None else math.pi * options.ram**2 / 4.0)
