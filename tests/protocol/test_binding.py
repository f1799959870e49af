"""What a protocol becomes on a cell and a station: amperes, volts, pascals, ends and cycles."""

from dataclasses import replace
from pathlib import Path

import pytest

from labctl.plan import (
    All,
    Any,
    Bound,
    Branch,
    Compare,
    ConstantCurrent,
    ConstantVoltage,
    End,
    ForEach,
    Limits,
    Loop,
    Node,
    Not,
    Operator,
    Plan,
    Pressure,
    Prompt,
    Quantity,
    RecordRule,
    Rest,
    Stable,
    Step,
    Tare,
    Temperature,
    Then,
)
from labctl.protocol import bind, load, load_cell

from .files import BARE, HEAD, LIBRARY, STATION, plan, read

ONE_C = 0.0021991148575128553
"""14 mg/cm2 on 10 mm at 200 mA/g, A."""


def only(bound: Plan) -> Step:
    (step,) = bound.body
    assert isinstance(step, Step)
    return step


def time(seconds: float) -> Compare:
    return Compare(Quantity.TIME, Operator.GE, seconds)


def timeout(seconds: float, text: str) -> End:
    return End(time(seconds), f"timeout of {text}", Then.FAULT, why="the step did not end by itself in time")


def test_the_doerrer_protocol_is_this_plan() -> None:
    bound = bind(load(LIBRARY / "doerrer-2021" / "asymmetric.toml"), STATION)
    density = 0.2e-3 * 1e4 * bound.cell.positive_area if bound.cell.positive_area else 0.0
    record = RecordRule(interval=60.0, voltage=0.005)
    lines = {step.id: step.line for step in bound.steps()}
    assert density == pytest.approx(157.08e-6, rel=1e-5)
    assert bound.limits == Limits(
        voltage=Bound(2.4, 4.4),
        current=pytest.approx(2.5 * density),
        capacity=pytest.approx(300 * 3.6 * 14 * 0.785398e-3, rel=1e-5),
        temperature=Bound(15.0, 45.0),
        pressure_negative=Bound(0.0, 4e6),
        pressure_positive=Bound(0.0, 0.5e6),
        torque=2.0,
    )
    expected: tuple[Node, ...] = (
        Step(
            id=1,
            verb="temperature",
            name="temperature 30 degC",
            action=Temperature(30.0, "cell"),
            ends=(End(Stable(0.5, False, 600.0), "stable within 0.5 K for 10 min"),),
            timeout=timeout(14400.0, "4 h"),
            record=record,
            line=lines[1],
        ),
        Step(
            id=2,
            verb="pressure",
            name="pressure negative 2.5 MPa, positive 0.2 MPa",
            action=Pressure((("negative", 2.5e6), ("positive", 0.2e6)), 0.1e6, "force"),
            ends=(End(Stable(0.05, True, 60.0), "stable within 5 % for 60 s"),),
            timeout=timeout(1200.0, "20 min"),
            record=record,
            line=lines[2],
        ),
        Loop(
            id=1,
            name="cycling",
            passes=5,
            counts=True,
            body=(
                Step(
                    id=3,
                    verb="charge",
                    name="charge 0.2 mA/cm2",
                    action=ConstantCurrent(density, 4.3),
                    ends=(End(Compare(Quantity.VOLTAGE, Operator.GE, 4.3), "4.3 V"),),
                    timeout=timeout(108000.0, "30 h"),
                    record=record,
                    line=lines[3],
                ),
                Step(
                    id=4,
                    verb="discharge",
                    name="discharge 0.2 mA/cm2",
                    action=ConstantCurrent(-density, 2.5),
                    ends=(End(Compare(Quantity.VOLTAGE, Operator.LE, 2.5), "2.5 V"),),
                    timeout=timeout(108000.0, "30 h"),
                    record=record,
                    line=lines[4],
                ),
            ),
            line=bound.body[2].line,
        ),
    )
    assert bound.body == expected
    text = (LIBRARY / "doerrer-2021" / "asymmetric.toml").read_text(encoding="utf-8").splitlines()
    assert [text[lines[n] - 1].split()[0] for n in (1, 2)] == ["[[step]]", "[[step]]"]
    assert '{ charge    = "{current}"' in text[lines[3] - 1]


