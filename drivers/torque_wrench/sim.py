"""A person with a torque wrench at the bench's screw."""

from drivers.hand_sim import Person
from drivers.torque_wrench.driver import TorqueWrench
from labctl.sim.bench import Bench


class Simulator(Person):
    """Turns the screw of a side until the wrench shows what was asked for, with the scatter of a hand."""

    def __init__(self, bench: Bench, port: str, options: TorqueWrench.Options) -> None:
        super().__init__(bench, port, "torque")
