"""A station: its instruments by role, polled for as long as it lives, and the way to its safe state.

Each instrument has its own poller, so that one that hangs delays no other. A poll that fails leaves its gauge to age;
when it is older than its age limit the guard calls it silence.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from labctl.clock import LATE, LabClock
from labctl.engine.board import (
    ANGLE_GAUGE,
    BATH,
    CELL_TEMPERATURE,
    FORCE_GAUGE,
    GAS_GAUGE,
    TORQUE_GAUGE,
    Board,
    Correction,
)
from labctl.engine.operator import Person
from labctl.errors import InstrumentError
from labctl.instrument import (
    Cycler,
    GasRegulator,
    HandTool,
    Identity,
    Instrument,
    LoadCell,
    PressureRig,
    Role,
    Thermostat,
    digest_of,
)
from labctl.plan import Side
from labctl.reading import Severity

POLLS_TO_SILENCE = 5
SHORTEST_AGE = 2.0
SHORTEST_AGE_OF_RIG = 0.5
"""s, of load cells and screws, which answer shortly whatever they do: a force that is not seen may be any."""
SAFE_ATTEMPTS = 5
SAFE_RETRY = 1.0
"""Seconds between two attempts to reach the safe state of an instrument that does not answer."""

OnTick = Callable[[float], None]
"""Lab time of a poll of the cycler, when every other poll due at that instant is done."""
OnPoll = Callable[[str | None, float], None]
"""Instrument (None: it gave no valid reading) and lab time of a poll: what the guard sees."""
TorqueOfForce = Callable[[float], float]
"""N -> N·m that a screw takes in the middle of its tightenings."""
ForceOfTorque = Callable[[float, bool], tuple[float, float, float]]
"""N·m of a moving screw, and whether it tightens -> N: lower bound, middle and upper bound of 95 %."""
Act = Callable[[], Awaitable[None]]
Tell = Callable[[str, str, Severity], None]
"""kind, message, severity: how a station tells what happens outside any step."""


@dataclass(slots=True)
class Instruments:
    """What stands at a station."""

    cycler: Cycler
    load_cells: dict[Side, LoadCell] = field(default_factory=dict)
    rigs: dict[Side, PressureRig] = field(default_factory=dict)
    thermostat: Thermostat | None = None
    tools: dict[Side, HandTool] = field(default_factory=dict)
    gases: dict[Side, GasRegulator] = field(default_factory=dict)

    def named(self) -> dict[str, Instrument]:
        """Every instrument by its name at the station: "cycler", "load_cell.negative", ..."""
        names: dict[str, Instrument] = {"cycler": self.cycler}
        names.update({f"load_cell.{side}": cell for side, cell in self.load_cells.items()})
        names.update({f"pressure_rig.{side}": rig for side, rig in self.rigs.items()})
        names.update({f"hand_tool.{side}": tool for side, tool in self.tools.items()})
        names.update({f"gas_regulator.{side}": gas for side, gas in self.gases.items()})
        if self.thermostat is not None:
            names["thermostat"] = self.thermostat
        return names


def age_limit(instrument: Instrument) -> float:
    """Seconds after which a value of this instrument is no value any more."""
    of_rig = instrument.ROLE in (Role.LOAD_CELL, Role.PRESSURE_RIG)
    return max(POLLS_TO_SILENCE * instrument.poll_period, SHORTEST_AGE_OF_RIG if of_rig else SHORTEST_AGE)


class Station:
    """Owns the instruments of one station.

    Attributes:
        board: what they measured last.
        polls: so far, whether they measured anything or not: a station that lives has ever more.
        failing: by name, instruments that do not answer now, with the reason as a sentence.
        corrections: of the load cells that are calibrated; the board has corrected forces alone.
        forces_of_torque, torques_of_force: of the screws that are calibrated.
        stiffness: N that the frame makes of a radian of a screw at most; None: nobody has said.
        springs: by side, N that a spring there makes of a radian of a screw, when the stack moves as far as that.
        people: at the other end of wires, who are asked by the operator of a run.
    """

    def __init__(self, name: str, instruments: Instruments, clock: LabClock) -> None:
        self.name = name
        self.instruments = instruments
        self.clock = clock
        self.board = Board()
        self.identities: dict[str, Identity] = {}
        self.forget_run()
        self.failing: dict[str, str] = {}
        self.corrections: dict[Side, Correction] = {}
        self.forces_of_torque: dict[Side, ForceOfTorque] = {}
        self.torques_of_force: dict[Side, TorqueOfForce] = {}
        self.stiffness: float | None = None
        self.springs: dict[Side, float] = {}
        self.people: tuple[Person, ...] = ()
        self.polls = 0
        self._pollers: list[asyncio.Task[None]] = []
        self._lay_out_board()

    def follow_run(self, on_tick: OnTick, on_poll: OnPoll, tell: Tell) -> None:
        """Report to a run from now on."""
        self._on_tick, self._on_poll, self._tell = on_tick, on_poll, tell

    def forget_run(self) -> None:
        """Report to nobody; polling goes on."""
        self.follow_run(lambda now: None, lambda instrument, now: None, lambda kind, message, severity: None)

    def _lay_out_board(self) -> None:
        parts, board = self.instruments, self.board
        board.cell_max_age = age_limit(parts.cycler)
        for side, cell in parts.load_cells.items():
            board.gauge(FORCE_GAUGE[side], age_limit(cell))
        for side, rig in parts.rigs.items():
            board.gauge(TORQUE_GAUGE[side], age_limit(rig))
            board.gauge(ANGLE_GAUGE[side], age_limit(rig))
        for side, gas in parts.gases.items():
            board.gauge(GAS_GAUGE[side], age_limit(gas))
        if parts.thermostat is not None:
            board.gauge(BATH, age_limit(parts.thermostat))
            board.gauge(CELL_TEMPERATURE, age_limit(parts.thermostat))

    async def connect(self) -> None:
        """Identify every instrument and read it once; nothing moves and nothing is energised.

        Raises:
            InstrumentError: the first instrument that cannot be used, by name.
        """
        for name, instrument in self.instruments.named().items():
            self.identities[name] = await instrument.connect()
        for _, _, read in self._reads():
            await read()

    @property
    def digests(self) -> tuple[tuple[str, str], ...]:
        """By instrument, a short digest of what it said it is when it was connected."""
        return tuple((name, digest_of(str(identity))) for name, identity in self.identities.items())

    def start(self, group: asyncio.TaskGroup) -> None:
        """Start polling."""
        begin = self.clock.now()
        for name, instrument, read in self._reads():
            work = self._poll_for_ever(name, instrument.poll_period, read, begin, ticks=name == "cycler")
            self._pollers.append(self.clock.spawn(group, work, f"{self.name}/{name} poller"))

    @property
    def polling(self) -> bool:
        """Whether its instruments are being polled."""
        return bool(self._pollers)

    def _reads(self) -> Iterator[tuple[str, Instrument, Callable[[], Awaitable[None]]]]:
        """Every instrument that is polled, with the reading that puts its values on the board."""
        parts = self.instruments
        yield "cycler", parts.cycler, self._read_cycler
        for side, cell in parts.load_cells.items():
            yield f"load_cell.{side}", cell, partial(self._read_force, cell, side)
        for side, rig in parts.rigs.items():
            yield f"pressure_rig.{side}", rig, partial(self._read_rig, rig, side)
        for side, gas in parts.gases.items():
            yield f"gas_regulator.{side}", gas, partial(self._read_gas, gas, side)
        if parts.thermostat is not None:
            yield "thermostat", parts.thermostat, partial(self._read_thermostat, parts.thermostat)

    def stop(self) -> None:
        """Stop polling."""
        for poller in self._pollers:
            poller.cancel()
        self._pollers.clear()

    async def _poll_for_ever(
        self, name: str, period: float, read: Callable[[], Awaitable[None]], begin: float, *, ticks: bool
    ) -> None:
        clock, polls = self.clock, 0
        while True:
            measured = await self._try(name, read)
            self.polls += 1
            self._on_poll(name if measured else None, clock.now())
            if ticks and measured:
                await clock.sleep_until(clock.now(), LATE)
                self._on_tick(clock.now())
            polls = max(polls + 1, int((clock.now() - begin) / period))  # periods that have passed are not made up for
            await self._wait_for_poll(name, begin + polls * period)

    async def _wait_for_poll(self, name: str, due: float) -> None:
        """Sleep until an instrument's next poll is due; a rehearsal looks less often."""
        await self.clock.sleep_until(due)

    async def _try(self, name: str, read: Callable[[], Awaitable[None]]) -> bool:
        """Read an instrument; tell when it begins to fail and when it answers again."""
        try:
            await read()
        except InstrumentError as error:
            if name not in self.failing:
                self.failing[name] = str(error)
                self._tell("instrument.failed", str(error), Severity.WARNING)
            return False
        if name in self.failing:
            del self.failing[name]
            self._tell("instrument.recovered", f"{self.name}/{name} answers again.", Severity.INFO)
        return True

    async def _read_cycler(self) -> None:
        self.board.see_cell(await self.instruments.cycler.read(), self.clock.now())

    async def _read_force(self, cell: LoadCell, side: Side) -> None:
        reading, correction = await cell.read(), self.corrections.get(side)
        force = reading if correction is None else correction.force(reading)
        self.board.gauges[FORCE_GAUGE[side]].update(force, self.clock.now())

    def tared(self, side: Side) -> None:
        """Know that a load cell was zeroed: the offset of its calibration is gone, its gain stays."""
        if side in self.corrections:
            self.corrections[side] = replace(self.corrections[side], offset=0.0)

    async def _read_rig(self, rig: PressureRig, side: Side) -> None:
        reading = await rig.read()
        now = self.clock.now()
        self.board.gauges[TORQUE_GAUGE[side]].update(reading.torque, now)
        self.board.gauges[ANGLE_GAUGE[side]].update(reading.angle, now)
        self.board.moving[side] = reading.moving

    async def _read_gas(self, gas: GasRegulator, side: Side) -> None:
        reading = await gas.read()
        self.board.gauges[GAS_GAUGE[side]].update(reading.pressure, self.clock.now())
        self.board.closed[side] = reading.closed

    async def _read_thermostat(self, thermostat: Thermostat) -> None:
        reading = await thermostat.read()
        now = self.clock.now()
        self.board.gauges[BATH].update(reading.bath, now)
        if reading.external is not None:
            self.board.gauges[CELL_TEMPERATURE].update(reading.external, now)

    async def make_safe(self, *, heaters_off: bool, open_circuit: Act | None = None) -> tuple[str, ...]:
        """Open the circuit first, then freeze the pressure, then stop heating where asked.

        Every one is tried before any is tried again.

        Args:
            open_circuit: how, where a program is only to pause; None: it is stopped.

        Returns:
            A sentence for every instrument that did not confirm its safe state.
        """
        parts = self.instruments
        order: list[tuple[str, Act]] = [("cycler", open_circuit or parts.cycler.safe_state), *self._freezing()]
        if parts.thermostat is not None and heaters_off:
            order.append(("thermostat", parts.thermostat.safe_state))
        return await self._confirmed(order)

    async def freeze(self) -> tuple[str, ...]:
        """Freeze the pressure alone; else as `make_safe`."""
        return await self._confirmed(self._freezing())

    def _freezing(self) -> list[tuple[str, Act]]:
        parts = self.instruments
        rigs: list[tuple[str, Act]] = [(f"pressure_rig.{side}", rig.safe_state) for side, rig in parts.rigs.items()]
        return [*rigs, *((f"gas_regulator.{side}", gas.safe_state) for side, gas in parts.gases.items())]

    async def _confirmed(self, order: list[tuple[str, Act]]) -> tuple[str, ...]:
        unconfirmed: dict[str, str] = {}
        for attempt in range(SAFE_ATTEMPTS):
            if attempt:
                await self.clock.sleep(SAFE_RETRY)
            unconfirmed.clear()
            for name, act in order:
                try:
                    await act()
                except InstrumentError as error:
                    unconfirmed[name] = f"{self.name}/{name} did not confirm its safe state: {error}"
            order = [(name, act) for name, act in order if name in unconfirmed]
            if not order:
                break
        return tuple(unconfirmed.values())


async def to_the_end(task: asyncio.Task[object]) -> None:
    """Wait for a task that must finish; a cancellation, also a second one, is only passed on afterwards."""
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        with contextlib.suppress(BaseException):
            task.result()
        raise asyncio.CancelledError
    task.result()
