"""Lab time and host time: the only file that reads a clock or sleeps.

*Lab time* drives steps, physics, polling, sensor age and instrument watchdogs; it may be virtual. *Host time* drives
bus, recorder, flushes and heartbeats; it never is.

Virtual lab time stands still while anybody works in it and jumps to the next sleeper when everybody sleeps. For that
a clock counts its *participants*: tasks started with `spawn`, which wait only in ways the clock knows of: `sleep`,
a `Signal`, a `Lock`. A participant that awaits anything else (a reply from a wire) is at work, and time waits for it.
"""

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, Self, TypeVar

T = TypeVar("T")

EARLY, LATE = 0, 1
"""Order of sleepers that wake at one instant: every EARLY one sleeps again before the first LATE one wakes."""


def host_monotonic() -> float:
    """Seconds on the host's monotonic clock."""
    return time.monotonic()


def host_unix() -> float:
    """Seconds since 1970 on the host's clock, which people and NTP may step."""
    return time.time()


async def host_sleep(seconds: float) -> None:
    """Sleep in host time."""
    await asyncio.sleep(seconds)


def host_sleep_blocking(seconds: float) -> None:
    """Sleep in host time inside a worker thread."""
    time.sleep(seconds)


Nursery = asyncio.TaskGroup | asyncio.AbstractEventLoop


