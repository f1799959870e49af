"""What every tool in a hand must do: ask in one line, understand what is typed, and ask nobody beyond its range."""

from collections.abc import Callable

import pytest

from labctl.errors import InstrumentRefused, NoReply, RefusedForSafety
from labctl.instrument import Role
from labctl.link import OPERATOR, OperatorLink, open_link
from labctl.sim.faults import silence
from labctl.sim.host import Host
from tests.contract.operations import WHY, apply, bounded_nowhere, by_hand, connect, shown, wanted
from tests.contract.stand import Stand

ROLE = Role.HAND_TOOL
FOREVER = range(1, 10_000)


def first_answers(*answers: str) -> Callable[[bytes], bytes]:
    """Type these in place of what the scale showed."""
    left = list(answers)
    return lambda reply: left.pop(0).encode() + b"\n"


async def test_it_brings_the_scale_to_a_value_and_lets_go(stand: Stand) -> None:
    await connect(stand)
    shown(stand, await apply(stand))
    half = 0.5 * wanted(stand)
    result = await stand.tool.apply(half, "negative", WHY, release=True)
    await stand.unpolled(120.0)
    assert result == pytest.approx(half, rel=0.1)
    assert await stand.tool.apply(0.0, "negative", WHY, release=True) == 0.0
    await stand.unpolled(120.0)
    assert stand.bench.rig.indicated("negative") == 0.0


async def test_nobody_is_asked_beyond_the_range(stand: Stand) -> None:
    await connect(stand)
    low, high = stand.tool.tool_range.low, stand.tool.tool_range.high
    for value in (0.5 * low, 1.01 * high, -low, float("nan"), float("inf")):
        with pytest.raises(RefusedForSafety, match="beyond the range"):
            await stand.tool.apply(value, "negative", WHY, release=False)
    assert stand.messages == 0
    bounded_nowhere(stand)


@pytest.mark.parametrize(
    "nonsense", ["", "0.3", "yes", "0.3 lbf in", "30 mA", "nan N m", "1e9 N m", "1e9 N", "-0.3 N m"]
)
async def test_what_is_no_reading_is_asked_again_with_the_reason(stand: Stand, nonsense: str) -> None:
    await connect(stand)
    stand.break_replies(first_answers(nonsense), (1,))
    shown(stand, await apply(stand))
    assert stand.messages == 2


async def test_five_answers_that_nobody_understands_are_enough(stand: Stand) -> None:
    await connect(stand)
    stand.break_replies(first_answers(*["about so much"] * 5), FOREVER)
    with pytest.raises(InstrumentRefused, match="5 answers could not be understood, the last was 'about so much'"):
        await apply(stand)
    assert stand.messages == 5
    by_hand(stand)


async def test_a_person_who_never_answers_is_not_waited_for_for_ever(stand: Stand) -> None:
    await connect(stand)
    stand.break_replies(silence, FOREVER)
    with pytest.raises(NoReply):
        await apply(stand)
    stand.mend()
    shown(stand, await apply(stand))


async def test_the_question_names_side_value_and_reason_and_what_to_type(stand: Stand) -> None:
    link = open_link(OPERATOR, stand.driver.wire, "A1/hand_tool.negative", stand.clock)
    assert isinstance(link, OperatorLink)
    assert not link.simulated
    scale = "0.3 N m" if stand.tool.shows == "torque" else "200 N"
    typed, asked = ["0.3", scale], []

    async def person(sentence: str) -> str:
        asked.append(sentence)
        return typed.pop(0)

    link.seat(person)
    stand.instrument = stand.driver.make(link, stand.options, stand.clock)
    assert await apply(stand) == wanted(stand)
    first, again = asked
    assert f"the negative side slowly to {scale} ({WHY})" in first
    assert first.endswith(f"such as {scale}.")
    assert again.endswith(first)
    assert "0.3" in again.removesuffix(first)
    assert "\n" not in first


async def test_the_same_over_a_wire(stand: Stand) -> None:
    async with Host(stand.bench) as host:
        address = await host.serve(stand.simulator, "tcp://127.0.0.1:0")
        link = open_link(address, stand.driver.wire, "A1/hand_tool", stand.clock, simulated=True)
        stand.instrument = stand.driver.make(link, stand.options, stand.clock)
        try:
            await connect(stand)
            assert await apply(stand) == pytest.approx(wanted(stand), rel=0.1)
        finally:
            await link.close()
