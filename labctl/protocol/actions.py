"""Binds what a verb does: set points in SI, each checked against cell, station and limits before anything moves."""

import math
from dataclasses import replace

from labctl import plan
from labctl.plan import SIDES, Bound, Compare, End, Operator, Side, StationAbilities
from labctl.protocol import byhand, ends
from labctl.protocol.basis import Basis
from labctl.protocol.findings import Refused, humane
from labctl.protocol.source import KeyPath
from labctl.protocol.verbs import (
    ChargeStep,
    CurrentStep,
    DischargeStep,
    Named,
    ParkStep,
    PowerStep,
    PressureChange,
    PressureStep,
    PromptStep,
    ResistanceStep,
    TareStep,
    TemperatureStep,
    TorqueStep,
    VoltageStep,
)
from labctl.quantity import Dimension, Quantity, QuantityError, parse

DrivenStep = ChargeStep | DischargeStep | CurrentStep

REACHED = 0.95
"""Of a torque: a drive that is bounded by it stops a little below."""
UNSEEN = 0.5
"""Share of the asked pressure by which a load cell may be wrong; beyond it the pressure is not seen."""
STEPS_IN_BAND = 3.0
"""Smallest turns of a screw that the width of a band must hold: one, and two by which a screw that sticks slips."""
FASTEST = 0.5
"""rad/s of a screw, 0.1 mm/s on 1.25 mm of lead: a hand can be withdrawn."""


def written_current(step: DrivenStep) -> Quantity:
    """Return the current as written; its sign is that of `direction`."""
    match step:
        case ChargeStep(charge=current) | DischargeStep(discharge=current) | CurrentStep(current=current):
            return current


def direction(step: Named) -> int:
    """Return +1 for a step that only charges, -1 for one that only discharges, 0 for any other."""
    match step:
        case ChargeStep():
            return 1
        case DischargeStep() | ResistanceStep():
            return -1
        case CurrentStep(current=signed) | PowerStep(power=signed):
            return (signed.value > 0) - (signed.value < 0)
    return 0


def constant_current(
    step: DrivenStep, verb: str, bound_ends: tuple[End, ...], basis: Basis, path: KeyPath
) -> plan.ConstantCurrent | plan.MeasuredCurrent:
    """Bind a constant current; the voltage where it stops is its cut-off, its `cv` or the limit on that side.

    One that is told by the capacity of a cycle is held against the limits when its step begins.
    """
    way = direction(step)
    written = written_current(step)
    current = 0.0
    if written.cycle is None:
        current = checked_current(written, basis, (*path, verb))
    if way == 0:
        basis.findings.refuse((*path, verb), "current", "a current of zero is no current", 'Write rest = "1 h".')
    if step.cv is not None:
        voltage = checked_voltage(step.cv, basis, (*path, "cv"))
    else:
        voltage = stop_voltage(bound_ends, way, basis, (*path, verb))
    if written.cycle is not None:
        with basis.findings.at((*path, verb)):
            check_cycler(basis.station)
        rate = plan.MeasuredRate(abs(float(written)) * way, written.cycle, written.text.strip())
        return plan.MeasuredCurrent(rate, voltage, cv=step.cv is not None)
    return plan.ConstantCurrent(abs(current) * way, voltage, cv=step.cv is not None)


def stop_voltage(bound_ends: tuple[End, ...], way: int, basis: Basis, path: KeyPath) -> float:
    """Return the voltage at which a current stops that flows this way (+1 charges): its cut-off, else the limit."""
    voltage = ends.cut_off(bound_ends, way)
    if voltage is not None:
        return voltage
    limit = (basis.limits.voltage.high if way > 0 else basis.limits.voltage.low) or 0.0
    with basis.findings.at(path):
        what = f"the lower limit of {humane(limit, 'V')}, where this discharge would stop,"
        _check_no_short(limit, what, basis)
    return limit


