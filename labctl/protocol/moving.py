"""Binds the verbs whose set point the host moves: constant power and resistance, sweeps, profiles.

No instrument here does them by itself; what is bound is what the host can keep at the polls of the station, and what
the instrument bounds meanwhile.
"""

from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Literal

from labctl import plan
from labctl.plan import End
from labctl.protocol import actions, ends
from labctl.protocol.basis import Basis
from labctl.protocol.findings import Refused, humane
from labctl.protocol.profile import ProfileTable
from labctl.protocol.source import KeyPath
from labctl.protocol.verbs import PowerStep, ProfileStep, ResistanceStep, SweepStep
from labctl.quantity import Quantity

RESOLUTION = 0.005
"""V, the largest stair of a sweep where nothing else is said."""


def power(step: PowerStep, bound_ends: tuple[End, ...], basis: Basis, path: KeyPath) -> plan.ConstantPower:
    """Bind a constant power; a discharge may not need more than the largest current before it stops."""
    way = actions.direction(step)
    here = (*path, "power")
    if way == 0:
        basis.findings.refuse(here, "power", "a power of zero is no power", 'Write rest = "1 h".')
    voltage, watts = actions.stop_voltage(bound_ends, way, basis, here), float(step.power)
    most = _most(step.max_current, basis, path)
    with basis.findings.at(here):
        actions.check_cycler(basis.station)
        _check_above_zero(voltage, f'"{step.power}"', basis)
        if step.max_current is None:
            _check_reach(abs(watts) / voltage, voltage, f'"{step.power}"', basis)
    return plan.ConstantPower(watts, voltage, most)


def resistance(
    step: ResistanceStep, bound_ends: tuple[End, ...], basis: Basis, path: KeyPath
) -> plan.ConstantResistance:
    """Bind a discharge through a resistor; the current is largest at the upper limit of voltage."""
    here, ohms = (*path, "resistance"), float(step.resistance)
    voltage = actions.stop_voltage(bound_ends, -1, basis, here)
    most = _most(step.max_current, basis, path)
    with basis.findings.at(here):
        actions.check_cycler(basis.station)
        _check_above_zero(voltage, f'"{step.resistance}"', basis)
        highest = basis.limits.voltage.high
        if step.max_current is None and highest is not None:
            _check_reach(highest / ohms, highest, f'"{step.resistance}"', basis)
    return plan.ConstantResistance(ohms, voltage, most)


def sweep(step: SweepStep, basis: Basis, path: KeyPath) -> plan.Sweep:
    """Bind a sweep; its stairs, the rate times the poll period, may not be coarser than its resolution."""
    most = actions.checked_current(step.max_current, basis, (*path, "max_current"))
    corners: list[float | None] = []
    for index, corner in enumerate(step.sweep):
        here = (*path, "sweep", index)
        volts = None if corner == "ocv" else actions.checked_voltage(corner, basis, here)
        if corners and corners[-1] == volts:
            reason = "the sweep turns where it already is"
            how = "Name the voltages where it begins and turns, one after another."
            basis.findings.refuse(here, "sweep", reason, how)
        corners.append(volts)
    turns = tuple(corners[1:])
    if step.cycles > 1 and (len(turns) < 2 or turns[0] == turns[-1]):
        reason = "each cycle would begin where it ends"
        how = 'Name two or more voltages behind the first: ["ocv", "4.3 V", "2.5 V"].'
        basis.findings.refuse((*path, "cycles"), "sweep", reason, how)
    with basis.findings.at((*path, "rate")):
        _check_stairs(step, basis)
    return plan.Sweep((corners[0], *turns * step.cycles), float(step.rate), most, actions.allowed_at_rest(basis))


