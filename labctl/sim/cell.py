"""The simulated cell: an equivalent circuit whose conditions change, advanced exactly from event to event.

Between events the closed forms of `segment` hold. Events are a limit that is met, a bend of the open-circuit voltage
or of the overpotential, a reversal of the current (there the cell ages), and a change from outside: another source,
pressure, temperature or fault. Positive current charges.
"""

import math
from collections.abc import Callable, Iterator
from typing import Literal

from labctl.sim.counts import Counts
from labctl.sim.impedance import impedance
from labctl.sim.material import Material
from labctl.sim.parameters import CellParameters
from labctl.sim.roots import root
from labctl.sim.segment import Blocked, Bounds, Driven, Steady, Stretch
from labctl.sim.source import CurrentSource, Open, Source, VoltageSource

__all__ = ["Cell", "CellParameters", "CurrentSource", "Open", "Source", "VoltageSource"]

Quantity = Literal["voltage", "current", "power", "capacity", "energy"]
"""At the terminals: V, A, W; net C and J since assembly. Positive charges."""
_RATES: dict[Quantity, Quantity] = {"capacity": "current", "energy": "power"}


class Cell:
    """One cell at one lab time, driven by the source at its terminals. It starts fresh, discharged and open.

    Attributes:
        time: lab time in s that the state belongs to.
        stretches: how many closed forms have held so far; what was foreseen under one does not hold under the next.
    """

    def __init__(self, parameters: CellParameters) -> None:
        self.parameters = parameters
        self.time = 0.0
        self.stretches = 0
        self._counts = Counts()
        self._source: Source = Open()
        self._state = parameters.initial_state
        self._slow = 0.0
        self._plated = 0.0
        self._short = self._leak = parameters.leakage_resistance / parameters.area
        self._broken = False
        self._direction = 1
        self._conditions: tuple[float, float, float] | None = None
        self._charged_state = self._state
        self._regime: Literal["current", "voltage"] = "current"
        self._level = 0.0
        self._material = Material(parameters)
        self._circuit = self._material.circuit()
        self._began = 0.0
        self._stretch: Stretch = Steady(self._circuit, self._state, 0.0, 0.0, Bounds())
        self._replan()

    # -- what an instrument sees -----------------------------------------------------------------------------------

    def drive(self, source: Source) -> None:
        """Connect a source to the terminals now, in place of the one before."""
        self._source = source
        self._replan()

    @property
    def source(self) -> Source:
        """What is connected now."""
        return self._source

    @property
    def voltage(self) -> float:
        """True voltage at the instrument's terminals, V."""
        if self._broken:
            match self._source:
                case VoltageSource(voltage=voltage):
                    return voltage
                case CurrentSource(current=current, voltage_limit=limit):
                    return math.copysign(limit, current) if current else 0.0
                case Open():
                    return 0.0
        return self._voltage_at(self.time - self._began)

    @property
    def current(self) -> float:
        """True current through the instrument's terminals, A; positive charges."""
        return 0.0 if self._broken else self._current_at(self.time - self._began)

    @property
    def counts(self) -> Counts:
        """What has passed the terminals since assembly."""
        elapsed = self.time - self._began
        return self._counted(elapsed, self._stretch.at(elapsed)[0])

    def impedance(self, frequency: float) -> complex:
        """Return the impedance at the terminals (ohm) at a frequency (Hz) in the present state; inf: a broken wire."""
        if self._broken:
            return complex(math.inf)
        state, _, current = self._now()
        return impedance(self._circuit, state, current, self._short, frequency)

    def when(self, quantity: Quantity, excess: Callable[[float], float]) -> float:
        """Return the lab time at which `excess` of a quantity reaches 0 from below; now where it is not below.

        inf where that does not happen under the present closed form, that is before `next_event`.
        """
        value = self._function(quantity)
        before = self.time - self._began
        if excess(value(before)) >= 0.0:
            return self.time
        for end in self._monotone(quantity):
            if end <= before:
                continue
            if excess(value(end)) >= 0.0:
                return self._began + root(lambda elapsed: excess(value(elapsed)), before, end)
            before = end
        return math.inf

    @property
    def limiting(self) -> Literal["current", "voltage"] | None:
        """Which of the source's two bounds holds now; None while nothing is connected."""
        match self._source:
            case Open():
                return None
            case CurrentSource(current=current) if self._broken:
                return "voltage" if current else "current"
            case _:
                return "voltage" if self._broken else self._regime

    # -- what rig and room see -------------------------------------------------------------------------------------

    @property
    def charge(self) -> float:
        """Net charge that has passed the electrodes, C; without a short it is the integral of the current."""
        return self._plated + self._passed(self._now()[0])

    @property
    def cycles(self) -> float:
        """Full cycles' worth of discharge so far; a discharge counts when a charge follows it."""
        return self._material.cycles

    @property
    def state(self) -> float:
        """Part of the positive material's lithium that has been taken out."""
        return self._now()[0]

    def growth(self) -> tuple[float, float]:
        """Return by how much the negative and the positive electrode are thicker than at assembly, m."""
        p = self.parameters
        state = self._now()[0]
        charge = self._plated + self._passed(state)
        return p.negative_growth * charge / p.area, p.positive_growth * p.loading * (state - p.initial_state)

    def set_conditions(self, *, negative_pressure: float, positive_pressure: float, temperature: float) -> None:
        """Put the cell under pressures (Pa) and at a temperature (°C) from now on."""
        conditions = (negative_pressure, positive_pressure, temperature)
        if conditions == self._conditions:
            return  # the closed form that holds goes on holding
        self._conditions = conditions
        self._finish(self.time)
        self._material.put_under(negative_pressure, positive_pressure, temperature)
        self._replan()

    # -- faults ----------------------------------------------------------------------------------------------------

    def short(self, resistance: float) -> None:
        """Connect the electrodes inside by a resistance (ohm): a dendrite; inf heals it."""
        if not resistance > 0.0:
            raise ValueError(f"a short has a resistance above 0 ohm, not {resistance!r}")
        self._finish(self.time)
        self._short = min(resistance, self._leak)
        self._replan()

    def open_circuit(self, broken: bool = True) -> None:
        """Break the wire between terminals and cell, or mend it."""
        self._finish(self.time)
        self._broken = broken
        self._replan()

    def lose_contact(self, part: float) -> None:
        """Cut a part (0…1) of the positive material that is in contact now off."""
        self._finish(self.time)
        self._material.lose_contact(part)
        self._replan()

    def add_resistance(self, resistance: float) -> None:
        """Put a resistance (ohm) in series with the cell at once."""
        self._finish(self.time)
        self._material.add_resistance(resistance)
        self._replan()

    # -- time ------------------------------------------------------------------------------------------------------

    def next_event(self) -> float:
        """Return the lab time up to which the present closed form holds."""
        return self._began + self._stretch.duration

    def next_switch(self) -> float:
        """Return the lab time at which its source goes over to the other of its bounds; inf: not known yet."""
        return self.next_event() if self._stretch.bound else math.inf

    def advance_to(self, time: float) -> None:
        """Bring the cell to a lab time (s), over any number of events; where one stops on the way changes nothing."""
        while time >= (event := self._began + self._stretch.duration):
            self._finish(event)
            self._switch(self._stretch.bound)
            self._begin()
        self.time = time

    def _now(self) -> tuple[float, float, float]:
        return self._stretch.at(self.time - self._began)

    def _function(self, quantity: Quantity) -> Callable[[float], float]:
        """Return a quantity at the terminals as a function of the time since the present stretch began."""
        if self._broken:
            voltage = self.voltage
            return lambda _: voltage if quantity == "voltage" else 0.0
        match quantity:
            case "voltage":
                return self._voltage_at
            case "current":
                return self._current_at
            case "power":
                return lambda elapsed: self._voltage_at(elapsed) * self._current_at(elapsed)
            case "capacity":
                return lambda elapsed: self._counted(elapsed, self._stretch.at(elapsed)[0]).charge
            case "energy":
                return lambda elapsed: self._counted(elapsed, self._stretch.at(elapsed)[0]).energy

    def _monotone(self, quantity: Quantity) -> Iterator[float]:
        """Yield the ends of the parts of the present stretch, in each of which a quantity has one sense.

        What has passed turns where its current, or its power, goes through 0.
        """
        rate = _RATES.get(quantity)
        before, passes = 0.0, None if rate is None else self._function(rate)
        for end in self._stretch.monotone():
            if passes is not None and passes(before) * passes(end) < 0.0:
                yield root(passes, before, end)
            yield end
            before = end

    def _voltage_at(self, elapsed: float) -> float:
        if self._regime == "voltage":
            return self._level
        state, slow, current = self._stretch.at(elapsed)
        if math.isfinite(self._short):
            return (self._level - current) * self._short
        return self._circuit.voltage(state, slow, current)

    def _current_at(self, elapsed: float) -> float:
        if self._regime == "current":
            return self._level
        return self._stretch.at(elapsed)[2] + self._level / self._short

    def _counted(self, elapsed: float, state: float) -> Counts:
        """Return the counts at a time of the present stretch, and the state then."""
        if self._broken or not elapsed:
            return self._counts
        if self._regime == "voltage":
            charge = self._passed(state) + self._level / self._short * elapsed
            return self._counts.plus(charge, self._level * charge)
        charge = self._level * elapsed
        if math.isfinite(self._short):
            return self._counts.plus(charge, self._level * self._short * (charge - self._passed(state)))
        assert isinstance(self._stretch, Steady)
        return self._counts.plus(charge, self._level * self._stretch.area(elapsed)) if charge else self._counts

    def _passed(self, state: float) -> float:
        """Return the charge since the present stretch began, C; within one the current keeps its sign."""
        return (state - self._state) / self._circuit.gain(-1 if state < self._state else 1)

    def _finish(self, time: float) -> None:
        """Make an instant of the present stretch the state that the next one starts from."""
        state, slow, _ = self._stretch.at(time - self._began)
        self._counts = self._counted(time - self._began, state)
        charge = self._passed(state)
        self._plated += charge
        if charge > 0.0:
            self._material.take_charge(charge, self._circuit.side_share)
        self._state, self._slow = state, slow
        self.time = self._began = time

    def _replan(self) -> None:
        """Start anew from here because something outside has changed."""
        if self.time > self._began:
            self._finish(self.time)
        self._circuit = self._material.circuit()
        self._choose_regime()
        self._begin()

    def _begin(self) -> None:
        """Find the closed form that holds from here on."""
        self.stretches += 1
        if self._material.pierced and self._short > self.parameters.short_resistance:
            self._short = self.parameters.short_resistance
            self._choose_regime()
        direction = self._coming_direction()
        if direction and direction != self._direction:
            self._reverse(direction)
        self._material.share_with_side_reaction(self._circuit, self._state)
        circuit, bounds = self._circuit, self._bounds()
        if self._regime == "current" and math.isinf(self._short):
            self._stretch = Steady(circuit, self._state, self._slow, self._level, bounds)
            return
        source, resistance = self._behind()
        if direction:
            self._stretch = Driven(circuit, self._state, self._slow, source, resistance, bounds)
        else:
            self._stretch = Blocked(circuit, self._state, self._slow, source)

    def _behind(self) -> tuple[float, float]:
        """Return the voltage source and the resistance before it that the electrodes see (Thévenin)."""
        return (self._level, 0.0) if self._regime == "voltage" else (self._level * self._short, self._short)

    def _coming_direction(self) -> int:
        """Return the sign of the current that is about to flow through the electrodes."""
        if self._regime == "current" and math.isinf(self._short):
            drive = self._level
        else:
            drive = self._circuit.drive(self._state, self._slow, self._behind()[0])
        return (drive > 0.0) - (drive < 0.0)

    def _choose_regime(self) -> None:
        """Find which of the source's two bounds holds now."""
        match Open() if self._broken else self._source:
            case Open():
                self._regime, self._level = "current", 0.0
            case VoltageSource(voltage=voltage, current_limit=limit):
                needed = self._circuit.current_under(self._state, self._slow, voltage, 0.0) + voltage / self._short
                if abs(needed) > limit:
                    self._regime, self._level = "current", math.copysign(limit, needed)
                else:
                    self._regime, self._level = "voltage", voltage
            case CurrentSource(current=current, voltage_limit=limit):
                reached = self._voltage_under(current)
                if abs(reached) > limit:
                    self._regime, self._level = "voltage", math.copysign(limit, reached)
                else:
                    self._regime, self._level = "current", current

    def _voltage_under(self, current: float) -> float:
        if math.isinf(self._short):
            return self._circuit.voltage(self._state, self._slow, current)
        inner = self._circuit.current_under(self._state, self._slow, current * self._short, self._short)
        return (current - inner) * self._short

    def _bounds(self) -> Bounds:
        """Return within which voltage (plain constant current) or else current of the cell the regime is valid."""
        level, short = self._level, self._short
        match self._source, self._regime:
            case VoltageSource(current_limit=limit), "voltage":
                return Bounds(-limit - level / short, limit - level / short)
            case CurrentSource(current=current), "voltage":
                bound = current - level / short
                return Bounds(high=bound) if level > 0.0 else Bounds(low=bound)
            case VoltageSource(voltage=voltage), _:
                low, high = (-math.inf, voltage) if level > 0.0 else (voltage, math.inf)
            case CurrentSource(voltage_limit=limit), _:
                low, high = -limit, limit
            case _:
                return Bounds()
        if self._broken or (level == 0.0 and low != -high):
            return Bounds()
        if math.isinf(short):
            return Bounds(low, high)
        return Bounds(level - high / short, level - low / short)

    def _switch(self, bound: int) -> None:
        """Change the regime because the stretch has met a bound of it."""
        if not bound:
            return
        match self._source, self._regime:
            case VoltageSource(current_limit=limit), "voltage":
                self._regime, self._level = "current", math.copysign(limit, bound)
            case VoltageSource(voltage=voltage), _:
                self._regime, self._level = "voltage", voltage
            case CurrentSource(current=current), "voltage":
                self._regime, self._level = "current", current
            case CurrentSource(voltage_limit=limit), _:
                # Across a short it is the cell's low current that leaves much for the short: the high voltage.
                sense = bound if math.isinf(self._short) else -bound
                self._regime, self._level = "voltage", math.copysign(limit, sense)

    # -- ageing ----------------------------------------------------------------------------------------------------

    def _reverse(self, direction: int) -> None:
        """Turn from charge to discharge or back; where a discharge ends the material ages by its depth."""
        self._direction = direction
        if direction < 0:
            self._charged_state = self._state
            return
        self._material.age(self._charged_state - self._state)
        self._circuit = self._material.circuit()
        self._choose_regime()
