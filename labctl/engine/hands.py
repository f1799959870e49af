"""Hands: what a person is asked to tighten or to press, what the tool showed, and what the load cell makes of it."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from labctl.engine.operator import Operator
from labctl.engine.station import Station
from labctl.errors import RefusedForSafety
from labctl.instrument import HandTool
from labctl.plan import Pressure, Prompt, Side, Step, Torque, bands_of, textbook_torque

MEGA, MILLI = 1e6, 1e-3
TEXTBOOK = "by the textbook K = 0.2 of a dry screw, which may be wrong by a quarter"
CALIBRATED = "by the calibration of this screw"
BAND = 0.05
"""Of the pressure that was asked for, where its step does not say how near it is to be."""
SETTLING = 30.0
"""s between an answer and a look at the load cell: a hand lets go, the stack yields first."""
MOST_OVER = 1.5
"""Times the value that was asked for first: a dry screw differs from the textbook by a quarter. Where more seems to be
needed the load cell does not see what the tool presses, and nobody is told to crush a cell for it."""
CORRECTIONS = 5
"""Of a step; after them it is for the operator, and for its time-out."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What was asked of a tool and what it showed, N·m or N, and what for."""

    side: Side
    shows: str
    asked: float
    shown: float
    words: str

    @property
    def sentence(self) -> str:
        """Say it for people."""
        unit = "N·m" if self.shows == "torque" else "N"
        asked = f"asked {self.asked:.4g} {unit} ({self.words})"
        return f"By hand on the {self.side} side: {asked}, shown {self.shown:.4g} {unit}."


Tell = Callable[[Applied], None]


@dataclass(frozen=True, slots=True)
class _Job:
    """One side: its tool, and the force (N) that its load cell is to show within a band; None: a torque alone."""

    side: Side
    tool: HandTool
    force: float | None
    band: float
    value: float
    words: str


class Hands:
    """Asks a person for what a plan wants of the sides that no motor moves.

    Nothing that a tool shows ends a step: the load cell does. Where that does not confirm the force, the person is
    asked to go on, with what the scale must show by the force that it has made.
    """

    def __init__(self, station: Station, operator: Operator) -> None:
        self._station = station
        self._operator = operator
        self._shown: dict[Side, float] = {}
        """What the tool of each side of the present step showed last."""

    def seat(self) -> None:
        """Let the operator of this run be the person at every wire that ends at one."""
        for person in self._station.people:
            person.seat(self._ask)

    def leave(self) -> None:
        """Leave every such wire: nobody is asked outside a run."""
        for person in self._station.people:
            person.seat(None)

    async def _ask(self, sentence: str) -> str:
        return await self._operator.ask(Prompt(sentence, (), None), "open circuit")

    def begin(self) -> None:
        """Begin another step."""
        self._shown.clear()

    async def work(self, step: Step, tell: Tell, all_asked: Callable[[], None]) -> None:
        """Ask for every side of a step, then look at each load cell and ask for what is missing, until it is cancelled.

        What was answered before an interruption is not asked for again, but corrected.

        Args:
            tell: takes what was asked and shown, at every answer.
            all_asked: is called when every side was answered for, and has settled.

        Raises:
            InstrumentError: an answer could not be understood.
            RefusedForSafety: the first value is beyond the range of the tool, or the force now is not known.
        """
        jobs = list(self._jobs(step))
        for job in jobs:
            if job.side not in self._shown:
                await self._apply(job, job.value, job.words, tell)
        await self._station.clock.sleep(SETTLING)
        all_asked()
        for _ in range(CORRECTIONS):
            await self._correct(jobs, tell)

    async def _apply(self, job: _Job, value: float, words: str, tell: Tell) -> None:
        force = self._force(job.side)
        release = job.force is not None and job.force < force - job.band
        shown = await job.tool.apply(value, job.side, words, release=release)
        self._shown[job.side] = shown
        tell(Applied(job.side, job.tool.shows, value, shown, words))

    async def _correct(self, jobs: list[_Job], tell: Tell) -> None:
        """Wait until a force is not what is wanted, which it may become by creep, and ask for what is missing."""
        while True:
            for job in jobs:
                value = self._missing(job)
                if value is not None:
                    wanted = f"{job.force:.4g} N are wanted"
                    await self._apply(
                        job, value, f"the load cell shows {self._force(job.side):.4g} N, and {wanted}", tell
                    )
                    await self._station.clock.sleep(SETTLING)
                    return
            await self._station.clock.sleep(SETTLING)

    def _missing(self, job: _Job) -> float | None:
        """Return what the scale must show by the force that it has made; None: enough, or more than can be right."""
        force = self._force(job.side)
        if not job.force or abs(force - job.force) <= job.band or force <= 0.0:
            return None
        value = self._shown[job.side] * job.force / force
        return value if value in job.tool.tool_range and value <= MOST_OVER * job.value else None

    def _jobs(self, step: Step) -> Iterator[_Job]:
        tools = self._station.instruments.tools
        match step.action:
            case Pressure(targets=targets, by_hand=sides):
                for side, pressure in targets:
                    if side in sides:
                        band = bands_of(step).get(side, BAND * abs(pressure))
                        yield self._for_pressure(side, tools[side], pressure, band)
            case Torque(side=side, torque=torque, by_hand=True):
                yield _Job(side, tools[side], None, 0.0, torque, "the torque of the protocol")

    def _for_pressure(self, side: Side, tool: HandTool, pressure: float, band: float) -> _Job:
        area = self._station.board.bore_area
        assert area is not None
        force = pressure * area
        words = f"{pressure / MEGA:.4g} MPa on {2.0 * math.sqrt(area / math.pi) / MILLI:.3g} mm = {force:.4g} N"
        if tool.screw is None:
            return _Job(side, tool, force, band * area, force, words)
        torque_of = self._station.torques_of_force.get(side)
        if torque_of is not None and force > 0.0:
            return _Job(side, tool, force, band * area, torque_of(force), f"{words}, {CALIBRATED}")
        return _Job(side, tool, force, band * area, textbook_torque(force, tool.screw), f"{words}, {TEXTBOOK}")

    def _force(self, side: Side) -> float:
        force = self._station.board.force(side, self._station.clock.now())
        if force is None:
            raise RefusedForSafety(f"The force on the {side} side is not known now, so nobody is asked to change it.")
        return force