class LabClock(Protocol):
    """Lab time, real or virtual."""

    def now(self) -> float:
        """Seconds of lab time since the clock began; monotonic."""

    def unix(self) -> float:
        """Lab time as seconds since 1970."""

    async def sleep_until(self, instant: float, order: int = EARLY) -> None:
        """Sleep until an instant of lab time; an instant that has passed still yields to every other participant."""

    async def sleep(self, seconds: float) -> None:
        """Sleep a span of lab time."""

    def spawn(self, nursery: Nursery, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Start a participant in a task group, or on the event loop itself."""

    def parked(self, parked: int) -> None:
        """Tell that participants began (positive) or ceased (negative) to wait for others; for Signal and Lock."""

    def is_participant(self) -> bool:
        """Whether the current task counts."""


class Signal(Generic[T]):
    """A value that one participant hands to another; waiting for it lets virtual time pass."""

    def __init__(self, clock: LabClock) -> None:
        self._clock = clock
        self._waiter: asyncio.Future[T] | None = None
        self._counted = False
        self._value: list[T] = []

    def set(self, value: T) -> None:
        """Hand over a value; the first one since the last `wait` wins."""
        if self._waiter is not None and not self._waiter.done():
            self._wake()
            self._waiter.set_result(value)
        elif not self._value:
            self._value.append(value)

    def clear(self) -> None:
        """Forget a value that nobody took."""
        self._value.clear()

    async def wait(self) -> T:
        """Return the value, as soon as there is one."""
        if self._value:
            return self._value.pop()
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiter = waiter
        self._counted = self._clock.is_participant()
        if self._counted:
            self._clock.parked(1)
        try:
            return await waiter
        finally:
            if waiter.cancelled():
                self._wake()
            self._waiter = None

    def _wake(self) -> None:
        if self._counted:
            self._counted = False
            self._clock.parked(-1)


class Lock:
    """A fair lock between tasks; waiting for it lets virtual time pass, so its holder may sleep in lab time."""

    def __init__(self, clock: LabClock) -> None:
        self._clock = clock
        self._held = False
        self._queue: deque[Signal[bool]] = deque()

    async def __aenter__(self) -> Self:
        if not self._held:
            self._held = True
            return self
        turn: Signal[bool] = Signal(self._clock)
        self._queue.append(turn)
        try:
            await turn.wait()
        except asyncio.CancelledError:
            if turn in self._queue:
                self._queue.remove(turn)
            else:
                self._pass_on()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        if self._queue:
            self._queue.popleft().set(True)
        else:
            self._held = False


class RealClock:
    """Lab time is the host's monotonic clock; a step of the host's calendar changes no duration."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def now(self) -> float:
        """Return seconds since the clock was made."""
        return time.monotonic() - self._start

    def unix(self) -> float:
        """Return the host's calendar time."""
        return time.time()

    async def sleep_until(self, instant: float, order: int = EARLY) -> None:
        """Sleep on the event loop; `order` has no meaning where instants are not shared."""
        await asyncio.sleep(instant - self.now())

    async def sleep(self, seconds: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(seconds)

    def spawn(self, nursery: Nursery, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Start a task."""
        return nursery.create_task(work, name=name)

    def parked(self, parked: int) -> None:
        """Real time passes anyway."""

    def is_participant(self) -> bool:
        """Nobody is counted."""
        return False


class VirtualClock:
    """Lab time that jumps to the next sleeper when every participant waits.

    Args:
        epoch: lab time zero as seconds since 1970.
        speed: at most so many lab seconds in a host second; None is as fast as the work allows. It never hurries: a
            busy machine slows the lab down.

    Attributes:
        speed: as given; it may be changed at any time.
        followers: async callables that are told the instant before anybody wakes at it, such as a simulator process
            whose physics keeps the same time.
    """

    def __init__(self, epoch: float, speed: float | None = None) -> None:
        self.followers: list[Callable[[float], Awaitable[None]]] = []
        self._epoch = epoch
        self.speed = speed
        self._now = 0.0
        self._last_jump_host = time.monotonic()
        self._participants: set[asyncio.Task[Any]] = set()
        self._at_work = 0
        self._holds = 0
        self._sleepers: list[tuple[float, int, int, asyncio.Future[None], bool]] = []
        self._tie = 0
        self._jumping: asyncio.Task[None] | None = None

    def now(self) -> float:
        """Return virtual seconds since zero."""
        return self._now

    def unix(self) -> float:
        """Return the epoch plus virtual seconds."""
        return self._epoch + self._now

    async def sleep(self, seconds: float) -> None:
        """Sleep a span of lab time."""
        await self.sleep_until(self._now + seconds)

    async def sleep_until(self, instant: float, order: int = EARLY) -> None:
        """Sleep until the clock has jumped to `instant`."""
        counted = self.is_participant()
        if instant <= self._now and counted and self._at_work == 1 and not self._due_now():
            return  # there is nobody to yield to
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tie += 1
        heapq.heappush(self._sleepers, (max(instant, self._now), order, self._tie, waiter, counted))
        if counted:
            self._at_work -= 1
        self._jump_if_idle()
        try:
            if waiter.done():  # the only sleeper: the event loop's other work must have its turn all the same
                await asyncio.sleep(0)
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled() and counted:
                self._at_work += 1
            raise

    def spawn(self, nursery: Nursery, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Start a participant; it counts from now on, before it first runs."""
        task = nursery.create_task(work, name=name)
        self._participants.add(task)
        self._at_work += 1
        task.add_done_callback(self._leave)
        return task

    def is_participant(self) -> bool:
        """Whether the current task was spawned here."""
        return asyncio.current_task() in self._participants

    def parked(self, parked: int) -> None:
        """Count participants that wait for each other."""
        self._at_work -= parked
        self._jump_if_idle()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep time from moving while the block runs: rows that await commit, a start that is not complete."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            self._jump_if_idle()

    def _leave(self, task: asyncio.Task[Any]) -> None:
        self._participants.discard(task)
        self._at_work -= 1
        self._jump_if_idle()

    def _due_now(self) -> bool:
        """Whether anybody sleeps to the present instant."""
        return bool(self._sleepers) and self._sleepers[0][0] <= self._now

    def _jump_if_idle(self) -> None:
        if self._at_work > 0 or self._holds > 0 or self._jumping is not None:
            return
        while self._sleepers and self._sleepers[0][3].done():
            heapq.heappop(self._sleepers)
        if not self._sleepers:
            return
        if self._sleepers[0][0] <= self._now or (not self.followers and self.speed is None):
            self._wake_next()
        else:
            self._jumping = asyncio.get_running_loop().create_task(self._jump(), name="clock jump")

    async def _jump(self) -> None:
        instant = self._sleepers[0][0]
        try:
            if self.speed is not None:
                due = self._last_jump_host + (instant - self._now) / self.speed
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                self._last_jump_host = max(due, time.monotonic() - 0.05)
            for follow in self.followers:
                await follow(instant)
        except Exception as error:  # noqa: BLE001 - handed to everybody who waits for time to pass
            self._fail(error)
            return
        finally:
            self._jumping = None
        if self._at_work == 0 and self._holds == 0 and self._sleepers:
            self._wake_next(instant)

    def _fail(self, error: Exception) -> None:
        """Time cannot pass any more: everybody who waits for it gets to know why."""
        while self._sleepers:
            _, _, _, waiter, counted = heapq.heappop(self._sleepers)
            if not waiter.done():
                self._at_work += counted
                waiter.set_exception(error)

    def _wake_next(self, instant: float | None = None) -> None:
        """Wake every sleeper of the earliest instant and order; `instant` is where followers already are."""
        first = self._sleepers[0]
        target = max(self._now, first[0] if instant is None else min(first[0], instant))
        if first[0] > target:
            self._jump_if_idle()
            return
        self._now = target
        while self._sleepers and self._sleepers[0][0] <= target and self._sleepers[0][1] == first[1]:
            _, _, _, waiter, counted = heapq.heappop(self._sleepers)
            if not waiter.done():
                self._at_work += counted
                waiter.set_result(None)
        if self._at_work == 0:
            asyncio.get_running_loop().call_soon(self._jump_if_idle)
