"""The forecast: a first guess from what steps say, then what they took."""

import pytest

from labctl.engine.forecast import Forecast
from tests.stations import laboratory, plan_of

STEPS = """
[[step]]
pressure = { positive = "0.2 MPa" }
until = "stable within 5 % for 60 s"
timeout = "20 min"
[[step]]
repeat = 3
counts = "cycle"
do = [
  { charge = "1C", cv = "4.2 V", until = "cv_time >= 15 min", timeout = "3 h" },
  { rest = "1 h" },
]
at = [ { cycles = [2], after = "rest", do = [ { rest = "30 min" } ] } ]
"""


async def test_a_plan_is_forecast_from_its_own_words_and_then_from_what_it_took() -> None:
    async with laboratory() as lab:
        plan = plan_of(STEPS, lab.assembly)
    forecast = Forecast(plan)
    charge = next(step for step in plan.steps() if step.verb == "charge")
    assert plan.limits.capacity == pytest.approx(400e-3 * 3600 * 14e-3 * 0.785398, rel=1e-4)
    guess = (plan.cell.theoretical or plan.limits.capacity) / charge.action.current + 900.0  # type: ignore[union-attr]
    assert forecast.left(0.0) == pytest.approx(60.0 + 3 * (guess + 3600.0) + 1800.0)
    assert forecast.left(100.0) == forecast.left(0.0) - 100.0
    forecast.took(charge, 1000.0)
    forecast.took(charge, 2000.0)
    assert forecast.left(0.0) == pytest.approx(60.0 + 3 * (1500.0 + 3600.0) + 1800.0)
    assert forecast.left(1e9) == 0.0


async def test_the_time_of_a_fault_is_not_expected() -> None:
    faults = '{ when = "voltage >= 4.2 V and time <= 10 min", then = "fault: dead" }'
    plain = '[[step]]\ncharge = "C/10"\nuntil = ["4.2 V"]\ntimeout = "30 h"\n'
    async with laboratory() as lab:
        sound, wary = (
            plan_of(plain, lab.assembly),
            plan_of(plain.replace('["4.2 V"', f'[{faults}, "4.2 V"'), lab.assembly),
        )
    assert Forecast(wary).left(0.0) == Forecast(sound).left(0.0) > 3600.0
