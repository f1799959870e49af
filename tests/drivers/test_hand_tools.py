"""Torque wrench and press: the very sentences that a person reads, and what is understood of what they type."""

import pytest
from pydantic import ValidationError

from drivers.hand_sim import Person
from drivers.press.driver import Press
from drivers.torque_wrench.driver import TorqueWrench
from labctl.clock import VirtualClock
from labctl.errors import InstrumentRefused
from labctl.instrument import HandTool
from labctl.link import OPERATOR, OperatorLink, open_link
from labctl.sim.bench import Bench, BenchParameters, port_of
from labctl.sim.schedule import Kind, Scheduled

WHY = "2.5 MPa on 10 mm = 196.3 N"
OIL = {**Press.EXAMPLE, "lowest": "1 kN", "ram": "50 mm"}


class Terminal:
    """A tool whose person types what is prepared, and what they were asked."""

    def __init__(self, make: type[TorqueWrench] | type[Press], keys: dict[str, object], clock: VirtualClock) -> None:
        self.asked: list[str] = []
        self.types: list[str] = []
        link = open_link(OPERATOR, make.WIRE, "A1/hand_tool.negative", clock)
        assert isinstance(link, OperatorLink)
        link.seat(self._answer)
        options = make.Options.model_validate(keys)
        self.tool: HandTool = make(link, options, clock)  # type: ignore[arg-type, assignment]

    async def _answer(self, sentence: str) -> str:
        self.asked.append(sentence)
        return self.types.pop(0)


SENTENCES = [
    (
        TorqueWrench,
        TorqueWrench.EXAMPLE,
        0.31416,
        False,
        "0.31 Nm",
        0.31,
        (
            "Tighten the screw of the negative side slowly to 0.314 N m (2.5 MPa on 10 mm = 196.3 N). "
            "Then type what the wrench showed, such as 0.314 N m."
        ),
    ),
    (
        TorqueWrench,
        TorqueWrench.EXAMPLE,
        0.1,
        True,
        "110 mN m",
        0.11,
        (
            "Loosen the screw of the negative side until it turns freely, then tighten it slowly to 0.1 N m "
            "(2.5 MPa on 10 mm = 196.3 N). Then type what the wrench showed, such as 0.1 N m."
        ),
    ),
    (
        TorqueWrench,
        TorqueWrench.EXAMPLE,
        0.0,
        True,
        "0 N m",
        0.0,
        "Loosen the screw of the negative side until it turns freely (2.5 MPa on 10 mm = 196.3 N). Then type 0 N m.",
    ),
    (
        Press,
        Press.EXAMPLE,
        39269.9,
        False,
        "39.3 kN",
        39300.0,
        (
            "Press the negative side slowly to 39.3 kN (2.5 MPa on 10 mm = 196.3 N), and lock it there. "
            "Then type what the gauge showed, such as 39.3 kN."
        ),
    ),
    (
        Press,
        Press.EXAMPLE,
        196.3,
        True,
        "200 N",
        200.0,
        (
            "Let the press go, then press the negative side slowly to 196 N (2.5 MPa on 10 mm = 196.3 N), "
            "and lock it there. "
            "Then type what the gauge showed, such as 196 N."
        ),
    ),
    (
        Press,
        Press.EXAMPLE,
        0.0,
        True,
        "0 N",
        0.0,
        "Let the press of the negative side go (2.5 MPa on 10 mm = 196.3 N). Then type 0 N.",
    ),
    (
        Press,
        OIL,
        39269.9,
        False,
        "200 bar",
        39269.908,
        (
            "Press the negative side slowly to 20 MPa of oil (2.5 MPa on 10 mm = 196.3 N), and lock it there. "
            "Then type what the gauge showed, such as 20 MPa."
        ),
    ),
]


@pytest.mark.parametrize(("make", "keys", "value", "release", "typed", "worth", "sentence"), SENTENCES)
async def test_what_is_asked_and_understood(
    make: type[TorqueWrench] | type[Press],
    keys: dict[str, object],
    value: float,
    release: bool,
    typed: str,
    worth: float,
    sentence: str,
    clock: VirtualClock,
) -> None:
    terminal = Terminal(make, keys, clock)
    terminal.types = [typed]
    assert await terminal.tool.apply(value, "negative", WHY, release=release) == pytest.approx(worth)
    assert terminal.asked == [sentence]


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("0.31", '"0.31" has no unit'),
        ("0.31 kg", '"0.31 kg" is a mass, not a torque'),
        ("3.1 N m", '"3.1 N m" cannot be read on it: its scale goes from 0.05 N m to 2 N m. Again: Tighten'),
        ("done", "does not begin with"),
        ("", "Is empty"),
    ],
)
async def test_why_it_is_asked_again(typed: str, reason: str, clock: VirtualClock) -> None:
    terminal = Terminal(TorqueWrench, dict(TorqueWrench.EXAMPLE), clock)
    terminal.types = [typed, "0.3 N m"]
    assert await terminal.tool.apply(0.3, "negative", WHY, release=False) == 0.3
    assert reason.lower() in terminal.asked[1].lower()


async def test_a_person_who_cannot_be_understood_ends_it(clock: VirtualClock) -> None:
    terminal = Terminal(TorqueWrench, dict(TorqueWrench.EXAMPLE), clock)
    terminal.types = ["?"] * 5
    with pytest.raises(InstrumentRefused, match="the last was '\\?'"):
        await terminal.tool.apply(0.3, "negative", WHY, release=False)


@pytest.mark.parametrize(
    "wrong",
    [{"self_locking": False}, {"lowest": "3 N m"}, {"screw": "0 mm"}, {"highest": "2 N"}, {"screw": None}],
)
def test_a_wrench_on_a_screw_that_holds_nothing_is_refused(wrong: dict[str, object]) -> None:
    keys = {key: value for key, value in {**TorqueWrench.EXAMPLE, **wrong}.items() if value is not None}
    with pytest.raises(ValidationError):
        TorqueWrench.Options.model_validate(keys)


@pytest.mark.parametrize("wrong", [{"lowest": "70 kN"}, {"highest": "2 N m"}, {"ram": "0 mm"}])
def test_a_press_without_a_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Press.Options.model_validate({**Press.EXAMPLE, **wrong})


@pytest.mark.parametrize(
    ("kind", "typed"),
    [(Kind.WRONG_UNIT, "lbf in"), (Kind.NOT_A_NUMBER, "nan N m"), (Kind.OUT_OF_RANGE, "inf N m")],
)
def test_what_a_person_types_on_purpose(kind: Kind, typed: str) -> None:
    faults = [Scheduled("hand_tool.negative", kind, 1.0, 2.0)]
    bench = Bench.of(BenchParameters(), 1, faults)
    person = Person(bench, port_of("hand_tool.negative"), "torque")
    bench.advance_to(1.5)
    request = b"Tighten the screw of the negative side slowly to 0.3 N m (x). Then type what showed, such as 0.3 N m.\n"
    assert person.receive(request[:20]) == b""
    assert person.receive(request[20:]).decode().endswith(f"{typed}\n")
