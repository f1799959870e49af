"""Detectors: what the shape of voltage, current, charge and temperature says of a cell that no single limit shows.

Each is fed with polls of the cycler (or of the thermostat) and keeps only what it compares with. The thresholds are
engineering values, chosen above the noise of the instruments and above what healthy cells of the three papers do:
docs/explanation/safety.md states them with their sources. Polls further apart than LONGEST compare nothing.
"""

from math import inf
from typing import NamedTuple

from labctl.engine.trips import Excess

LONGEST = 15.0
"""s between two polls that are still compared."""


class Seen(NamedTuple):
    """One poll of the cycler.

    Attributes:
        now: lab time, s.
        voltage, current: V and A; positive charges.
        holds: whether the output is closed and holds a voltage (constant voltage, or a bound that was met).
        constant: s for which the current has been the same; 0 where it has just changed.
        flows: whether the current is more than none.
        forces: N, of each measured side.
        temperature: °C; None where it is not measured.
        charged: C that went in since current last flowed outward.
        sustained: s for which a charging current has not fallen; it may have been raised, as at constant power.
    """

    now: float
    voltage: float
    current: float
    holds: bool
    constant: float
    flows: bool
    forces: tuple[float, ...]
    temperature: float | None
    charged: float
    sustained: float


class Short:
    """Voltage that falls while a current charges that does not, or more charge than the material can hold.

    A dendrite conducts beside the cell: where it takes more than the charging current the voltage falls (Doux 2020,
    arXiv 1910.02118; Doerrer 2021 at 50 MPa), where it takes less the charge never ends. Trips.

    Args:
        theoretical: C that the active material can hold; None: not known, and charge is not judged.
    """

    FALL = 0.05
    """V below the highest of this current: above noise, nucleation and drifts of temperature."""
    WARMER = 2.0
    """K that change the resistance, and so the voltage, before it is compared anew."""
    SETTLED = 30.0
    """s of such a current before a voltage counts as highest."""
    OVERCHARGE = 1.2
    """Of the theoretical charge."""

    def __init__(self, theoretical: float | None) -> None:
        self._most = inf if theoretical is None else self.OVERCHARGE * theoretical
        self._highest, self._temperature = -inf, 0.0

    def see(self, seen: Seen) -> Excess | None:
        """Return what is wrong at this poll."""
        if seen.charged > self._most:
            passed, most = seen.charged / 3.6, self._most / 3.6
            sentence = f"A short: {passed:.4g} mAh have gone in, and 1.2 times what the material holds is {most:.4g}."
            return Excess("short", sentence)
        if not seen.flows or seen.current < 0.0 or seen.holds or seen.sustained < self.SETTLED:
            self._highest = -inf
            return None
        temperature = self._temperature if seen.temperature is None else seen.temperature
        if seen.voltage > self._highest or abs(temperature - self._temperature) > self.WARMER:
            self._highest, self._temperature = seen.voltage, temperature
        fallen = self._highest - seen.voltage
        if fallen < self.FALL:
            return None
        return Excess("short", f"A short: the voltage has fallen by {fallen:.3f} V at a constant charging current.")


