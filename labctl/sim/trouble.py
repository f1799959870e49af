"""The faults of a script at work: what they make of one instrument's measurements and line, and of cell, rig and room.

Everything here is a function of lab time alone. Where a fault begins or ends is an event at which the bench stops, so
that it does not matter in which pieces time passes.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from labctl.errors import LabctlError
from labctl.sim.cell import Cell
from labctl.sim.rig import Rig, ScrewRig
from labctl.sim.room import Room
from labctl.sim.schedule import DARK, HAPPENS_TO, Kind, Scheduled

Action = Callable[[], None]
Quantity = Callable[[], float]
"""Tells a value at the present lab time, in SI."""


class UnfitScript(LabctlError):
    """A script of faults that names what the simulated laboratory does not have."""

    exit_code = 3


def refuse_unfit(faults: Iterable[Scheduled], instruments: Sequence[str], where: str) -> None:
    """Refuse a fault of an instrument that is not there; raises UnfitScript."""
    for fault in faults:
        if fault.kind not in HAPPENS_TO and fault.instrument not in instruments:
            raise UnfitScript(
                f'{fault.kind}: there is no instrument "{fault.instrument}" at {where}.',
                f"There are: {', '.join(instruments)}.",
            )


class _Timetable:
    """Things that happen at instants of lab time, in their order; a part of the bench."""

    def __init__(self) -> None:
        self._due: list[tuple[float, Action]] = []
        self._next = 0

    def at(self, instant: float, action: Action) -> None:
        """Let something happen at an instant that has not come yet."""
        if math.isfinite(instant):
            self._due.append((instant, action))
            self._due.sort(key=lambda due: due[0])

    def next_event(self) -> float:
        """Return the instant of what happens next."""
        return self._due[self._next][0] if self._next < len(self._due) else math.inf

    def advance_to(self, time: float) -> None:
        """Let happen what is due."""
        while self.next_event() <= time:
            self._next += 1
            self._due[self._next - 1][1]()


class Trouble(_Timetable):
    """The faults of one instrument, as its simulator and its line ask for them; healthy where the script has none.

    Args:
        faults: of this instrument alone.
        now: tells the bench's lab time.

    Attributes:
        on_restart: are called when the instrument loses power; True: another of its kind stands there from now on.
        on_dark: are called when it falls off its line (True) and when it is there again.
    """

    def __init__(self, faults: Sequence[Scheduled], now: Quantity) -> None:
        super().__init__()
        self.faults = tuple(faults)
        self.on_restart: list[Callable[[bool], None]] = []
        self.on_dark: list[Callable[[bool], None]] = []
        self._now = now
        self._dark = tuple(span for fault in faults for span in _dark(fault))
        self._samplers: list[Callable[[Scheduled], None]] = []
        for fault in faults:
            self._schedule(fault)
        for begin, end in self._dark:
            self.at(begin, self._tell_dark)
            self.at(end, self._tell_dark)

    def _schedule(self, fault: Scheduled) -> None:
        match fault.kind:
            case Kind.STUCK:
                self.at(fault.begin, partial(self._sample, fault))
            case Kind.REBOOT:
                self.at(fault.begin, self._reboot)
            case Kind.OTHER_IDENTITY:
                self.at(fault.begin, partial(self._restart, other=True))
                self.at(fault.end, partial(self._restart, other=False))

    # -- what a simulator asks -------------------------------------------------------------------------------------

    def measured_at(self) -> float:
        """Return the lab time to which measurements belong: it stands still for a sensor that is stuck."""
        stuck = self.fault(Kind.STUCK)
        return self._now() if stuck is None else stuck.begin

    def fault(self, kind: Kind) -> Scheduled | None:
        """Return the fault of a kind that is there now."""
        now = self._now()
        return next((fault for fault in self.faults if fault.kind is kind and fault.holds(now)), None)

    @property
    def wrong_unit(self) -> bool:
        """Whether somebody has set another unit at the instrument."""
        return self.fault(Kind.WRONG_UNIT) is not None

    def quantity(self, true: Quantity, *, drifts: bool = True) -> Quantity:
        """Return what the instrument feels of a true value: inf beyond its range, NaN where its converter fails.

        `drifts` is whether the script's drift, which is in the unit of the instrument's main quantity, is of this one.
        """
        if not self.faults:
            return true
        kept: dict[Scheduled, float] = {}

        def undisturbed() -> float:
            drift = self.fault(Kind.DRIFT) if drifts else None
            return true() if drift is None else true() + drift.value * (self._now() - drift.begin)

        def felt() -> float:
            if self.fault(Kind.OUT_OF_RANGE) is not None:
                return math.inf
            if self.fault(Kind.NOT_A_NUMBER) is not None:
                return math.nan
            stuck = self.fault(Kind.STUCK)
            return undisturbed() if stuck is None else kept[stuck]

        def sample(stuck: Scheduled) -> None:
            kept[stuck] = undisturbed()

        self._samplers.append(sample)
        if (stuck := self.fault(Kind.STUCK)) is not None:
            sample(stuck)
        return felt

    # -- what its line asks ----------------------------------------------------------------------------------------

    @property
    def time(self) -> float:
        """Lab time."""
        return self._now()

    @property
    def dark(self) -> bool:
        """Whether nothing gets through in either direction: no cable, no power, or being exchanged."""
        return bool(self._dark) and self.dark_since(self._now())

    def dark_since(self, instant: float) -> bool:
        """Whether a connection that was there at an instant has broken since."""
        now = self._now()
        return any(begin <= now and instant < end for begin, end in self._dark)

    def _tell_dark(self) -> None:
        for tell in self.on_dark:
            tell(self.dark)

    def _reboot(self) -> None:
        """Lose power; a stranger that stands there stays one."""
        self._restart(other=self.fault(Kind.OTHER_IDENTITY) is not None)

    def _restart(self, *, other: bool) -> None:
        for tell in self.on_restart:
            tell(other)

    def _sample(self, stuck: Scheduled) -> None:
        for sample in self._samplers:
            sample(stuck)


def _dark(fault: Scheduled) -> Iterable[tuple[float, float]]:
    """Return when a fault lets nothing through."""
    match fault.kind:
        case Kind.DISCONNECT | Kind.REBOOT:
            yield fault.begin, fault.end
        case Kind.OTHER_IDENTITY:
            yield fault.begin, fault.begin + DARK
            if math.isfinite(fault.end):
                yield fault.end, fault.end + DARK


class Mishaps(_Timetable):
    """What a script lets happen to cell, rig and room.

    Raises:
        UnfitScript: the rig is a press, which has neither screw nor wall nor spring.
    """

    def __init__(self, faults: Iterable[Scheduled], cell: Cell, rig: Rig, room: Room) -> None:
        super().__init__()
        for fault in faults:
            match fault.kind:
                case Kind.SHORT:
                    self._while(fault, partial(cell.short, fault.value), partial(cell.short, math.inf))
                case Kind.OPEN_CIRCUIT:
                    self._while(fault, cell.open_circuit, partial(cell.open_circuit, False))
                case Kind.CONTACT_LOSS:
                    self.at(fault.begin, partial(cell.lose_contact, fault.value))
                case Kind.HEATER_FAILURE:
                    self._while(fault, partial(room.fail_heater, stuck_on=bool(fault.value)), room.mend_heater)
                case _:
                    self.at(fault.begin, _to_rig(fault, rig))

    def _while(self, fault: Scheduled, begin: Action, end: Action) -> None:
        self.at(fault.begin, begin)
        self.at(fault.end, end)


def _to_rig(fault: Scheduled, rig: Rig) -> Action:
    if not isinstance(rig, ScrewRig):
        raise UnfitScript(f"{fault.kind}: this rig is a press, which has neither screw nor wall nor spring.")
    match fault.kind:
        case Kind.FRICTION_RELEASE:
            return rig.release_friction
        case Kind.SPRING_BOTTOMED:
            return rig.bottom_spring
    return partial(rig.slip, fault.value * rig.lead / math.tau)