def constant_voltage(step: VoltageStep, basis: Basis, path: KeyPath) -> plan.ConstantVoltage:
    """Bind a constant voltage that stands alone, or one above the voltage of the cell at rest."""
    most = checked_current(step.max_current, basis, (*path, "max_current"))
    if step.vs is None:
        return plan.ConstantVoltage(checked_voltage(step.cv, basis, (*path, "cv")), most)
    with basis.findings.at((*path, "cv")):
        check_cycler(basis.station)
        if step.cv.reference:
            reason = f'"{step.cv}" is said to be against two things'
            raise Refused("voltage", reason, 'Leave vs = "ocv" out, or write the difference alone: "50 mV".')
    return plan.ConstantVoltage(float(step.cv), most, relative=allowed_at_rest(basis))


def allowed_at_rest(basis: Basis) -> Bound:
    """Return the bounds inside which a voltage must lie that only the cell itself will tell."""
    low, high = basis.limits.voltage.low, basis.limits.voltage.high
    full = basis.scale.cell.kind == "full"
    return Bound(max(low or 0.0, 0.0) if full else low, high)


def pressure(step: PressureStep, bound_ends: tuple[End, ...], basis: Basis, path: KeyPath) -> plan.Pressure:
    """Bind set points of pressure; a side without an actuator is asserted and so must be measured."""
    relative = any(isinstance(end.condition, plan.Stable) and end.condition.relative for end in bound_ends)
    asked = step.pressure
    path = (*path, "pressure")
    written = [(side, value) for side in SIDES if (value := getattr(asked, side)) is not None]
    if not written:
        basis.findings.refuse(
            path, "pressure", "no side is named", 'Write { negative = "2.5 MPa", ramp = "0.1 MPa/s" }.'
        )
    changes: list[plan.Change] = []
    targets: list[tuple[Side, float]] = []
    for side, value in written:
        with basis.findings.at((*path, side)):
            _check_side(side, basis.station)
            byhand.refuse_gas_gap(side, asked.control, basis.station)
            if isinstance(value, PressureChange):
                changes.append(_change(side, value, basis))
                continue
            targets.append((side, float(value)))
            _check_pressure(side, value, basis)
            if relative and value.value == 0:
                reason = f'"{value}" has no band in per cent around it'
                raise Refused("condition", reason, 'Write until = "stable within 0.02 MPa for 60 s".')
            _check_step(side, value, bound_ends, basis)
    driven = [side for side, _ in written if side in basis.station.ramped]
    if driven and asked.ramp is None:
        reason = f"the {driven[0]} side is driven, and nothing says how fast"
        basis.findings.refuse(path, "pressure", reason, 'Write ramp = "0.1 MPa/s".')
    with basis.findings.at(path):
        _check_apart(dict(targets), basis)
    ramp = 0.0 if asked.ramp is None else float(asked.ramp)
    by_hand = tuple(side for side, _ in written if basis.station.tool(side) is not None)
    if by_hand:
        with basis.findings.at(path):
            byhand.refuse_endless(step, "pressure")
    return plan.Pressure(tuple(targets), ramp, asked.control, tuple(changes), by_hand)


def _change(side: Side, change: PressureChange, basis: Basis) -> plan.Change:
    """Bind a pressure relative to the one before; where it may lead at most lies inside the limits."""
    by = float(change.by)
    if side not in basis.station.driven:
        reason = f"station {basis.station.name} does not drive the {side} side, so nothing changes its pressure"
        raise Refused("station", reason, "Write the pressure that must be there, or choose another station.")
    if by == 0.0:
        raise Refused("pressure", "a change by nothing changes nothing", 'Write by = "0.5 MPa", or leave it out.')
    word, bound, other = ("max", change.max, change.min) if by > 0.0 else ("min", change.min, change.max)
    if bound is None or other is not None:
        reason = f'a change by "{change.by}" needs "{word}", and nothing else, to say how far it may lead'
        remedy = 'Write { by = "0.5 MPa", max = "5 MPa" } or { by = "-1 MPa", min = "0 MPa" }.'
        raise Refused("pressure", reason, remedy)
    _check_pressure(side, bound, basis)
    return plan.Change(side, by, float(bound))