def profile(step: ProfileStep, bound_ends: tuple[End, ...], basis: Basis, path: KeyPath) -> plan.Profile:
    """Bind a profile; every row is checked before anything runs."""
    here = (*path, "profile")
    table = basis.profiles.get(step.profile)
    if table is None:
        reason = f'"{step.profile}" is not beside this file, and is not attached to it'
        basis.findings.refuse(here, "profile", reason, 'Write the name of a .csv file: profile = "drive.csv".')
        table = ProfileTable("current", (Fraction(0), Fraction(1)), (Fraction(0), Fraction(0)))
    low, high = (ends.cut_off(bound_ends, way) for way in (-1, +1))
    limits = basis.limits.voltage
    low = limits.low if low is None else low
    high = limits.high if high is None else high
    with basis.findings.at(here):
        actions.check_cycler(basis.station)
        if low is None or high is None:
            raise Refused("limits", "nothing bounds the voltage of this profile", "Write voltage = [...] in [limits].")
        _check_rows(table, step.interpolation, basis, low)
    times, values = (tuple(map(float, column)) for column in (table.times, table.values))
    linear = step.interpolation == "linear"
    return plan.Profile(times, values, table.of, linear, low or 0.0, high or 0.0, basis.limits.current)


# -- checks --------------------------------------------------------------------------------------------------------


def _most(written: Quantity | None, basis: Basis, path: KeyPath) -> float:
    if written is None:
        return basis.limits.current
    return abs(actions.checked_current(written, basis, (*path, "max_current")))


def _check_above_zero(voltage: float, what: str, basis: Basis) -> None:
    if voltage <= 0.0:
        reason = f"{what} would stop at {humane(voltage, 'V')}, where no current makes a power"
        raise Refused("voltage", reason, 'End it above 0 V: until = "voltage <= 2.5 V", or in [limits].')


def _check_reach(amperes: float, voltage: float, what: str, basis: Basis) -> None:
    most = basis.limits.current
    if amperes > most:
        reason = f"{what} is {humane(amperes, 'A')} at {humane(voltage, 'V')}, beyond the limit of {humane(most, 'A')}"
        raise Refused("current", reason, "Ask for less, or say that less may flow there: max_current.")


def _check_stairs(step: SweepStep, basis: Basis) -> None:
    finest = RESOLUTION if step.resolution is None else float(step.resolution)
    period = basis.station.poll_period
    stair = float(step.rate) * period
    if stair <= finest * (1.0 + 1e-9):
        return
    reason = (
        f'at "{step.rate}" the voltage moves by {humane(stair, "V")} between two polls of this station '
        f"({humane(period, 's')}), coarser than {humane(finest, 'V')}"
    )
    slower = humane(finest / period, "V/s")
    raise Refused("sweep", reason, f'Sweep at {slower} or slower, or say that it may be coarser: resolution = "10 mV".')


def _check_rows(table: ProfileTable, interpolation: Literal["step", "linear"], basis: Basis, low: float) -> None:
    """Refuse rows that come faster than polls, and values beyond the limits; rows as a person counts them, from 2."""
    period = Fraction(str(basis.station.poll_period))
    for row, (before, after) in enumerate(pairwise(table.times), 3):
        if after - before < period:
            span, poll = humane(float(after - before), "s"), humane(float(period), "s")
            reason = f"line {row} comes {span} after the one before, faster than the polls"
            remedy = f"This station is polled every {poll}: thin the rows out, or set a faster poll."
            raise Refused("profile", reason, remedy)
    if table.of == "power" and low <= 0.0:
        reason = f"a power may stop at {humane(low, 'V')}, where no current makes it"
        raise Refused("profile", reason, "Let the lower limit of voltage be above 0 V.")
    most = basis.limits.current
    per_unit = 1.0 if table.of == "current" else 1.0 / low
    for row, value in enumerate(table.values, 2):
        amperes = abs(float(value)) * per_unit
        if amperes > most:
            at = "" if table.of == "current" else f" at {humane(low, 'V')}"
            reason = f"line {row} is {humane(amperes, 'A')}{at}, beyond the limit of {humane(most, 'A')}"
            raise Refused("current", reason, "The limit is the lowest of station, cell file, [limits] and step.")
    if table.of == "current":
        _check_charge(table, interpolation, basis)


def _check_charge(table: ProfileTable, interpolation: Literal["step", "linear"], basis: Basis) -> None:
    moved = accumulate(
        float(before if interpolation == "step" else (before + after) / 2) * float(end - begin)
        for (begin, end), (before, after) in zip(pairwise(table.times), pairwise(table.values), strict=True)
    )
    largest, most = max(map(abs, moved)), basis.limits.capacity
    if largest > most:
        reason = f"it moves {humane(largest / 3600.0, 'Ah')}, more than the limit of {humane(most / 3600.0, 'Ah')}"
        raise Refused("profile", reason, "Shorten it, or widen [limits] capacity.")