@pytest.mark.parametrize(
    ("written", "amperes"),
    [
        ("1C", ONE_C),
        ("C/10", ONE_C / 10),
        ("1 mA", 1e-3),
        ("0.2 mA/cm2", 157.0796e-6),
        ("100 mA/g", ONE_C / 2),
    ],
)
def test_currents_are_amperes_on_this_cell(written: str, amperes: float) -> None:
    action = only(plan(f'charge = "{written}"\nuntil = "4.3 V"\n')).action
    assert isinstance(action, ConstantCurrent)
    assert action.current == pytest.approx(amperes, rel=1e-6)


def test_a_potential_vs_li_is_converted_by_the_counter_electrode_alone() -> None:
    step = only(plan('charge = "1C"\ncv = "4.3 V vs Li"\nuntil = ["C/20", "cv_time >= 15 min", "4 h"]\n'))
    assert step.action == ConstantCurrent(pytest.approx(ONE_C), 3.68, cv=True)
    assert [(end.condition, end.cv_only) for end in step.ends] == [
        (Compare(Quantity.CURRENT, Operator.LE, pytest.approx(ONE_C / 20), magnitude=True), True),
        (Compare(Quantity.CV_TIME, Operator.GE, 900.0), True),
        (time(14400.0), False),
    ]


def test_a_charge_without_a_cut_off_stops_at_the_limit() -> None:
    charge, discharge = plan('charge = "1 mA"\nuntil = "1 h"\n[[step]]\ndischarge = "1 mA"\nuntil = "1 mAh"\n').body
    assert isinstance(charge, Step)
    assert isinstance(discharge, Step)
    assert charge.action == ConstantCurrent(1e-3, 4.4)
    assert discharge.action == ConstantCurrent(-1e-3, 2.0)
    assert discharge.ends == (End(Compare(Quantity.CAPACITY, Operator.GE, pytest.approx(3.6)), "1 mAh"),)


def test_the_first_of_several_cut_offs_is_set_in_the_instrument() -> None:
    step = only(plan('charge = "1C"\nuntil = ["4.3 V", "4.1 V", "voltage >= 3.9 V for 30 s"]\n'))
    assert step.action == ConstantCurrent(pytest.approx(ONE_C), 4.1)


def test_a_step_bounded_by_nothing_else_faults_at_the_capacity_limit() -> None:
    step = only(plan('charge = "1C"\nuntil = "4.3 V"\n'))
    assert step.timeout is None
    assert step.ends[-1] == End(
        Compare(Quantity.CAPACITY, Operator.GE, pytest.approx(11.8752, rel=1e-5)),
        "limits.capacity",
        Then.FAULT,
        why="the step moved more charge than the limit of capacity allows",
    )
    assert len(only(plan('charge = "1C"\nuntil = ["4.3 V", "2 h"]\n')).ends) == 2


def test_what_follows_an_end_is_said_behind_then() -> None:
    text = """\
rest = "1 h"
until = [
  { when = "voltage >= 4 V", then = "end" },
  { when = "voltage <= 1 V for 5 s", then = "fault: soft short" },
  { when = "voltage <= 2 V", then = "goto after" },
]
timeout = { when = "2 h", then = "next" }
[[step]]
name = "after"
rest = "1 min"
"""
    step = plan(text).body[0]
    assert isinstance(step, Step)
    assert [(end.then, end.label, end.why) for end in step.ends] == [
        (Then.NEXT, "", ""),
        (Then.END, "", ""),
        (Then.FAULT, "", "soft short"),
        (Then.GOTO, "after", ""),
    ]
    assert step.timeout == End(time(7200.0), "timeout of 2 h", Then.NEXT)


def test_conditions_combine_and_last() -> None:
    step = only(
        plan('rest = "1 h"\nuntil = "(voltage >= 4 V or temperature >= 40 degC) for 30 s and not cycle >= 3"\n')
    )
    assert step.ends[1].condition == All(
        (
            All(
                (
                    Any(
                        (
                            Compare(Quantity.VOLTAGE, Operator.GE, 4.0),
                            Compare(Quantity.TEMPERATURE, Operator.GE, 40.0),
                        )
                    ),
                ),
                hold=30.0,
            ),
            Not(Compare(Quantity.CYCLE, Operator.GE, 3.0)),
        )
    )


