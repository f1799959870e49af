"""The outline of a plan: its lines, and the step that comes next."""

from labctl.engine.outline import Line, following, lines
from labctl.engine.run import Run
from labctl.plan import Plan
from tests.stations import Lab, laboratory, plan_of

STEPS = """
[[step]]
name = "settle"
rest = "1 min"
[[step]]
name = "cycling"
repeat = 3
counts = "cycle"
do = [
  { name = "up", charge = "C/5", until = "2 min" },
  { name = "down", rest = "2 min" },
]
at = [ { cycles = [2], after = "up", do = [ { name = "look", rest = "30 s" } ] } ]
[[step]]
if = "cycle >= 3"
do = [ { name = "then", rest = "40 s" } ]
else = [ { name = "else", rest = "50 s" } ]
[[step]]
for = { rate = ["C/5", "C/2"] }
do = [ { name = "rate", charge = "{rate}", until = "1 min" } ]
"""


async def bound() -> Plan:
    async with laboratory() as lab:
        return plan_of(STEPS, lab.assembly)


async def test_the_lines_of_a_plan_in_the_middle_of_a_loop() -> None:
    plan = await bound()
    up = next(step for step in plan.steps() if step.name == "up")
    assert lines(plan, up, {1: 2}) == (
        Line(1, 0, "settle", "done"),
        Line(0, 0, "cycling (pass 2 of 3)", "now"),
        Line(2, 1, "up", "now"),
        Line(3, 1, "down", "next"),
        Line(0, 1, "at cycle 2, after up", "next"),
        Line(4, 2, "look", "next"),
        Line(0, 0, "if cycle >= 3", "next"),
        Line(5, 1, "then", "next"),
        Line(0, 0, "else", "next"),
        Line(6, 1, "else", "next"),
        Line(0, 0, "for rate", "next"),
        Line(0, 1, "rate = C/5", "next"),
        Line(7, 2, "rate", "next"),
        Line(0, 1, "rate = C/2", "next"),
        Line(8, 2, "rate", "next"),
    )
    assert {line.state for line in lines(plan, None, {})} == {"next"}
    assert {line.state for line in lines(plan, None, {}, ended=True)} == {"done"}


async def test_the_next_step_knows_passes_and_hooks() -> None:
    plan = await bound()
    steps = {step.id: step for step in plan.steps()}

    def after(step: int, number: int) -> int | None:
        found = following(plan, steps[step], {1: number})
        return None if found is None else found.id

    first = following(plan, None, {})
    assert first is not None
    assert first.id == 1
    assert [after(1, 1), after(2, 1), after(3, 1)] == [2, 3, 2]
    assert [after(2, 2), after(4, 2)] == [4, 3]
    assert after(3, 3) == 5
    assert [after(5, 3), after(6, 3), after(7, 3), after(8, 3)] == [7, 7, 8, None]


async def test_a_run_tells_what_comes_next_and_that_it_does() -> None:
    said: list[tuple[str, str]] = []

    async def script(lab: Lab, run: Run) -> None:
        while True:
            if run.progress.step is not None and run.next_step is not None:
                here = (run.progress.step.name, run.next_step.name)
                if not said or said[-1] != here:
                    said.append(here)
            await lab.clock.sleep(1.0)

    async with laboratory() as lab:
        run = Run(plan_of(STEPS, lab.assembly), lab.assembly.station, None, lab.records.append)  # type: ignore[arg-type]
        assert run.progress.steps == 8
        assert {line.state for line in run.outline()} == {"next"}
        await lab.execute(run, script)
    names = [event.data["name"] for event in lab.events if event.kind == "step.started"]
    assert [here for here, _ in said] == names[:-2], "the last has none, and the safe state is no step of the plan"
    assert [following for _, following in said] == names[1:-1]
    assert {line.state for line in run.outline()} == {"done"}
    assert run.next_step is None
