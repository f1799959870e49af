"""The rig: can the station see and reach the asked pressure, and what do a locked gap and heat make of it?"""

import math
from collections.abc import Iterator

from labctl.errors import Finding
from labctl.lint.electrodes import FARADAY, LITHIUM, is_lithium
from labctl.lint.figures import areal_capacity
from labctl.lint.subject import Subject
from labctl.lint.tree import in_order
from labctl.plan import Pressure, Side, Step, Temperature, Torque, band_of
from labctl.protocol.findings import humane

DRY, OILED = 0.25, 0.14
"""K of torque = K x diameter x force, of a dry screw and of an oiled one; ±25 % from one tightening to the next."""
EXPANSION = 12e-6
"""1/K, of steel."""
TRAIN = 0.1
"""m of steel between screw and stack, assumed."""
ROOM = 25.0
"""°C at which a rig is locked where no step has set a temperature before."""
NOTICED = 0.05
"""Share of the asked pressure."""
LEAST_HEATING = 2.0
"""K that no locked gap notices."""


def load_cell(subject: Subject) -> Iterator[Finding]:
    """Compare the error of the load cell with the band in which the pressure is to be kept."""
    area, station = subject.plan.cell.bore_area, subject.station
    if area is None or station is None:
        return
    errors = dict(station.accuracy)
    for step, side, pascal in _asked(subject):
        error, band = errors.get(side, 0.0) / area, band_of(pascal, step.ends)
        capacity = humane(dict(station.measured).get(side, 0.0), "N")
        reason = f"the load cell of the {side} side ({capacity}) is right within {humane(error, 'Pa')}"
        if band is None or error <= band:
            continue
        reason += f", less well than the band of ±{humane(band, 'Pa')} asks for"
        remedy = "Choose a load cell of a smaller capacity or a better class, or a wider band."
        yield subject.finding("load-cell", subject.of_step(step, "pressure", side), reason, remedy)


def torque(subject: Subject) -> Iterator[Finding]:
    """Compare the torque for the asked force with what the drive gives for a moment and for ever."""
    area, station = subject.plan.cell.bore_area, subject.station
    if area is None or station is None or station.torque is None or station.frame.screw is None:
        return
    most = min(station.torque, subject.plan.limits.torque or math.inf)
    held = station.continuous_torque or math.inf
    for step, side, pascal in _asked(subject):
        if side not in station.actuated:
            continue
        least, dry = (k * station.frame.screw * pascal * area for k in (OILED, DRY))
        needs = f"{humane(pascal, 'Pa')} takes {least:.2g} to {dry:.2g} N·m at this screw"
        if dry > most:
            sure = "cannot be reached" if least > most else "may not be reached"
            reason = f"{needs}, and the drive gives {most:.2g} N·m: it {sure}"
        elif dry > held:
            reason = f"{needs}, and the drive gives only {held:.2g} N·m for ever"
        else:
            continue
        remedy = "Ask for less, oil the screw and calibrate it, raise torque_limit, or use a press."
        yield subject.finding("torque", subject.of_step(step, "pressure", side), reason, remedy)


def locked_gap(subject: Subject) -> Iterator[Finding]:
    """Follow the steps: heat under a locked gap lengthens the rig, and a full charge thickens a lithium electrode."""
    standing: dict[Side, float] = {}
    locked: Side | None = None
    bath = ROOM
    told: set[int] = set()
    for step in in_order(subject.plan.body):
        match step.action:
            case Pressure(targets=targets, changes=changes, control=control):
                standing |= dict(targets)
                standing |= {each.side: each.target(standing[each.side]) for each in changes if each.side in standing}
                sides = [side for side, _ in targets] + [each.side for each in changes]
                locked = sides[0] if control == "gap" else None
                if locked in standing and step.id not in told:
                    told.add(step.id)
                    yield from _breathing(subject, step, locked, standing[locked])
            case Torque(side=side):
                locked = side
                standing.pop(side, None)
            case Temperature(celsius=celsius):
                if locked is not None and step.id not in told and abs(celsius - bath) > LEAST_HEATING:
                    told.add(step.id)
                    yield _heating(subject, step, celsius - bath, locked, standing.get(locked))
                bath = celsius


def _heating(subject: Subject, step: Step, kelvin: float, side: Side, pascal: float | None) -> Finding:
    longer = EXPANSION * TRAIN * kelvin
    how = f"{TRAIN * 1e3:.0f} mm of steel become {abs(longer) * 1e6:.2g} µm {'longer' if longer > 0 else 'shorter'}"
    stiffness = None if subject.station is None else subject.station.frame.stiffness
    area, breath = subject.plan.cell.bore_area, _breath(subject)
    effect = ""
    if stiffness is not None and area is not None:
        on = "" if pascal is None else f" on {humane(pascal, 'Pa')}"
        effect = f": {humane(abs(longer) * stiffness / area, 'Pa')}{on}"
    elif breath is not None:
        effect = f", and a charge moves {breath * 1e6:.2g} µm"
    return subject.finding(
        "locked-gap",
        subject.of_step(step, "temperature"),
        f"{abs(kelvin):.3g} K under a gap that is locked on the {side} side: {how}{effect}",
        'Set the temperature before the gap is locked, or write control = "force".',
    )


def _breathing(subject: Subject, step: Step, side: Side, pascal: float) -> Iterator[Finding]:
    """Compare what a charge does to the pressure of a locked gap with the limit."""
    area, breath = subject.plan.cell.bore_area, _breath(subject)
    stiffness = None if subject.station is None else subject.station.frame.stiffness
    limits = step.limits or subject.plan.limits
    most = (limits.pressure_negative if side == "negative" else limits.pressure_positive).high
    if area is None or breath is None or stiffness is None or most is None:
        return
    rise = breath * stiffness / area
    if pascal + rise > most:
        yield subject.finding(
            "breathing",
            subject.of_step(step, "pressure", side),
            f"a full charge plates {breath * 1e6:.2g} µm of lithium: with this gap locked that is up to"
            f" {humane(rise, 'Pa')} more than {humane(pascal, 'Pa')}, beyond the limit of {humane(most, 'Pa')}",
            'Lock it at less, put a spring in series, or write control = "force".',
        )


def _breath(subject: Subject) -> float | None:
    """Return m by which a full charge thickens an electrode of lithium metal; None of any other."""
    material, capacity = subject.cell.negative.material, areal_capacity(subject.cell)
    if capacity is None or not is_lithium(material):
        return None
    return capacity.value / FARADAY / LITHIUM


def _asked(subject: Subject) -> Iterator[tuple[Step, Side, float]]:
    for step in subject.plan.steps():
        if isinstance(step.action, Pressure):
            for side, pascal in step.action.targets:
                yield step, side, pascal


def calibration(subject: Subject) -> Iterator[Finding]:
    """Tell of every driven side without a torque calibration that stands."""
    station = subject.station
    lacking = {} if station is None else dict(station.uncalibrated)
    for step, side, _ in _asked(subject):
        if station is not None and side in lacking:
            remedy = f"labctl calibrate torque {station.name} --side {side}; a run asks for --consent until then."
            yield subject.finding("calibration", subject.of_step(step, "pressure", side), lacking[side], remedy)


RULES = (load_cell, torque, locked_gap, calibration)
