"""The retained state of a station on the bus, as docs/bus.md shows it."""

import json
import re

from labctl.api import StationState, Word
from labctl.bus.local import LocalBus
from labctl.engine.operator import DeclaredOperator
from labctl.engine.run import Run
from labctl.lab.announce import announcing, state_of
from labctl.lab.recording import header, of_plan
from tests.docs.pages import DOCS
from tests.stations import Lab, laboratory, plan_of, repository_config

STEPS = """
[[step]]
pressure = { negative = "2 MPa", positive = "0.2 MPa", ramp = "0.1 MPa/s" }
until = "stable within 5 % for 10 s"
timeout = "1 h"
[[step]]
charge = "C/5"
until = "10 min"
"""


def _state(lab: Lab, run: Run) -> StationState:
    config = repository_config()
    watch = header(config, "A1", lab.assembly, lab.clock, run="a-run", operator="anna", seed=1)
    return state_of(config, run, of_plan(watch, run.plan), lab.assembly, lab.clock)


async def test_the_state_is_retained_and_has_the_keys_of_its_page() -> None:
    bus, said = LocalBus(), list[dict[str, object]]()
    await bus.subscribe("labctl/#", lambda _topic, payload: said.append(json.loads(payload)))
    async with laboratory() as lab:
        plan = plan_of('[[step]]\nrest = "5 min"\n', lab.assembly)
        run = Run(plan, lab.assembly.station, DeclaredOperator(), lab.records.append)
        async with announcing(bus, "labctl/demo/host/A1/state", lambda: _state(lab, run)):
            pass
    [shown] = [
        json.loads(block)
        for block in re.findall(r"```json\n(.*?)```", (DOCS / "bus.md").read_text(), flags=re.DOTALL)
        if '"lab_unix_second"' in block
    ]
    assert list(said[-1]) == list(shown)
    state = StationState.model_validate(said[-1])
    assert (state.word, state.simulated, state.values["current_ampere"].value) == (Word.WAIT, True, 0.0)
    late = list[dict[str, object]]()
    await bus.subscribe("labctl/#", lambda _topic, payload: late.append(json.loads(payload)))
    assert late == said[-1:], "who comes later gets it, too"


async def test_a_state_says_what_runs_and_how_it_ended() -> None:
    states, runs = list[StationState](), list[Run]()
    async with laboratory() as lab:

        async def look(lab: Lab, run: Run) -> None:
            runs.append(run)
            while run.progress.step is None or run.progress.step.verb != "charge":
                await lab.clock.sleep(10.0)
            states.append(_state(lab, run))

        await lab.run(plan_of(STEPS, lab.assembly), meanwhile=look)
        states.append(_state(lab, runs[0]))
    during, after = states
    assert during.run is not None
    assert during.values["negative_pressure_pa"].target == 2e6
    assert during.values["negative_pressure_pa"].high == 4e6
    assert (during.word, during.run.step_name) == (Word.CHARGE, "charge C/5")
    assert [line.state for line in during.run.plan] == ["done", "now"]
    assert (after.word, after.run, after.last_run) == (Word.DONE, None, "a-run")
