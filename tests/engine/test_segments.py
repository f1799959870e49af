"""What runs in the instrument and what in the host, and a walk that returns to where another one was."""

from typing import cast

import pytest

from drivers.simulated_cycler.compiler import compile_program
from labctl.engine.segments import Segment, Segments
from labctl.engine.walk import Leave, Walk
from labctl.errors import ProtocolError
from labctl.plan import Bound, Limits, Loop, Node, Plan, StationAbilities, Step, Then
from labctl.program import Program, ProgrammableCycler
from labctl.protocol import bind
from labctl.protocol.load import fill
from labctl.protocol.source import parse
from tests.stations import HEAD

ABILITIES = StationAbilities(
    "A4",
    voltage=(0.0, 5.0),
    current=0.1,
    torque=1.0,
    actuated=("negative",),
    measured=(("negative", 500.0), ("positive", 50.0)),
    voltage_limit=Bound(0.0, 5.0),
    current_limit=0.1,
)


class Compiler:
    """The real compiler of the simulated cycler, without an instrument: what is asked of it is counted."""

    def __init__(self) -> None:
        self.asked = 0

    def compile(self, nodes: tuple[Node, ...], limits: Limits) -> Program | None:
        self.asked += 1
        return compile_program(nodes, limits)


def segments_of(plan: Plan) -> tuple[Segments, Compiler]:
    compiler = Compiler()
    return Segments(cast("ProgrammableCycler", compiler), lambda: plan.limits), compiler


def plan_of(steps: str) -> Plan:
    return bind(fill(parse("test.toml", HEAD + steps, ProtocolError), {}), ABILITIES)


class Walker:
    """Walks a plan and notes what happens where; a segment counts its own steps, as an instrument would."""

    def __init__(self, plan: Plan, *, leave: dict[int, Leave] | None = None) -> None:
        self.log: list[str] = []
        self.paths: list[tuple[int, ...]] = []
        self.fired: list[set[int]] = []
        self.cycles = 0
        self._plan = plan
        self._leave = leave or {}
        self.segments, self.compiler = segments_of(plan)
        self.walk = Walk(self._do, lambda branch: True, self, segments=self.segments, follow=self._follow)

    async def run(self) -> list[str]:
        try:
            await self.walk.walk(self._plan.body)
        except Leave as leave:
            self.log.append(f"left: {leave}")
        assert self.walk.path == []
        return self.log

    async def _do(self, step: Step) -> None:
        self._note(f"host {step.name}")
        if step.id in self._leave:
            raise self._leave[step.id]

    async def _follow(self, segment: Segment) -> None:
        self._note(f"program {','.join(str(step) for step in segment.program.steps)} x{segment.width}")
        for step in segment.steps:
            if step in self._leave:
                raise self._leave.pop(step)

    def begin(self, loop: Loop) -> None:
        self.cycles += loop.counts

    def complete(self) -> None:
        self.cycles += 0

    def abandon(self) -> None:
        self.cycles += 0

    def _note(self, what: str) -> None:
        self.log.append(what)
        self.paths.append(tuple(self.walk.path))
        self.fired.append(set(self.walk.fired))


MIXED = """
[[step]]
pressure = { negative = "2.5 MPa", ramp = "0.1 MPa/s" }
until = "stable within 2 % for 60 s"
timeout = "20 min"
[[step]]
charge = "C/5"
until = "3.8 V"
timeout = "9 h"
[[step]]
repeat = 3
do = [ { discharge = "C/5", until = "3 V", timeout = "9 h" }, { charge = "C/5", until = "3.8 V", timeout = "9 h" } ]
[[step]]
prompt = "Ready?"
answers = ["yes"]
simulated = "yes"
[[step]]
rest = "1 h"
"""


async def test_a_segment_is_the_longest_stretch_that_the_cycler_accepts() -> None:
    walker = Walker(plan_of(MIXED))
    log = await walker.run()
    assert [entry.split()[0] for entry in log] == ["host", "program", "host", "program"]
    assert log[1] == "program 2,3,4 x2"
    assert log[3] == "program 6 x1"
    assert walker.paths == [(0,), (1,), (3,), (4,)]


