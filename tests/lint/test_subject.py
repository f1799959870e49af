"""Every step of a plan is found where it was written, however it was unfolded."""

from labctl.errors import ProtocolError
from labctl.lint.subject import Subject
from labctl.protocol import bind_source
from labctl.protocol.source import parse
from tests.fuzz.language import seeds
from tests.protocol.files import HEAD, STATION

NESTED = """\
repeat = 2
counts = "cycle"
do = [
  { charge = "C/10", until = "4 V" },
  { for = { t = ["1 h", "2 h"] }, do = [
    { rest = "{t}" },
    { if = "cycle >= 2", do = [ { rest = "3 h" } ], else = [ { rest = "4 h" },
      { rest = "5 h" } ] },
  ] },
  { discharge = "C/10", until = "3 V" },
]
at = [ { cycles = [1], after = "charge", do = [
  { rest = "6 h" } ] } ]
[[step]]
rest = "7 h"
"""


def subject(text: str) -> Subject | None:
    try:
        _, protocol, plan = bind_source(parse("p.toml", text, ProtocolError), STATION)
    except ProtocolError:
        return None
    return None if protocol is None or plan is None else Subject(protocol, plan, STATION)


def test_a_step_is_found_inside_loops_branches_and_hooks() -> None:
    found = subject(HEAD + NESTED)
    assert found is not None
    lines = (HEAD + NESTED).split("\n")
    for step in found.plan.steps():
        place = found.of_step(step)
        assert place.line == step.line
        written = lines[place.line - 1][place.column - 1 : place.column - 1 + place.length]
        assert step.verb in written or written == "step"
        if step.verb == "rest":
            value = found.of_step(step, "rest")
            said = lines[value.line - 1][value.column - 1 : value.column - 1 + value.length]
            assert said in ('"{t}"', f'"{step.name.removeprefix("rest ")}"')


def test_every_step_of_library_and_reference_page_stands_in_the_line_that_its_plan_says() -> None:
    looked_at = 0
    for text in seeds():
        found = subject(text)
        if found is None:
            continue
        for step in found.plan.steps():
            place = found.of_step(step)
            assert place.via or place.line == step.line
            looked_at += 1
    assert looked_at > 50
