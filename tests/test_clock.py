"""Lab time: it jumps when everybody waits, in order, and stands still while anybody works."""

import asyncio
from contextlib import suppress

import pytest

from labctl.clock import EARLY, LATE, Lock, RealClock, Signal, VirtualClock, host_monotonic


async def test_virtual_time_jumps_to_the_next_sleeper(clock: VirtualClock) -> None:
    seen: list[tuple[str, float]] = []

    async def sleeper(name: str, period: float, times: int) -> None:
        for _ in range(times):
            await clock.sleep(period)
            seen.append((name, clock.now()))

    async with asyncio.TaskGroup() as group:
        clock.spawn(group, sleeper("a", 3.0, 2), "a")
        clock.spawn(group, sleeper("b", 2.0, 3), "b")
    assert seen == [("b", 2.0), ("a", 3.0), ("b", 4.0), ("a", 6.0), ("b", 6.0)]
    assert clock.now() == 6.0


async def test_late_sleepers_wake_when_early_ones_sleep_again(clock: VirtualClock) -> None:
    seen: list[str] = []

    async def early() -> None:
        for _ in range(2):
            await clock.sleep_until(clock.now() + 1.0, EARLY)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            seen.append("early")

    async def late() -> None:
        for _ in range(2):
            await clock.sleep_until(clock.now() + 1.0, LATE)
            seen.append("late")

    async with asyncio.TaskGroup() as group:
        clock.spawn(group, late(), "late")
        clock.spawn(group, early(), "early")
    assert seen == ["early", "late", "early", "late"]


async def test_time_stands_still_while_a_participant_works(clock: VirtualClock) -> None:
    released = asyncio.Event()

    async def worker() -> None:
        await released.wait()  # an exchange on a wire, say: not lab time
        assert clock.now() == 0.0
        await clock.sleep(1.0)

    async def sleeper() -> None:
        await clock.sleep(5.0)

    async with asyncio.TaskGroup() as group:
        clock.spawn(group, worker(), "worker")
        clock.spawn(group, sleeper(), "sleeper")
        for _ in range(10):
            await asyncio.sleep(0)
        assert clock.now() == 0.0
        released.set()
    assert clock.now() == 5.0


async def test_hold_keeps_time_from_moving(clock: VirtualClock) -> None:
    async with asyncio.TaskGroup() as group:
        with clock.hold():
            task = clock.spawn(group, clock.sleep(5.0), "sleeper")
            for _ in range(10):
                await asyncio.sleep(0)
            assert not task.done()
    assert clock.now() == 5.0


async def test_signal_hands_over_without_losing_time(clock: VirtualClock) -> None:
    signal: Signal[float] = Signal(clock)
    got: list[tuple[float, float]] = []

    async def giver() -> None:
        for _ in range(3):
            await clock.sleep(1.0)
            signal.set(clock.now())

    async def taker() -> None:
        for _ in range(3):
            value = await signal.wait()
            got.append((value, clock.now()))

    async with asyncio.TaskGroup() as group:
        clock.spawn(group, taker(), "taker")
        clock.spawn(group, giver(), "giver")
    assert got == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]


async def test_lock_lets_its_holder_sleep_in_lab_time(clock: VirtualClock) -> None:
    lock = Lock(clock)
    order: list[tuple[str, float]] = []

    async def user(name: str) -> None:
        async with lock:
            await clock.sleep(1.0)
            order.append((name, clock.now()))

    async with asyncio.TaskGroup() as group:
        for name in "abc":
            clock.spawn(group, user(name), name)
    assert order == [("a", 1.0), ("b", 2.0), ("c", 3.0)]


async def test_a_cancelled_sleeper_or_waiter_does_not_stop_time(clock: VirtualClock) -> None:
    signal: Signal[None] = Signal(clock)
    lock = Lock(clock)

    async def stubborn(how: str) -> None:
        with suppress(asyncio.CancelledError):
            if how == "sleep":
                await clock.sleep(100.0)
            elif how == "signal":
                await signal.wait()
            else:
                async with lock:
                    await clock.sleep(100.0)
        await clock.sleep(1.0)

    async with asyncio.TaskGroup() as group:
        tasks = [clock.spawn(group, stubborn(how), how) for how in ("sleep", "signal", "lock", "lock")]

        async def canceller() -> None:
            await clock.sleep(5.0)
            for task in tasks:
                task.cancel()

        clock.spawn(group, canceller(), "canceller")
    assert clock.now() == 6.0


async def test_followers_are_told_before_anyone_wakes() -> None:
    clock = VirtualClock(0.0)
    told: list[float] = []

    async def follow(instant: float) -> None:
        await asyncio.sleep(0)
        told.append(instant)

    clock.followers.append(follow)

    async def sleeper() -> None:
        for _ in range(3):
            await clock.sleep(2.0)
            assert told[-1] == clock.now()

    async with asyncio.TaskGroup() as group:
        clock.spawn(group, sleeper(), "sleeper")
    assert told == [2.0, 4.0, 6.0]


async def test_speed_holds_time_back() -> None:
    clock = VirtualClock(0.0, speed=1000.0)
    begin = host_monotonic()
    async with asyncio.TaskGroup() as group:
        clock.spawn(group, clock.sleep(40.0), "sleeper")
    assert host_monotonic() - begin >= 0.04


@pytest.mark.parametrize("seconds", [0.0, 0.01])
async def test_real_clock_sleeps(seconds: float) -> None:
    clock = RealClock()
    begin = clock.now()
    await clock.sleep_until(begin + seconds)
    assert clock.now() - begin >= seconds * 0.99