def torque(step: TorqueStep, basis: Basis, path: KeyPath) -> tuple[plan.Torque, tuple[End, ...]]:
    """Bind a torque of one side, and the end that it has by its nature."""
    path, station = (*path, "torque"), basis.station
    written = [(side, value) for side in SIDES if (value := getattr(step.torque, side)) is not None]
    if len(written) != 1:
        reason = "a torque is that of one side" if written else "no side is named"
        basis.findings.refuse(path, "torque", reason, 'Write { negative = "0.4 N m" }, one side a step.')
        return plan.Torque("negative", 0.0), (End(Compare(plan.Quantity.TORQUE, Operator.GE, 0.0), ""),)
    ((side, value),) = written
    with basis.findings.at((*path, side)):
        tool = station.tool(side)
        if tool is None and not station.turns(side):
            reason = f"station {station.name} does not drive the {side} side"
            raise Refused("station", reason, "Leave the side out, or fit a rig.")
        if tool is not None:
            byhand.refuse_torque(tool, value, step, station)
        allowed = basis.limits.pressure_negative if side == "negative" else basis.limits.pressure_positive
        if side in dict(station.measured) and allowed.high is None:
            reason = f"nothing bounds the pressure of the {side} side"
            raise Refused("limits", reason, f'Write pressure.{side} = ["0 MPa", "5 MPa"] in [limits].')
        most = basis.limits.torque
        if most is not None and abs(float(value)) >= most:
            reason = f'"{value}" is not below the limit of torque, {humane(most, "N m")}'
            raise Refused("limits", reason, "Leave room between set point and limit, where noise alone would trip.")
        if value.value == 0:
            raise Refused("torque", "a torque of nothing turns no screw", 'Write "0.4 N m", or "-0.4 N m" to loosen.')
    action = plan.Torque(side, float(value), by_hand=station.tool(side) is not None)
    if step.torque.speed is not None:
        with basis.findings.at((*path, "speed")):
            if float(step.torque.speed) > FASTEST:
                reason = f'"{step.torque.speed}" is faster than {FASTEST:g} rad/s: a hand has to be withdrawn'
                raise Refused("torque", reason, 'Write speed = "0.1 rad/s", or leave it out.')
        action = replace(action, speed=float(step.torque.speed))
    if action.by_hand:
        return action, () if step.until else (byhand.TYPED,)
    if value.value < 0:
        return action, ()
    of_both = side == "positive" and "negative" in station.actuated
    torque = plan.Quantity.TORQUE_POSITIVE if of_both else plan.Quantity.TORQUE
    reached = Compare(torque, Operator.GE, REACHED * float(value))
    return action, (End(reached, value.text),)


def temperature(step: TemperatureStep, basis: Basis, path: KeyPath) -> plan.Temperature:
    """Bind a set point of temperature."""
    celsius, station = float(step.temperature), basis.station
    with basis.findings.at((*path, "temperature")):
        if station.temperature is None:
            raise Refused("station", f"station {station.name} has no thermostat", "Choose another station.")
        _check_within(celsius, Bound(*station.temperature), f'"{step.temperature}"', "degC", "the thermostat's range")
        _check_within(celsius, basis.limits.temperature, f'"{step.temperature}"', "degC", "the limits of temperature")
    if step.of == "cell" and station.temperature is not None and not station.external_probe:
        reason = f"station {station.name} has no probe at the cell, so its temperature is not known"
        basis.findings.refuse((*path, "of"), "station", reason, 'Write of = "chamber", or fit an external probe.')
    return plan.Temperature(celsius, step.of)


def tare(step: TareStep, basis: Basis, path: KeyPath) -> plan.Tare:
    """Bind the zeroing of a load cell."""
    if step.tare not in dict(basis.station.measured):
        reason = f"station {basis.station.name} has no load cell on the {step.tare} side"
        basis.findings.refuse((*path, "tare"), "station", reason, "Choose another side, or another station.")
    return plan.Tare(step.tare, step.confirm or f"Is the load cell of the {step.tare} side unloaded?")


def park(step: ParkStep, basis: Basis, path: KeyPath) -> plan.Park:
    """Bind the keeping of a cell until it is taken."""
    if step.cv is None:
        if step.max_current is not None:
            reason = "no current flows at open circuit"
            basis.findings.refuse((*path, "max_current"), "voltage", reason, 'Add cv = "4.2 V", or leave it out.')
        return plan.Park(step.park)
    voltage = checked_voltage(step.cv, basis, (*path, "cv"))
    if step.max_current is None:
        reason = "nothing bounds the current that holds this voltage"
        basis.findings.refuse((*path, "cv"), "current", reason, 'Write max_current = "1 mA".')
        return plan.Park(step.park)
    return plan.Park(step.park, voltage, checked_current(step.max_current, basis, (*path, "max_current")))