class SelfDischarge:
    """Voltage that falls on in a resting cell faster than relaxation can.

    Relaxation slows down: over each doubling of the rest it falls by as much as before (logarithm), 1.41 times as much
    (diffusion) or, from 0.6 time constants on, at most 1.6 times as much (exponential). A leak goes on: 2 times. Judged
    after 80 min, 160 min, ... of one rest. Warns.
    """

    FIRST = 1200.0
    """s of rest at which the voltage is first noted."""
    FALL = 0.005
    """V in the last half of the rest: above noise and above what entropy makes of a few kelvin."""
    SLOWEST = 0.005 / 3600.0
    """V/s: a healthy cell that stands for weeks falls slower."""
    CERTAIN = 0.1 / 3600.0
    """V/s: no cell relaxes downward as fast after 40 min, whatever its curve."""
    RATIO = 1.6
    """Between the falls of two doublings."""

    def __init__(self) -> None:
        self._due = self.FIRST
        self._half: float | None = None
        self._quarter: float | None = None

    def see(self, seen: Seen) -> Excess | None:
        """Return what is wrong at this poll."""
        if seen.flows or seen.constant == 0.0:
            self._due, self._half, self._quarter = self.FIRST, None, None
            return None
        if seen.constant < self._due:
            return None
        excess = self._judge(seen.voltage, 0.5 * self._due)
        self._due, self._half, self._quarter = 2.0 * self._due, seen.voltage, self._half
        return excess

    def _judge(self, voltage: float, half: float) -> Excess | None:
        if self._half is None or self._quarter is None:
            return None
        before, fallen = self._quarter - self._half, self._half - voltage
        goes_on = fallen > self.RATIO * max(before, 0.0) or fallen > self.CERTAIN * half
        if fallen < self.FALL or fallen < self.SLOWEST * half or not goes_on:
            return None
        sentence = (
            f"Self-discharge: at rest the voltage has fallen by {1e3 * fallen:.3g} mV in {half / 60.0:.3g} min, faster "
            "than relaxation would. A soft short does that."
        )
        return Excess("self-discharge", sentence, warns=True, certain=True)


class Contact:
    """A circuit that opens or loses contact while a constant current flows. Warns.

    Open: from one poll to the next the instrument holds its voltage bound and (almost) nothing flows; a cell comes
    down from its current only within resistance times differential capacity, here always many seconds. Or: nothing
    has flowed since the run began, and twice the bound was met.
    Lost contact: the voltage steps in the direction of the current and stays there. A step that meets the bound is
    judged at once, because the step of the plan may end by it.
    """

    STEP = 0.05
    """V, beyond three times the change of the poll before: a resistance of 0.3 kΩ at 0.16 mA."""
    STEP_WITH_FORCE = 0.02
    """V, where the force has dropped as well."""
    DROP = 0.05
    """Of the force, and at least"""
    LEAST_DROP = 2.0
    """N: the noise of load cells, and what an unloaded one shows."""
    LEFT = 0.02
    """Of the current: less is an open circuit."""
    IN_VAIN = 2

    def __init__(self) -> None:
        self._before: Seen | None = None
        self._trend = inf
        """V/s of the poll before, without sign."""
        self._step: tuple[float, float, float] | None = None
        """V where it stepped from and by how much, and the drop of the force, while that is to be confirmed."""
        self._ever = self._near_rest = False
        self._vain = 0

    def begin(self, *, near_rest: bool = False) -> None:
        """Compare nothing across the beginning of a step.

        Args:
            near_rest: whether a voltage is held at which little may flow: that nothing flows there shows nothing.
        """
        self._before, self._trend, self._step = None, inf, None
        self._near_rest = near_rest

    def see(self, seen: Seen) -> Excess | None:
        """Return what is wrong at this poll."""
        before, self._before = self._before, seen if seen.flows and not seen.holds else None
        if seen.flows:
            self._ever = True
        elif not self._ever and seen.holds and not self._near_rest:
            self._vain += 1
            if self._vain >= self.IN_VAIN:
                return _open("nothing has flowed at all", seen)
        if before is None:
            return None
        span = seen.now - before.now
        if not 0.0 < span <= LONGEST:
            self._trend, self._step = inf, None
            return None
        moved = (seen.voltage - before.voltage) * (1.0 if before.current > 0.0 else -1.0)
        trend, self._trend = self._trend, abs(moved) / span
        if seen.holds and abs(seen.current) < self.LEFT * abs(before.current):
            return _open(f"{abs(before.current) * 1e3:.4g} mA flowed", seen)
        if seen.constant == 0.0 and not seen.holds and self._step is None:
            return None  # where a step is to be confirmed the host may have lowered the current for it
        return self._judge(before, seen, moved - 3.0 * trend * span)

    def _judge(self, before: Seen, seen: Seen, step: float) -> Excess | None:
        """Judge a step of the voltage, or whether the one of the poll before has stayed."""
        if self._step is not None:
            (came_from, size, drop), self._step = self._step, None
            stayed = abs(seen.voltage - came_from) > 0.5 * size
            return _lost(size, abs(before.current), drop) if stayed else None
        drop = _drop(before.forces, seen.forces)
        if step < (self.STEP_WITH_FORCE if drop > self.DROP else self.STEP):
            return None
        size = abs(seen.voltage - before.voltage)
        if seen.holds:
            return _lost(size, abs(before.current), drop)
        self._step = before.voltage, size, drop
        return None