async def test_a_prompt_inside_a_loop_leaves_the_rest_of_its_pass_to_the_cycler() -> None:
    steps = """
[[step]]
repeat = 2
counts = "cycle"
do = [
  { charge = "C/5", until = "3.8 V", timeout = "9 h" },
  { discharge = "C/5", until = "3 V", timeout = "9 h" },
  { prompt = "Is it warm?", answers = ["yes"], simulated = "yes" },
  { rest = "1 h" },
]
"""
    walker = Walker(plan_of(steps))
    log = await walker.run()
    assert log == ["program 1,2 x2", "host prompt", "program 4 x1"] * 2
    assert walker.cycles == 2
    assert walker.paths == [(0, 1, 0), (0, 1, 2), (0, 1, 3), (0, 2, 0), (0, 2, 2), (0, 2, 3)]
    assert walker.compiler.asked < 12, "what was compiled once is kept"


HOOKED = """
[[step]]
repeat = 7
counts = "cycle"
do = [
  { charge = "C/5", until = "3.8 V", timeout = "9 h" },
  { discharge = "C/5", until = "3 V", timeout = "9 h" },
  { rest = "1 min" },
]
at = [ { cycles = "every 3", after = "discharge", do = [ { prompt = "Look.", answers = ["ok"], simulated = "ok" } ] } ]
"""


async def test_passes_without_a_due_hook_are_one_segment() -> None:
    walker = Walker(plan_of(HOOKED))
    log = await walker.run()
    due = ["program 1,2 x2", "host prompt", "program 3 x1"]
    assert log == ["program 1,2,3 x2", *due, "program 1,2,3 x2", *due, "program 1,2,3 x1"]
    assert walker.cycles == 2, "the cycler counts the others"
    assert walker.paths[0] == (0, 1)
    assert walker.paths[1:4] == [(0, 3, 0), (0, 3, 1, 0, 0), (0, 3, 2)]


async def test_a_break_out_of_a_stretch_of_passes_leaves_the_whole_loop() -> None:
    plan = plan_of(HOOKED + '[[step]]\nrest = "2 h"\n')
    walker = Walker(plan, leave={2: Leave(Then.BREAK)})
    assert await walker.run() == ["program 1,2,3 x2", "program 5 x1"]


def test_a_break_inside_a_loop_of_the_segment_does_not_leave_it() -> None:
    steps = """
[[step]]
repeat = 3
do = [
  { charge = "C/5", until = [ { when = "3.8 V", then = "break" } ], timeout = "9 h" },
  { discharge = "C/5", until = "3 V", timeout = "9 h" },
]
"""
    plan = plan_of(steps)
    segments, _ = segments_of(plan)
    segment = segments.siblings(plan.body, ())
    assert segment is not None
    step = segment.steps[1]
    assert not segment.leaves(step, step.ends[0])
    assert segment.leaves(step, step.timeout) if step.timeout else pytest.fail("it has a time-out")


async def test_a_goto_leads_into_the_middle_of_what_would_be_a_segment() -> None:
    steps = """
[[step]]
prompt = "Skip?"
answers = ["yes"]
simulated = "yes"
[[step]]
rest = "1 min"
[[step]]
name = "there"
rest = "2 min"
[[step]]
rest = "3 min"
"""
    walker = Walker(plan_of(steps), leave={1: Leave(Then.GOTO, "there")})
    assert await walker.run() == ["host prompt", "program 3,4 x2"]


RETURNS = (
    MIXED
    + HOOKED
    + """
[[step]]
for = { rate = ["C/5", "C/2"] }
do = [ { charge = "{rate}", until = "2 min" }, { prompt = "Well?", answers = ["y"], simulated = "y" } ]
[[step]]
if = "cycle >= 3"
once = true
do = [ { rest = "40 s" }, { prompt = "Good?", answers = ["y"], simulated = "y" }, { rest = "41 s" } ]
[[step]]
rest = "1 min"
"""
)


async def test_a_walk_goes_on_from_every_place_where_another_was() -> None:
    plan = plan_of(RETURNS)
    whole = Walker(plan)
    log = await whole.run()
    assert len(log) > 15
    for at, path in enumerate(whole.paths):
        again = Walker(plan)
        again.walk.return_to(path, whole.fired[at])
        assert await again.run() == log[at:], path
        assert again.fired[-1] == whole.fired[-1]
