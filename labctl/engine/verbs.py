"""Verbs: how each action of a plan is commanded; what follows it is the run's affair."""

from labctl.engine.operator import Operator
from labctl.engine.pressure import PressureControl
from labctl.engine.station import Station
from labctl.errors import RefusedForSafety
from labctl.plan import (
    ConstantCurrent,
    ConstantVoltage,
    Finish,
    Pressure,
    Prompt,
    Rest,
    Side,
    Step,
    Tare,
    Temperature,
)

UNLOADED = 0.02
"""Of a load cell's capacity: below this it counts as unloaded for a tare."""


class Verbs:
    """Commands the instruments of a station."""

    def __init__(self, station: Station, controls: dict[Side, PressureControl], operator: Operator) -> None:
        self._station = station
        self._controls = controls
        self._operator = operator

    async def command(self, step: Step) -> str | None:
        """Command a step's action; return what the operator answered, where one was asked.

        While pressure or temperature change the cell rests, with its voltage watched; while a person is asked to do
        something the circuit is open.
        """
        cycler = self._station.instruments.cycler
        match step.action:
            case Rest():
                await cycler.rest()
            case ConstantCurrent(current=current, voltage=voltage):
                await cycler.drive(current, voltage)
            case ConstantVoltage(voltage=voltage, max_current=most):
                await cycler.drive(most, voltage)
            case Pressure() as pressure:
                await cycler.rest()
                await self._press(pressure)
            case Temperature(celsius=celsius):
                await cycler.rest()
                await self._heat(celsius)
            case Tare() as tare:
                await cycler.off()
                await self._tare(tare)
            case Prompt() as prompt:
                await cycler.off()
                return await self._operator.ask(prompt, "open circuit")
            case Finish():
                pass
        return None

    async def voltage_before(self, step: Step) -> float | None:
        """Return the cell's voltage before a current is driven, resting it where the circuit is open; else None."""
        if not isinstance(step.action, ConstantCurrent):
            return None
        cycler = self._station.instruments.cycler
        voltage = (await cycler.read()).voltage
        if voltage is None:
            await cycler.rest()
            voltage = (await cycler.read()).voltage
        return voltage

    async def conclude(self, step: Step) -> None:
        """Do what a verb leaves to its end: a gap is locked where the pressure was reached."""
        if isinstance(step.action, Pressure) and step.action.control == "gap":
            for side, _ in step.action.targets:
                if side in self._controls:
                    await self._controls[side].lock()

    async def _press(self, action: Pressure) -> None:
        for side, pressure in action.targets:
            control = self._controls.get(side)
            if control is not None:
                await control.go(action, pressure)

    async def _heat(self, celsius: float) -> None:
        thermostat = self._station.instruments.thermostat
        if thermostat is None:
            raise RefusedForSafety(f"Station {self._station.name} has no thermostat.")
        await thermostat.set_temperature(celsius)

    async def _tare(self, action: Tare) -> None:
        cell = self._station.instruments.load_cells.get(action.side)
        force = self._station.board.force(action.side, self._station.clock.now())
        if cell is None or force is None:
            raise RefusedForSafety(f"The load cell of the {action.side} side gives no reading, so it is not tared.")
        if abs(force) > UNLOADED * cell.capacity:
            raise RefusedForSafety(
                f"The load cell of the {action.side} side reads {force:.4g} N: a loaded cell is not tared.",
                f"Unload it until it reads less than {UNLOADED * cell.capacity:.3g} N.",
            )
        answer = await self._operator.ask(Prompt(action.confirm, ("yes", "no"), simulated="yes"), "open circuit")
        if answer != "yes":
            raise RefusedForSafety("The operator did not confirm that the load cell is unloaded.")
        await cell.tare()