class Runaway:
    """A cell that is warmer than its bath and grows warmer still: heat that does not come from the bath. Trips.

    Cells of this size heat themselves by less than 1 mK (see sim/room), and a bath that cools leaves the cell warmer
    but falling.
    """

    ABOVE = 5.0
    """K above the bath."""
    RISE = 0.2
    """K within the last one to two minutes."""
    SPAN = 60.0

    def __init__(self) -> None:
        self._older = self._newer = (-inf, inf)
        """Lab time and temperature one to two spans ago, and less than one ago."""

    def see(self, now: float, cell: float, bath: float) -> Excess | None:
        """Return what is wrong at this poll of the thermostat; °C."""
        if now - self._newer[0] >= self.SPAN:
            self._older, self._newer = self._newer, (now, cell)
        above, rise = cell - bath, cell - self._older[1]
        if above < self.ABOVE or rise < self.RISE:
            return None
        sentence = f"The cell is {above:.3g} K warmer than its bath and has risen by {rise:.2g} K within two minutes."
        return Excess("runaway", sentence, heat=True)


class Slope:
    """How fast a value changes: between the means over two neighbouring spans, so that noise averages out.

    White noise of σ in n measurements a span is a slope of σ·√(2/n)/SPAN: 5 kPa polled every second, 43 Pa/s.
    """

    SPAN = 30.0
    FEWEST = 3
    """Measurements in a span."""

    __slots__ = ("_before", "_count", "_since", "_times", "_values")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Compare nothing before now with what comes."""
        self._before: tuple[float, float] | None = None
        self._open(-inf)

    def _open(self, now: float) -> None:
        self._since, self._count, self._times, self._values = now, 0, 0.0, 0.0

    def see(self, value: float, now: float) -> float | None:
        """Return the slope per second where a span has just been completed."""
        if self._count == 0:
            self._open(now)
        self._count += 1
        self._times += now - self._since
        self._values += value
        if now - self._since < self.SPAN or self._count < self.FEWEST:
            return None
        mean = self._since + self._times / self._count, self._values / self._count
        before, self._before = self._before, mean
        self._count = 0
        return None if before is None else (mean[1] - before[1]) / (mean[0] - before[0])


def _drop(before: tuple[float, ...], now: tuple[float, ...]) -> float:
    """Return by which share the force of a side has dropped, of that which has dropped most."""
    sides = zip(before, now, strict=True)
    return max((1.0 - new / old for old, new in sides if old - new > Contact.LEAST_DROP), default=0.0)


def _lost(step: float, current: float, drop: float) -> Excess:
    force = f" while the force dropped by {100.0 * drop:.2g} %" if drop > Contact.DROP else ""
    sentence = (
        f"Contact is lost: the voltage stepped by {step:.3f} V at a constant current{force}, "
        f"as by {step / current:.0f} Ohm or more."
    )
    return Excess("contact", sentence, warns=True, certain=True)


def _open(before: str, seen: Seen) -> Excess:
    sentence = f"The circuit is open: {before}, and {seen.voltage:.4g} V are met without a current."
    return Excess("open circuit", sentence, warns=True, certain=True)