def test_current_in_a_condition_is_a_magnitude_but_has_a_sign_where_the_verb_has() -> None:
    fault = '{ when = "current >= 2 mA", then = "fault" }'
    of_discharge = only(plan(f'discharge = "1 mA"\nuntil = ["3 V", {fault}]\n')).ends[1].condition
    of_current = only(plan(f'current = "-1 mA"\nuntil = ["3 V", {fault}]\n')).ends[1].condition
    assert of_discharge == Compare(Quantity.CURRENT, Operator.GE, 2e-3, magnitude=True)
    assert of_current == Compare(Quantity.CURRENT, Operator.GE, 2e-3, magnitude=False)


def test_every_other_verb() -> None:
    text = """\
tare = "anode"
[[step]]
prompt = "Which press?"
answers = ["left", "right"]
simulated = "left"
[[step]]
cv = "4 V"
max_current = "1 mA"
until = "C/20"
timeout = "1 h"
[[step]]
rest = "10 min"
until = "stable within 1 mV for 60 s"
record.interval = "1 s"
limits.voltage = ["3 V", "4.2 V"]
[[step]]
pressure = { anode = "2 MPa", ramp = "10 kPa/s", control = "gap" }
until = "stable within 0.1 MPa for 10 s"
timeout = "10 min"
[[step]]
if = "cycle >= 3 and pressure.negative <= 1 MPa"
once = true
do = [ { end = true } ]
else = [ { rest = "1 s" } ]
"""
    tare, prompt, hold, rest, pressure, branch = plan(text).body
    assert isinstance(tare, Step)
    assert isinstance(prompt, Step)
    assert isinstance(hold, Step)
    assert isinstance(rest, Step)
    assert isinstance(pressure, Step)
    assert isinstance(branch, Branch)
    assert tare.action == Tare("negative", "Is the load cell of the negative side unloaded?")
    assert prompt.action == Prompt("Which press?", ("left", "right"), "left")
    assert hold.action == ConstantVoltage(4.0, 1e-3)
    assert rest.action == Rest()
    assert rest.ends[1].condition == Stable(1e-3, False, 60.0)
    assert rest.record.interval == 1.0
    assert rest.limits is not None
    assert rest.limits.voltage == Bound(3.0, 4.2)
    assert rest.limits.current == 5e-3
    assert pressure.action == Pressure((("negative", 2e6),), 1e4, "gap")
    assert pressure.ends[0].condition == Stable(1e5, False, 10.0)
    assert branch.once
    assert [node.verb for node in (*branch.body, *branch.otherwise) if isinstance(node, Step)] == ["end", "rest"]
    assert [step.id for step in plan(text).steps()] == [1, 2, 3, 4, 5, 6, 7]


def test_for_binds_its_steps_once_a_combination() -> None:
    text = 'for = { rate = ["C/10", "1C"], hours = [1, 2] }\ndo = [{ charge = "{rate}", until = "{hours} h" }]\n'
    (each,) = plan(text).body
    assert isinstance(each, ForEach)
    assert each.labels == (
        "rate = C/10, hours = 1",
        "rate = C/10, hours = 2",
        "rate = 1C, hours = 1",
        "rate = 1C, hours = 2",
    )
    steps = [step for body in each.bodies for step in body if isinstance(step, Step)]
    assert [step.id for step in steps] == [1, 2, 3, 4]
    assert [step.name for step in steps] == ["charge C/10", "charge C/10", "charge 1C", "charge 1C"]
    assert [step.ends[0].condition for step in steps] == [time(h * 3600.0) for h in (1, 2, 1, 2)]


CYCLE = '{ charge = "1C", until = "4 V" }, { discharge = "1C", until = "3 V" }'