def prompt(step: PromptStep, basis: Basis, path: KeyPath) -> plan.Prompt:
    """Bind a question to the operator."""
    if step.answers and step.simulated is not None and step.simulated not in step.answers:
        reason = f'"{step.simulated}" is none of the answers'
        basis.findings.refuse((*path, "simulated"), "prompt", reason, f"They are {', '.join(step.answers)}.")
    quantity = None if step.quantity is None else Dimension(step.quantity)
    if quantity is not None and step.answers:
        reason = f"an answer is one of these words or a {quantity}, not both"
        basis.findings.refuse((*path, "answers"), "prompt", reason, "Leave answers or quantity out.")
    if quantity is not None and step.simulated is not None:
        with basis.findings.at((*path, "simulated")):
            try:
                parse(step.simulated, quantity)
            except QuantityError as error:
                raise Refused("prompt", error.sentence, f"{error.remedy[:1].upper()}{error.remedy[1:]}.") from None
    return plan.Prompt(step.prompt, step.answers, step.simulated, quantity)


# -- checks --------------------------------------------------------------------------------------------------------


def checked_current(written: Quantity, basis: Basis, path: KeyPath) -> float:
    """Convert a current and refuse it beyond the limits, which are already within the instrument's range."""
    amperes = 0.0
    with basis.findings.at(path):
        check_cycler(basis.station)
        amperes = basis.scale.amperes(written)
        most = basis.limits.current
        if abs(amperes) > most:
            reason = f'"{written}" is {humane(abs(amperes), "A")} on this cell, beyond the limit of {humane(most, "A")}'
            raise Refused("current", reason, "The limit is the lowest of station, cell file, [limits] and step.")
    return amperes


def checked_voltage(written: Quantity, basis: Basis, path: KeyPath) -> float:
    """Convert a voltage and refuse it where it is not inside the limits."""
    volts = 0.0
    with basis.findings.at(path):
        check_cycler(basis.station)
        volts = basis.scale.volts(written)
        terminal = f" ({humane(volts, 'V')} at the terminals)" if written.reference else ""
        check_voltage(volts, f'"{written}"{terminal}', basis)
    return volts


def check_cycler(station: StationAbilities) -> None:
    """Refuse what needs a cycler where there is none."""
    if station.voltage is None:
        raise Refused("station", f"station {station.name} has no cycler", "Choose another station.")


def check_voltage(volts: float, what: str, basis: Basis) -> None:
    """Refuse a voltage outside the limits, or at one of them, where noise alone would trip."""
    _check_no_short(volts, what, basis)
    low, high = basis.limits.voltage.low, basis.limits.voltage.high
    inside = (low is None or volts > low) and (high is None or volts < high)
    if not inside:
        shown = f"{humane(low or 0.0, 'V')} to {humane(high or 0.0, 'V')}"
        reason = f"{what} is not inside the limits of voltage, {shown}"
        raise Refused("voltage", reason, "Safety must lie beyond every cut-off: change the cut-off, or widen [limits].")


def _check_no_short(volts: float, what: str, basis: Basis) -> None:
    if volts <= 0 and basis.scale.cell.kind == "full":
        reason = f"{what} is a short for a full cell"
        raise Refused("voltage", reason, "Stay above 0 V, or say what kind of cell this is: cell.kind.")


def _check_side(side: Side, station: StationAbilities) -> None:
    measured = side in dict(station.measured)
    if side not in station.driven and not measured:
        reason = f"station {station.name} neither drives nor measures the {side} side"
        raise Refused("station", reason, "Leave the side out, or fit a load cell or a rig.")
    if side in station.driven and not measured:
        reason = f"station {station.name} has no load cell on the {side} side to close the loop on"
        raise Refused("station", reason, "Fit one: without it nobody knows when the pressure is reached.")


