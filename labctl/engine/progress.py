"""Progress: where a run is, for whoever shows it."""

from dataclasses import dataclass

from labctl.plan import Step


@dataclass(slots=True)
class Progress:
    """Changed in place, at each step and at each tick.

    Attributes:
        step: of the plan; None before the first and after the last.
        cycle: passes that count, begun in this run; `first_cycle` those that the cell had done before it.
        step_count: executed steps, pauses among them, from 1.
        cycles: that the plan counts, as far as its loops say it.
        steps: of the plan.
        test_time: s since the run began.
        step_time: s that the present step has taken, its pauses not counted.
        step_charge: C of the present step, positive into the cell; both stand still in a pause.
    """

    step: Step | None = None
    step_count: int = 0
    cycle: int = 0
    first_cycle: int = 0
    cycles: int = 0
    steps: int = 0
    test_time: float = 0.0
    step_time: float = 0.0
    step_charge: float = 0.0

    @property
    def number(self) -> int:
        """Number of the cycle in the life of the cell; 0 before the first of this run."""
        return self.first_cycle + self.cycle if self.cycle else 0
