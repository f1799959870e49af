"""Whatever becomes of a reply, at any exchange: an instrument's error or the truth, and nothing runs away."""

import re
from contextlib import suppress

import pytest

from labctl.errors import InstrumentError
from labctl.sim.faults import Delay, Fault, Garbage, half, silence
from tests.contract.operations import Operation
from tests.contract.stand import Stand


def eighth_bit(reply: bytes) -> bytes:
    """What a wrong parity makes of text; packets lose their checksum."""
    return bytes(byte if byte in b"\r\n" else byte ^ 0x80 for byte in reply)


def first_number(becomes: bytes) -> Fault:
    """Put something in place of the first number in a reply."""
    return lambda reply: re.sub(rb"[-+]?\d+(\.\d*)?(E[-+]\d+)?", becomes, reply, count=1)


def twice(reply: bytes) -> bytes:
    """An echo, which puts the line out of step."""
    return reply + reply


FAULTS: dict[str, Fault] = {
    "silent": silence,
    "half": half,
    "late": Delay(3.0),
    "garbage": Garbage(b"\x07no such thing\xff\r\n"),
    "other words": Garbage(b"1.5 furlong\r\n"),
    "nan": first_number(b"nan"),
    "infinity": first_number(b"1e999"),
    "empty": Garbage(b"\r\n"),
    "parity": eighth_bit,
    "twice": twice,
}


async def healthy(operation: Operation, driver_name: str) -> Stand:
    """Return the stand after the call, for what it counted."""
    stand = Stand(driver_name)
    await operation.prepare(stand)
    stand.break_replies(silence, ())
    operation.right(stand, await operation.call(stand))
    operation.bounded(stand)
    return stand


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_broken_reply_at_every_exchange(
    driver_name: str, operation: Operation, fault: Fault, lasting: bool
) -> None:
    for number in range(1, (await healthy(operation, driver_name)).replies + 1):
        stand = Stand(driver_name)
        await operation.prepare(stand)
        stand.break_replies(fault, range(number, 10_000) if lasting else (number,))
        with suppress(InstrumentError):
            operation.right(stand, await operation.call(stand))
        operation.bounded(stand)
        await stand.unpolled(60.0)
        operation.bounded(stand)


async def test_a_message_that_is_lost_at_every_exchange(driver_name: str, operation: Operation) -> None:
    """A command that is not answered is lost without a sign: its effect must have been asked for."""
    for number in range(1, (await healthy(operation, driver_name)).messages + 1):
        stand = Stand(driver_name)
        await operation.prepare(stand)
        stand.break_replies(silence, ())
        stand.lost = (number,)
        with suppress(InstrumentError):
            operation.right(stand, await operation.call(stand))
        operation.bounded(stand)
        await stand.unpolled(60.0)
        operation.bounded(stand)


async def test_a_wire_that_is_cut_at_every_exchange(driver_name: str, operation: Operation) -> None:
    for number in range(1, (await healthy(operation, driver_name)).messages + 1):
        stand = Stand(driver_name)
        await operation.prepare(stand)
        stand.break_replies(silence, ())
        stand.lost = range(number, 10_000)
        with pytest.raises(InstrumentError, match=f"^A1/{stand.driver.role} at sim://: "):
            await operation.call(stand)
        operation.bounded(stand)
        await stand.unpolled(60.0)
        operation.bounded(stand)
