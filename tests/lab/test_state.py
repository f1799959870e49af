"""The retained state of a station on the bus, as docs/bus.md shows it."""

import json
import re

from labctl.bus.local import LocalBus
from labctl.engine.operator import DeclaredOperator
from labctl.engine.run import Run
from labctl.lab.announce import announcing
from tests.docs.pages import DOCS
from tests.stations import laboratory, plan_of


async def test_the_state_is_retained_and_has_the_keys_of_its_page() -> None:
    bus, said = LocalBus(), list[dict[str, object]]()
    await bus.subscribe("labctl/#", lambda _topic, payload: said.append(json.loads(payload)))
    async with laboratory() as lab:
        plan = plan_of('[[step]]\nrest = "5 min"\n', lab.assembly)
        run = Run(plan, lab.assembly.station, DeclaredOperator(), lab.records.append)
        async with announcing(bus, "labctl/demo/host/A1/state", run, lab.assembly, lab.clock, "a-run"):
            pass
    assert said[-1]["state"] == "running"
    assert said[-1]["simulated"] is True
    assert said[-1]["current_ampere"] == 0.0
    [shown] = [
        json.loads(block)
        for block in re.findall(r"```json\n(.*?)```", (DOCS / "bus.md").read_text(), flags=re.DOTALL)
        if '"left_second"' in block
    ]
    assert list(said[-1]) == list(shown)
    late = list[dict[str, object]]()
    await bus.subscribe("labctl/#", lambda _topic, payload: late.append(json.loads(payload)))
    assert late == said[-1:], "who comes later gets it, too"