@pytest.mark.parametrize(
    ("steps", "counting"),
    [
        (f"repeat = 2\ndo = [{CYCLE}]", ["repeat 2"]),
        (f"repeat = 2\ndo = [{{ repeat = 3, do = [{CYCLE}] }}]", ["repeat 3"]),
        (f"repeat = 2\ndo = [{CYCLE}]\n[[step]]\nrepeat = 3\ndo = [{CYCLE}]", ["repeat 2", "repeat 3"]),
        (f'repeat = 2\ncounts = "cycle"\ndo = [{CYCLE}, {{ repeat = 3, do = [{CYCLE}] }}]', ["repeat 2"]),
        ('repeat = 2\ndo = [{ rest = "1 s" }]', []),
        (f'repeat = 2\ndo = [{{ if = "cycle >= 2", do = [{CYCLE}] }}]', ["repeat 2"]),
    ],
)
def test_the_innermost_full_loop_counts_cycles_unless_one_says_so(steps: str, counting: list[str]) -> None:
    def loops(nodes: tuple[Node, ...]) -> list[Loop]:
        found = [node for node in nodes if isinstance(node, Loop)]
        return found + [inner for loop in found for inner in loops(loop.body)]

    assert [loop.name for loop in loops(plan(steps).body) if loop.counts] == counting


def test_hooks_name_cycles_and_a_point_of_the_pass() -> None:
    (loop,) = plan(
        f"repeat = 60\ndo = [{CYCLE}]\n"
        'at = [{ cycles = [1, 20], after = "charge", do = [{ rest = "1 h" }] },'
        ' { cycles = "every 50", after = "discharge", do = [{ rest = "1 h" }] }]\n'
    ).body
    assert isinstance(loop, Loop)
    assert [(hook.cycles, hook.every, hook.after) for hook in loop.hooks] == [
        ((1, 20), None, "charge"),
        ((), 50, "discharge"),
    ]
    assert [step.id for hook in loop.hooks for step in hook.body if isinstance(step, Step)] == [3, 4]


def test_limits_are_the_narrowest_of_station_cell_protocol_and_step(tmp_path: Path) -> None:
    file = tmp_path / "c7.toml"
    file.write_text(
        'schema = "1"\n[cell]\npositive = { active_mass = "10 mg" }\n'
        '[limits]\nvoltage = ["2.2 V", "5 V"]\ncurrent = "3 mA"\npressure.anode = ["0 MPa", "3 MPa"]\n',
        encoding="utf-8",
    )
    station = replace(STATION, voltage_limit=Bound(0.0, 4.35), torque=1.5)
    bound = bind(read(HEAD + 'charge = "C/2"\nuntil = "4.2 V"\n'), station, load_cell(file))
    assert bound.cell.name == "c7"
    assert bound.cell.one_c == pytest.approx(2e-3)
    assert bound.limits == Limits(
        voltage=Bound(2.2, 4.35),
        current=3e-3,
        capacity=pytest.approx(300 * 3.6e-3 * 10),
        temperature=Bound(10.0, 50.0),
        pressure_negative=Bound(0.0, 3e6),
        pressure_positive=Bound(0.0, 6e6),
        torque=1.5,
    )


def test_settings_take_the_place_of_defaults_and_are_told() -> None:
    text = (
        HEAD
        + 'repeat = "{n}"\ndo = [{ rest = "{pause}" }]\n[inputs]\nn = { default = 2 }\npause = { default = "1 h" }\n'
    )
    bound = bind(read(text), STATION, settings={"n": "7", "pause": "90 s"})
    (loop,) = bound.body
    assert isinstance(loop, Loop)
    assert loop.passes == 7
    assert bound.inputs == (("n", "7"), ("pause", "90 s"))


def test_a_side_without_an_actuator_is_asserted_and_needs_no_ramp() -> None:
    spring = replace(STATION, actuated=(), torque=None)
    step = only(
        plan('pressure = { positive = "0.2 MPa" }\nuntil = "stable within 5 % for 5 s"\ntimeout = "1 h"\n', spring)
    )
    assert step.action == Pressure((("positive", 0.2e6),), 0.0, "force")


def test_wang_needs_a_press_but_no_rig() -> None:
    prompt, loop = bind(load(LIBRARY / "wang-2023" / "cccv.toml"), BARE).body
    assert isinstance(prompt, Step)
    assert isinstance(loop, Loop)
    assert isinstance(prompt.action, Prompt)
    assert prompt.action.simulated in prompt.action.answers
    charge, discharge = (node.action for node in loop.body if isinstance(node, Step))
    assert charge == ConstantCurrent(pytest.approx(2.9688e-3, rel=1e-4), 3.68, cv=True)
    assert discharge == ConstantCurrent(pytest.approx(-2.9688e-3, rel=1e-4), 2.08)
    assert loop.passes == 100
