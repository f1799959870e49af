"""What a cycler offers that executes whole programs by itself and keeps its records while nobody listens.

A *program* is a subtree of a plan that the instrument accepted unaltered: it executes the steps, finds their ends,
obeys their record rules and enforces their limits; the engine follows. Numbers and counters that wrap on the wire are
unwrapped by the driver.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from labctl.instrument import Cycler
from labctl.plan import Limits, Node


@dataclass(frozen=True, slots=True)
class Program:
    """A program in the instrument's own language; what the driver needs to map its replies back is its own affair.

    Attributes:
        text: what is uploaded.
        steps: ids of the plan's steps, by number of the instrument's step, from 1 (index 0 is its step 1).
        counting: whether a pass of the loop with this number (as above) is a cycle.
    """

    text: bytes
    steps: tuple[int, ...]
    counting: tuple[bool, ...] = ()


class Kept(StrEnum):
    """Why the instrument kept a record."""

    START = "start"
    """The first of an executed step, with its current already flowing."""
    SAMPLE = "sample"
    END = "end"
    """The last of an executed step."""


@dataclass(frozen=True, slots=True)
class ProgramRecord:
    """One record of a program, as the instrument kept it.

    Attributes:
        number: from 1, without gaps within a program.
        time: s since the program began, by the instrument's clock.
        step_time: s since the executed step began.
        step: id of the plan's step.
        step_count: executed steps of this program, from 1.
        cycle: counting passes begun in this program; 0 before the first.
        voltage: V; None where the output was open and the terminals hidden.
        current: A, positive charges.
        charge_in: C that went in since the program began; `charge_out`, and energies in J, likewise.
        end: with END: index of the end that was met in `step.ends` (len(ends): its timeout); None where the instrument
            itself broke off.
    """

    number: int
    time: float
    step_time: float
    step: int
    step_count: int
    cycle: int
    voltage: float | None
    current: float
    charge_in: float
    charge_out: float
    energy_in: float
    energy_out: float
    kept: Kept
    end: int | None = None


class ProgramState(StrEnum):
    """Where a program is."""

    NONE = "none"
    """There is none in the instrument."""
    RUNNING = "running"
    PAUSED = "paused"
    """Output open; it goes on where it was."""
    DONE = "done"
    """Every step is done, or one met an end that leaves the program; the output is open."""
    STOPPED = "stopped"
    """By command."""
    TRIPPED = "tripped"
    """By the instrument's own limit; `reason` says which."""


@dataclass(frozen=True, slots=True)
class ProgramStatus:
    """What the instrument says of its program.

    Attributes:
        token: the engine's name for this execution: a restarted engine knows its program by it.
        records: number of the last record kept so far.
        oldest: number of the oldest record that the instrument still has; 0 while there is none.
    """

    token: str
    state: ProgramState
    records: int
    oldest: int
    reason: str = ""


@runtime_checkable
class ProgrammableCycler(Cycler, Protocol):
    """A cycler that executes programs. `safe_state` and `off` stop a program, too."""

    def compile(self, nodes: Sequence[Node], limits: Limits) -> Program | None:
        """Return the program for these nodes, or None where a verb, end, record rule or limit cannot be kept unaltered.

        Touches no wire. Nothing is approximated.
        """

    def expect_program(self, token: str) -> None:
        """Leave a program of this token running in the next `connect` and after every reconnection."""

    async def start_program(self, program: Program, token: str) -> None:
        """Upload, verify what was uploaded, set the limits, and start; from then on the instrument is on its own."""

    async def program_status(self) -> ProgramStatus:
        """Ask where the program is."""

    async def program_records(self, program: Program, after: int) -> tuple[ProgramRecord, ...]:
        """Return records behind a number in order, at most a page of them; empty where there are none yet.

        Raises:
            InstrumentRefused: the instrument has dropped some of them.
        """

    async def pause_program(self) -> None:
        """Open the circuit and stay in the step; confirmed."""

    async def resume_program(self) -> None:
        """Go on with the rest of the step."""

    async def skip_program_step(self) -> None:
        """End the present step as if its end had been met."""
