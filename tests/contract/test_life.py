"""An instrument's life: connect, trouble on the line, another instrument in its place, safe state."""

from contextlib import suppress
from itertools import count

import pytest

from labctl.errors import InstrumentError, LabctlError
from labctl.instrument import Role, VisaWire
from labctl.link import open_link
from labctl.sim.faults import Delay, silence
from labctl.sim.host import Host
from tests.contract.operations import ACTING, READY, bounded_nowhere, is_safe, operations_of, read_of
from tests.contract.stand import DRIVERS, Stand

EVERY = range(1, 10_000)
POLLED = {
    "test_another_instrument_after_a_reopening_is_neither_read_nor_commanded",
    "test_a_late_reply_is_never_the_next_value",
    "test_the_same_over_its_real_wire",
}
"""Tests of instruments that are read; a tool in a hand has a test of its own for each."""


async def test_connect_identifies_and_neither_moves_nor_energises(stand: Stand) -> None:
    identity = await stand.instrument.connect()
    assert all((identity.vendor, identity.model, identity.firmware))
    assert identity.model in str(identity)
    await stand.unpolled(600.0)
    bounded_nowhere(stand)
    assert await stand.instrument.connect() == identity, "the same one again"


async def test_connect_makes_safe_what_a_dead_process_left_running(stand: Stand) -> None:
    await ACTING[stand.driver.role](stand)
    _, successor = stand.open()
    await successor.connect()
    assert is_safe(stand)


async def test_the_safe_state_twice(stand: Stand) -> None:
    await ACTING[stand.driver.role](stand)
    for _ in range(2):
        await stand.instrument.safe_state()
        assert is_safe(stand)


async def test_the_safe_state_before_anything_was_done(stand: Stand) -> None:
    await stand.instrument.connect()
    await stand.instrument.safe_state()
    bounded_nowhere(stand)


@pytest.mark.parametrize("how", ["no reply comes", "nothing gets through"])
async def test_a_safe_state_that_is_not_confirmed_is_said_to_be_and_reached_later(stand: Stand, how: str) -> None:
    await ACTING[stand.driver.role](stand)
    if how == "no reply comes":
        stand.break_replies(silence, EVERY)
    else:
        stand.cut = True
    for _ in range(2):
        with suppress(InstrumentError):
            await stand.instrument.safe_state()
            assert is_safe(stand), "or it must not return"
    stand.mend()
    await stand.instrument.safe_state()
    assert is_safe(stand)


def another(reply: bytes) -> bytes:
    """The same answer with another last letter or digit: another serial number, model or version."""
    end = max((place for place, byte in enumerate(reply) if chr(byte).isalnum()), default=len(reply) - 1)
    return reply[:end] + (b"1" if reply[end : end + 1] == b"2" else b"2") + reply[end + 1 :]


async def test_another_instrument_after_a_reopening_is_neither_read_nor_commanded(stand: Stand) -> None:
    role = stand.driver.role
    await READY[role](stand)
    stand.break_replies(silence, EVERY)
    with pytest.raises(InstrumentError):
        await read_of(role).call(stand)
    for operation in operations_of(stand.driver.name):
        stand.break_replies(another, (1,))
        with pytest.raises(InstrumentError):
            await read_of(role).call(stand)
        stand.break_replies(another, (1,))
        with suppress(LabctlError):
            await operation.call(stand)
        bounded_nowhere(stand)
    stand.mend()
    await stand.unpolled(1.0)
    read_of(role).right(stand, await read_of(role).call(stand))


@pytest.mark.parametrize("seconds", [0.02, 0.5, 30.0], ids=["a moment", "half a second", "half a minute"])
async def test_a_late_reply_is_never_the_next_value(driver_name: str, seconds: float) -> None:
    """On whichever exchange of a reading the line was late: a value that is given is that of its moment."""
    role = DRIVERS[driver_name].role
    for exchange in count(1):
        stand = Stand(driver_name)
        await ACTING[role](stand)
        stand.break_replies(Delay(stand.driver.wire.timeout + seconds), (exchange,))
        try:
            read_of(role).right(stand, await read_of(role).call(stand))
        except InstrumentError:
            assert await true_values(stand, polls=12) >= 8, "the line recovers"
        else:
            assert exchange > 1
            return


async def true_values(stand: Stand, polls: int) -> int:
    """Poll while the truth changes, and count the values; one that is not true fails."""
    operation, values = read_of(stand.driver.role), 0
    for poll in range(polls):
        await stand.unpolled(6.0)
        if stand.driver.role == Role.LOAD_CELL:
            stand.bench.rig.turn_to(1.0 + 0.05 * poll)
        with suppress(InstrumentError):
            operation.right(stand, await operation.call(stand))
            values += 1
    return values


async def test_the_same_over_its_real_wire(stand: Stand) -> None:
    role, wire = stand.driver.role, stand.driver.wire
    identity = await stand.instrument.connect()
    async with Host(stand.bench) as host:
        address = await host.serve(stand.simulator, "tcp://127.0.0.1:0" if isinstance(wire, VisaWire) else "pty")
        link = open_link(address, wire, f"A1/{role}", stand.clock, simulated=True)
        stand.instrument = stand.driver.make(link, stand.options, stand.clock)
        try:
            assert await stand.instrument.connect() == identity
            await READY[role](stand)
            read_of(role).right(stand, await read_of(role).call(stand))
            await stand.instrument.safe_state()
            bounded_nowhere(stand)
        finally:
            await link.close()
