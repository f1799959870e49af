"""Brings a procedure to what every other world says: single steps whose ends lead to the next one.

A CC-CV step becomes a current and a voltage; what an end cannot be there is noted.
"""

from dataclasses import replace
from fractions import Fraction

from labctl.exchange import amounts
from labctl.exchange.procedure import Current, End, Load, Loop, Rest, Spectrum, Step, Sweep, Voltage, parted
from labctl.exchange.remarks import Remarks
from labctl.plan import Quantity as Measured
from labctl.plan import Then
from labctl.quantity import Dimension, Quantity

_COPY = "Export a copy that does without it."


def plainly(steps: tuple[Step, ...], capacity: Quantity | None, remarks: Remarks) -> tuple[Step, ...]:
    """Return the steps with plain ends, one of a kind at most; `capacity` is the charge of 1C in an hour."""
    result: list[Step] = []
    for step in steps:
        match step:
            case Loop():
                result.append(replace(step, body=plainly(step.body, capacity, remarks)))
            case Rest():
                result.append(_rest(step, remarks))
            case Current() if step.cv is not None:
                up, hold = parted(replace(step, ends=_of_one_part(step.ends, remarks)))
                result += [up, _voltage(hold, remarks)]
            case Current() | Load():
                result.append(_driven(step, capacity, remarks))
            case Voltage():
                _tell_unlimited(step, result[-1] if result else None, remarks)
                result.append(_voltage(step, remarks))
            case Sweep() | Spectrum():
                _tell_unlimited(step, None, remarks)
                result.append(step)
    return tuple(result)


def value_of(step: Current | Load | Voltage, measured: Measured) -> Quantity | None:
    """Return where a plain step ends by this; None: it does not."""
    return next((end.value for end in step.ends if end.measured is measured), None)


def _ways(ends: tuple[End, ...], remarks: Remarks) -> tuple[End, ...]:
    """Keep the ends after which the next step comes."""
    for end in ends:
        if end.then is Then.FAULT:
            reason = f'{remarks.other} has no alarms: that at "{end.value}" is left behind'
            remarks.dropped(end.place, reason, "The limits of the whole experiment remain, where it has any.")
        elif not end.plain:
            remarks.impossible(end.place, f"{remarks.other} has nothing like `{end.then.value}` after a step", _COPY)
    return tuple(end for end in ends if end.plain)


def _of_one_part(ends: tuple[End, ...], remarks: Remarks) -> tuple[End, ...]:
    """Keep what counts in the constant-voltage part of a CC-CV step alone."""
    kept = _ways(ends, remarks)
    for end in kept:
        if end.measured not in {Measured.CV_TIME, Measured.CURRENT}:
            reason = f'"{end.value}" counts in both parts of a CC-CV step, which {remarks.other} makes two of'
            remarks.impossible(end.place, reason, 'Export a copy that ends by a current, or by "cv_time".')
    return tuple(end for end in kept if end.measured in {Measured.CV_TIME, Measured.CURRENT})


def _rest(step: Rest, remarks: Remarks) -> Rest:
    time = step.time
    for end in _ways(step.ends, remarks):
        if end.measured is Measured.TIME:
            time = min(time, end.value, key=lambda quantity: quantity.value)
        else:
            remarks.dropped(end.place, f'{remarks.other} ends no rest by "{end.value}"', "It lasts its whole time.")
    return replace(step, time=time, ends=())


def _driven(step: Current | Load, capacity: Quantity | None, remarks: Remarks) -> Current | Load:
    times: list[End] = []
    voltages: list[End] = []
    for end in _ways(step.ends, remarks):
        if end.measured is Measured.TIME:
            times.append(end)
        elif end.measured is Measured.VOLTAGE and end.upward == step.charges:
            voltages.append(end)
        elif end.measured is Measured.CAPACITY and (current := _amperes(step, capacity)):
            taken = amounts.spell(end.value.value / abs(current), Dimension.TIME)
            remarks.note(end.place, f'"{end.value}" is written as the time that it takes, {taken}')
            times.append(replace(end, measured=Measured.TIME, value=taken))
        else:
            remarks.impossible(end.place, f'{remarks.other} ends no such step by "{end.value}"', _COPY)
    first = min if step.charges else max
    ends = [first(voltages, key=lambda end: end.value.value)] if voltages else []
    return replace(step, ends=(*ends, *_earliest(times)))


def _voltage(step: Voltage, remarks: Remarks) -> Voltage:
    times: list[End] = []
    currents: list[End] = []
    for end in _ways(step.ends, remarks):
        if end.measured in {Measured.TIME, Measured.CV_TIME}:
            times.append(replace(end, measured=Measured.TIME))
        elif end.measured is Measured.CURRENT and not end.upward:
            currents.append(end)
        else:
            remarks.impossible(end.place, f'{remarks.other} ends no constant voltage by "{end.value}"', _COPY)
    for end in currents[1:]:
        remarks.impossible(end.place, f"{remarks.other} knows one current that ends a voltage", "Keep the larger one.")
    return replace(step, ends=(*currents[:1], *_earliest(times)))


def _earliest(times: list[End]) -> list[End]:
    return [min(times, key=lambda end: end.value.value)] if times else []


def _amperes(step: Current | Load, capacity: Quantity | None) -> Fraction | None:
    if isinstance(step, Load):
        return None
    if step.current.dimension is Dimension.CURRENT:
        return step.current.value
    return None if capacity is None else step.current.value * capacity.value / 3600


def _tell_unlimited(step: Voltage | Sweep | Spectrum, before: Step | None, remarks: Remarks) -> None:
    """Say that the current at a voltage is not limited, unless it goes on with that of the current before it."""
    if step.most is None:
        return
    goes_on = (
        isinstance(step, Voltage)
        and isinstance(before, Current)
        and value_of(before, Measured.VOLTAGE) == step.voltage
        and before.current.dimension is step.most.dimension
        and abs(before.current.value) == step.most.value
    )
    if not goes_on:
        what = "spectrum" if isinstance(step, Spectrum) else "voltage"
        reason = f'{remarks.other} does not keep the current of this {what} within "{step.most}"'
        remarks.dropped(step.place, reason, "See that the cycler does: its range, or the limits of its channel.")
