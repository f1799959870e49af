"""Verbs: how each action of a plan is commanded; what follows it is the run's affair."""

from dataclasses import replace

from labctl.engine.hands import Hands
from labctl.engine.operator import Operator
from labctl.engine.position import Surroundings
from labctl.engine.sides import SideControl
from labctl.engine.station import Station
from labctl.engine.steering import SetPoint, is_steered
from labctl.errors import RefusedForSafety, StepFailed
from labctl.instrument import CellReading, LoadCell
from labctl.plan import (
    ConstantCurrent,
    ConstantVoltage,
    Finish,
    Handover,
    Impedance,
    Jump,
    Limits,
    Park,
    Pressure,
    Prompt,
    Rest,
    Side,
    Step,
    Tare,
    Temperature,
    Torque,
    bands_of,
)
from labctl.quantity import QuantityError, parse

UNLOADED = 0.02
"""Of a load cell's capacity: below this it counts as unloaded for a tare."""


class Verbs:
    """Commands the instruments of a station.

    Attributes:
        hands: who are asked for what no motor moves.
    """

    def __init__(self, station: Station, controls: dict[Side, SideControl], operator: Operator) -> None:
        self.hands = Hands(station, operator)
        self._station = station
        self._controls = controls
        self._operator = operator
        self._celsius: float | None = None
        self._was_kept = Surroundings()
        self.pressures: dict[Side, float] = {}
        """Pa, that the plan has asked of each side last."""
        self._base: dict[Side, float] = {}
        """Pa, that it had asked, or that were measured, when the present step began."""

    async def command(self, step: Step, point: SetPoint | None = None) -> None:
        """Command a step's action; what its operator is to be asked comes after that.

        While pressure or temperature change the cell rests, with its voltage watched; while a person is asked to do
        something the circuit is open.

        Args:
            point: where the host steers the action.
        """
        cycler = self._station.instruments.cycler
        if point is not None:
            await self.steer(point)
            return
        match step.action:
            case Rest():
                await cycler.rest()
            case ConstantCurrent(current=current, voltage=voltage):
                await cycler.drive(current, voltage)
            case ConstantVoltage(voltage=voltage, max_current=most):
                await cycler.drive(most, voltage)
            case Pressure() as pressure:
                await (cycler.off() if pressure.by_hand else cycler.rest())
                await self._press(pressure, bands_of(step))
            case Torque(by_hand=True):
                await cycler.off()
            case Torque() as turn:
                await cycler.rest()
                await self._controls[turn.side].turn(turn)
            case Temperature(celsius=celsius):
                await cycler.rest()
                await self._heat(celsius)
            case Tare() as tare:
                await cycler.off()
                self._unloaded(tare)
            case Park(voltage=float() as voltage, max_current=most):
                await cycler.drive(most, voltage)
            case Prompt() | Park() | Handover():
                await cycler.off()
            case Impedance() | Finish() | Jump():
                pass

    async def steer(self, point: SetPoint) -> None:
        """Command a set point."""
        cycler = self._station.instruments.cycler
        if point.current == 0.0:
            await cycler.rest()
        else:
            await cycler.drive(point.current, point.voltage)

    def question(self, step: Step) -> Prompt | None:
        """Return what the operator must answer before a step is done, or None."""
        match step.action:
            case Prompt() as prompt:
                return prompt
            case Tare(confirm=confirm):
                return Prompt(confirm, ("yes", "no"), simulated="yes")
            case Park(text=text):
                return Prompt(text, ("taken",), simulated="taken")
            case Handover(text=text):
                return Prompt(text, ("done",), simulated="done")
        return None

    async def ask(self, question: Prompt, step: Step) -> str:
        """Ask the operator, who is told what the cell is doing meanwhile, until the answer is what it must be."""
        held = step.action.voltage if isinstance(step.action, Park) else None
        asked, state = question, "open circuit" if held is None else f"held at {held:g} V"
        while True:
            answer = await self._operator.ask(asked, state)
            if question.quantity is None:
                return answer
            try:
                parse(answer, question.quantity)
            except QuantityError as error:
                sentence = f"{error.sentence[:1].upper()}{error.sentence[1:]}: {error.remedy}. {question.text}"
                asked = replace(question, text=sentence)
            else:
                return answer

    async def answered(self, step: Step, answer: str) -> None:
        """Do what the answer allows.

        Raises:
            RefusedForSafety: a load cell that is not, or is not said to be, unloaded.
        """
        if isinstance(step.action, Tare):
            if answer != "yes":
                raise RefusedForSafety("The operator did not confirm that the load cell is unloaded.")
            await self._unloaded(step.action).tare()
            self._station.tared(step.action.side)

    def hold(self) -> None:
        """Turn no screw from now on; what turns already ends its turn."""
        for control in self._controls.values():
            control.held = True

    def frozen(self) -> None:
        """Know that the rigs were frozen."""
        for control in self._controls.values():
            control.frozen()

    def go_on(self) -> None:
        """Let pressure control go on with its aims."""
        for control in self._controls.values():
            control.held = False

    def begin(self, step: Step, *, again: bool) -> Step:
        """Return a step whose changes of pressure are the targets that they lead to.

        Args:
            again: whether another process had begun it: what is remembered is what it began with.

        Raises:
            StepFailed: the pressure that is to be changed is not known.
        """
        if not again:
            self._base = dict(self.pressures)
        action = step.action
        if not isinstance(action, Pressure) or not action.changes:
            return step
        for change in action.changes:
            if change.side not in self._base:
                self._base[change.side] = self._measured(change.side)
        targets = tuple((change.side, change.target(self._base[change.side])) for change in action.changes)
        return replace(step, action=replace(action, targets=(*action.targets, *targets), changes=()))

    def _measured(self, side: Side) -> float:
        pressure = self._station.board.pressure(side, self._station.clock.now())
        if pressure is None:
            raise StepFailed(
                f"The pressure of the {side} side is not known, so nothing can be added to it.",
                "Look at its load cell; or ask for an absolute pressure first.",
            )
        return pressure

    @property
    def surroundings(self) -> Surroundings:
        """What is kept around the cell now, or is to be when the run goes on."""
        kept, aims = self._was_kept, tuple(aim for control in self._controls.values() if (aim := control.aim))
        celsius, base = self._celsius if kept.celsius is None else kept.celsius, tuple(self._base.items())
        bands = tuple((side, band) for side, control in self._controls.items() if (band := control.band) is not None)
        return Surroundings(celsius, aims or kept.pressures, base, bands if aims else kept.bands)

    async def restore(self, surroundings: Surroundings) -> None:
        """Keep around the cell what another process kept."""
        if surroundings.celsius is not None:
            await self._heat(surroundings.celsius)
        for side, pressure, ramp in surroundings.pressures:
            if side in self._controls:
                self.pressures[side] = pressure
                self._controls[side].head_for(pressure, ramp, dict(surroundings.bands).get(side))

    def remember(self, surroundings: Surroundings) -> None:
        """Know what another process kept around the cell, and restore it only when the run goes on."""
        self._was_kept, self._base = surroundings, dict(surroundings.base)

    async def restore_what_was_kept(self) -> None:
        """Restore what is remembered, once."""
        kept, self._was_kept = self._was_kept, Surroundings()
        await self.restore(kept)

    def limit(self, limits: Limits) -> None:
        """Take other limits of torque and pressure."""
        for side, control in self._controls.items():
            pressure = limits.pressure_negative if side == "negative" else limits.pressure_positive
            control.limit(limits.torque, pressure.high)

    async def cell_before(self, step: Step, *, at_rest: bool) -> CellReading | None:
        """Look at the cell before a current is driven, resting it where the circuit is open; None for other steps.

        Args:
            at_rest: whether it is to rest in any case, for the step is told by its voltage at rest.
        """
        if not isinstance(step.action, ConstantCurrent | Impedance) and not is_steered(step.action):
            return None
        cycler = self._station.instruments.cycler
        reading = await cycler.read()
        if reading.voltage is None or (at_rest and reading.output):
            await cycler.rest()
            reading = await cycler.read()
        return reading

    async def conclude(self, step: Step) -> None:
        """Do what a verb leaves to its end: a gap is locked, or a drive lets go, where its pressure was reached."""
        if isinstance(step.action, Torque) and not step.action.by_hand:
            await self._controls[step.action.side].lock()
        if isinstance(step.action, Pressure) and step.action.control != "force":
            for side, _ in step.action.targets:
                if side not in self._controls:
                    continue
                if step.action.control == "gap":
                    await self._controls[side].lock()
                else:
                    await self._controls[side].release()

    async def _press(self, action: Pressure, bands: dict[Side, float]) -> None:
        for side, pressure in action.targets:
            self.pressures[side] = pressure
            control = self._controls.get(side)
            if control is not None:
                await control.go(action, pressure, bands.get(side))

    async def _heat(self, celsius: float) -> None:
        thermostat = self._station.instruments.thermostat
        if thermostat is None:
            raise RefusedForSafety(f"Station {self._station.name} has no thermostat.")
        await thermostat.set_temperature(celsius)
        self._celsius = celsius

    def _unloaded(self, action: Tare) -> LoadCell:
        """Return the load cell of a side; raises RefusedForSafety where it does not measure that it is unloaded."""
        cell = self._station.instruments.load_cells.get(action.side)
        force = self._station.board.force(action.side, self._station.clock.now())
        if cell is None or force is None:
            raise RefusedForSafety(f"The load cell of the {action.side} side gives no reading, so it is not tared.")
        if abs(force) > UNLOADED * cell.capacity:
            raise RefusedForSafety(
                f"The load cell of the {action.side} side reads {force:.4g} N: a loaded cell is not tared.",
                f"Unload it until it reads less than {UNLOADED * cell.capacity:.3g} N.",
            )
        return cell