def _check_pressure(side: Side, written: Quantity, basis: Basis) -> None:
    pascal, area = float(written), basis.scale.cell.bore_area
    if area is None:
        raise Refused("cell", f'"{written}" needs the bore to be a force', 'Write bore = "10 mm" in [cell].')
    allowed = basis.limits.pressure_negative if side == "negative" else basis.limits.pressure_positive
    if side in basis.station.driven and allowed.high is None:
        reason = f"nothing bounds the pressure of the {side} side"
        raise Refused("limits", reason, f'Write pressure.{side} = ["0 MPa", "5 MPa"] in [limits].')
    byhand.refuse_beyond_tool(side, pascal * area, f'"{written}"', basis.station)
    _check_within(pascal, allowed, f'"{written}"', "Pa", "the limits of pressure")
    if pascal == allowed.high:
        reason = f'"{written}" is exactly the limit of pressure, where noise alone would trip'
        raise Refused("limits", reason, "Leave room between set point and limit.")
    capacity, error = dict(basis.station.measured).get(side), dict(basis.station.accuracy).get(side, 0.0) / area
    if capacity is not None and pascal and error > UNSEEN * abs(pascal):
        reason = (
            f'"{written}" cannot be seen: the load cell of the {side} side ({humane(capacity, "N")}) '
            f"is right within {humane(error, 'Pa')} on this bore"
        )
        raise Refused("load-cell-blind", reason, "Fit a load cell of a smaller capacity or a better class.")
    if capacity is not None and pascal * area > capacity:
        force, most = humane(pascal * area, "N"), humane(capacity, "N")
        reason = f'"{written}" is {force} on this bore, more than the {most} of the load cell'
        raise Refused("station", reason, "Choose a station with a larger load cell.")


def _check_apart(targets: dict[Side, float], basis: Basis) -> None:
    """Refuse pressures of two driven sides that the wall between them cannot hold apart."""
    area, wall = basis.scale.cell.bore_area, basis.station.disagreement.wall
    if area is None or wall is None or not all(side in targets and side in basis.station.actuated for side in SIDES):
        return
    apart = abs(targets["negative"] - targets["positive"]) * area
    if apart > wall:
        reason = f"both sides are driven, {humane(apart, 'N')} apart, and the wall holds {humane(wall, 'N')}"
        raise Refused("pressure", reason, "Each would undo what the other does: ask for less, or rest one on a spring.")


def _check_step(side: Side, written: Quantity, ends: tuple[End, ...], basis: Basis) -> None:
    """Refuse a band that the screw of a side cannot keep; a screw that sticks slips by two of its smallest turns."""
    area, station, band = basis.scale.cell.bore_area, basis.station, plan.band_of(float(written), ends)
    frame, smallest = station.frame, station.angle_resolution
    if side not in station.actuated or area is None or band is None:
        return
    if frame.stiffness is None or frame.lead is None or smallest is None:
        return
    advance = smallest / math.tau * frame.lead
    stiffest, least = 2.0 * band * area / (STEPS_IN_BAND * advance), STEPS_IN_BAND / 2.0 * advance / area
    if frame.stiffness <= stiffest:
        return
    springs = frame.stiffness * stiffest / (frame.stiffness - stiffest)
    step = humane(advance * frame.stiffness / area, "Pa")
    reason = (
        f'"{written}" cannot be kept within ±{humane(band, "Pa")}: the smallest turn of the screw is {step} in a frame '
        f"of {frame.stiffness:.2g} N/m, and a screw that sticks slips by about two of them"
    )
    remedy = (
        f"Put disc springs of {springs:.2g} N/m or less in series, use a gear, or ask for "
        f"±{humane(least * frame.stiffness, 'Pa')} or more."
    )
    raise Refused("screw-step", reason, remedy)


def _check_within(value: float, allowed: Bound, what: str, unit: str, whose: str) -> None:
    if allowed.low is not None and value < allowed.low:
        raise Refused("limits", f"{what} is below {whose}", f"The least is {humane(allowed.low, unit)}.")
    if allowed.high is not None and value > allowed.high:
        raise Refused("limits", f"{what} is above {whose}", f"The most is {humane(allowed.high, unit)}.")
