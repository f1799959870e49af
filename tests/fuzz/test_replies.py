"""Replies of instruments, damaged byte by byte, to every driver: the truth or a sentence, and nothing runs away."""

import asyncio
from contextlib import suppress
from random import Random

import pytest

from labctl.clock import RealClock
from labctl.errors import InstrumentError, LabctlError
from labctl.instrument import VisaWire
from labctl.link.visa import VisaLink
from labctl.registry import driver_names
from tests.alerts.servers import tcp_server
from tests.contract.operations import operations_of
from tests.contract.stand import DRIVERS, Stand

from .mutate import bytes_damaged

SEEDS = range(40)
FLOODS = {
    "digits": b"9" * 100_000,
    "empty lines": b"\r\n" * 10_000,
    "ones": b"\xff" * 100_000,
    "list": b"1," * 50_000 + b"1\n",
    "signs": b"-" * 5000 + b"1\r\n",
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", driver_names())
async def test_only_sentences_come_out(name: str) -> None:
    for seed in SEEDS:
        for number, operation in enumerate(operations_of(name)):
            random, stand = Random(1000 * seed + number), Stand(name)
            await operation.prepare(stand)
            chance = random.choice([0.1, 0.5, 1.0])

            def fault(reply: bytes, random: Random = random, chance: float = chance) -> bytes:
                return bytes_damaged(reply, random) if random.random() < chance else reply

            stand.break_replies(fault, range(1, 100_000))
            for _ in range(3):
                said = ""
                try:
                    await operation.call(stand)
                except LabctlError as error:
                    said = error.sentence
                assert len(said) < 2000
            assert stand.messages < 5000


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", driver_names())
@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_is_no_reply_and_leaves_nothing_behind(name: str, flood: str) -> None:
    for operation in operations_of(name):
        stand = Stand(name)
        await operation.prepare(stand)
        stand.break_replies(lambda _: FLOODS[flood], range(1, 100_000))
        with suppress(LabctlError):
            operation.right(stand, await operation.call(stand))
        stand.mend()
        for _ in range(2):  # what is left in the line is found with a question, and then it is opened anew
            with suppress(InstrumentError):
                await operation.prepare(stand)
                await operation.call(stand)
        await operation.prepare(stand)
        operation.right(stand, await operation.call(stand))
        assert len(stand.link._buffer) == 0


@pytest.mark.timeout(30)
async def test_a_server_that_never_stops_is_not_listened_to_for_ever() -> None:
    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _reader.readline()
        while True:
            writer.write(b"x" * 60_000)
            await writer.drain()

    async with tcp_server(endless) as port:
        wire = DRIVERS["keithley-2450"].wire
        assert isinstance(wire, VisaWire)
        link = VisaLink(f"TCPIP::127.0.0.1::{port}::SOCKET", wire, "A1/cycler", RealClock(), simulated=False)
        with pytest.raises(InstrumentError) as caught:
            await link.query(b"*IDN?\n")
        await link.close()
    assert len(caught.value.sentence) < 1000
