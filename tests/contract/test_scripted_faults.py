"""Every fault of a script at every driver: the right error and never a wrong value, and afterwards the truth again."""

from contextlib import suppress
from dataclasses import replace

import pytest

from labctl.errors import InstrumentError, WrongInstrument
from labctl.instrument import Role, VisaWire
from labctl.link import open_link
from labctl.sim.host import Host
from labctl.sim.schedule import DARK, HAPPENS_TO, Kind, Scheduled
from tests.contract.operations import ACTING, READY, bounded_nowhere, is_safe, read_of
from tests.contract.stand import DRIVERS, NAMES, Stand

NEEDS = "read"
SOON, LENGTH, AFTERWARDS = 0.5, 40.0, 40.0
"""Seconds until the fault begins, for which it is there, and in which the truth must be back."""
DRIFT = {
    Role.CYCLER: 0.5,
    Role.LOAD_CELL: 20.0,
    Role.PRESSURE_RIG: 1.0,
    Role.GAS_REGULATOR: 2e4,
    Role.THERMOSTAT: 5.0,
}
"""Per second, V, N, rad, Pa, K: one poll later nobody can take it for noise."""
TOO_LATE = 8.0
SEEN = frozenset(Kind) - HAPPENS_TO.keys() - {Kind.STUCK, Kind.DRIFT, Kind.WRONG_UNIT}
"""What must be an error. Nobody can tell a stuck or drifting value; a unit that comes with its value is converted."""
LIES = {Kind.STUCK, Kind.DRIFT}
RESTARTS = {Kind.REBOOT, Kind.OTHER_IDENTITY}
WIRE_KINDS = [kind for kind in Kind if kind not in HAPPENS_TO]


async def begun(driver_name: str, kind: Kind) -> tuple[Stand, Scheduled]:
    """Return an instrument that acts, and the fault that has just begun there."""
    role = DRIVERS[driver_name].role
    rehearsal = Stand(driver_name)
    await ACTING[role](rehearsal)
    begin = rehearsal.clock.now() + SOON
    value = {Kind.DRIFT: DRIFT[role], Kind.LATE: TOO_LATE}.get(kind, 0.0)
    try:
        fault = Scheduled(NAMES[role], kind, begin, begin + LENGTH, value)
    except ValueError as error:
        pytest.skip(str(error))
    stand = Stand(driver_name, (fault,))
    await ACTING[role](stand)
    assert stand.clock.now() < begin
    await stand.clock.sleep_until(begin)
    return stand, fault


async def polled(stand: Stand, end: float, *, lies: bool = False) -> tuple[list[InstrumentError], int]:
    """Poll until a lab time; return the errors, and how many values there were, each of them true."""
    read, errors, values = read_of(stand.driver.role), [], 0
    while stand.clock.now() < end:
        try:
            result = await read.call(stand)
            if not lies:
                read.right(stand, result)
            values += 1
        except InstrumentError as error:
            errors.append(error)
        read.bounded(stand)
        await stand.clock.sleep(min(stand.instrument.poll_period, 1.0))
    return errors, values


@pytest.mark.parametrize("kind", WIRE_KINDS)
async def test_an_error_or_the_truth_while_it_lasts_and_the_truth_afterwards(driver_name: str, kind: Kind) -> None:
    stand, fault = await begun(driver_name, kind)
    errors, values = await polled(stand, fault.end, lies=kind in LIES)
    if kind in SEEN:
        assert errors
        # A line that is late for long may bring an earlier answer of the same shape; it must be true all the same.
        assert not values or kind is Kind.LATE
    if kind is Kind.WRONG_UNIT:
        assert errors or values
    if kind is Kind.OTHER_IDENTITY:
        assert any(isinstance(error, WrongInstrument) for error in errors)
        assert is_safe(stand), "nobody commands the instrument that stands there now"
    await polled(stand, fault.end + AFTERWARDS, lies=True)
    if stand.driver.role is Role.PRESSURE_RIG and kind in RESTARTS | LIES:
        # Its angles mean something else now, which only a person may settle.
        await READY[stand.driver.role](stand)
    errors, values = await polled(stand, stand.clock.now() + 5.0)
    assert not errors
    assert values
    await stand.instrument.safe_state()
    assert is_safe(stand)


@pytest.mark.parametrize("kind", WIRE_KINDS)
async def test_the_safe_state_is_reached_during_a_fault_or_afterwards(driver_name: str, kind: Kind) -> None:
    stand, fault = await begun(driver_name, kind)
    try:
        await stand.instrument.safe_state()
    except InstrumentError:
        while stand.clock.now() < fault.end + AFTERWARDS:
            await stand.clock.sleep(5.0)
        await stand.instrument.safe_state()
    assert is_safe(stand)


BEGIN, END = 1000.0, 1100.0
ON_WIRES = (Kind.SILENCE, Kind.HALF, Kind.GARBAGE, Kind.DISCONNECT, Kind.OTHER_IDENTITY, Kind.REBOOT)


@pytest.mark.parametrize("kind", ON_WIRES)
async def test_over_its_real_wire(driver_name: str, kind: Kind) -> None:
    role = DRIVERS[driver_name].role
    stand = Stand(driver_name, (Scheduled(NAMES[role], kind, BEGIN, END),))
    is_socket = isinstance(stand.driver.wire, VisaWire)
    wire = replace(stand.driver.wire, timeout=0.1 if is_socket else 0.04)
    async with Host(stand.bench) as host:
        address = await host.serve(stand.simulator, "tcp://127.0.0.1:0" if is_socket else "pty")
        link = open_link(address, wire, f"A1/{role}", stand.clock, simulated=True)
        stand.instrument = stand.driver.make(link, stand.options, stand.clock)
        try:
            await READY[role](stand)
            read_of(role).right(stand, await read_of(role).call(stand))
            host.advance_to(BEGIN)
            with pytest.raises(InstrumentError):
                await read_of(role).call(stand)
            if kind is Kind.OTHER_IDENTITY:
                host.advance_to(BEGIN + DARK)
                with pytest.raises(WrongInstrument):
                    await read_of(role).call(stand)
            host.advance_to(END + DARK)
            for _ in range(2):  # the first may still find a line that is out of step
                with suppress(InstrumentError):
                    await read_of(role).call(stand)
            read_of(role).right(stand, await read_of(role).call(stand))
            bounded_nowhere(stand)
        finally:
            await link.close()
