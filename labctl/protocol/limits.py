"""Limits as an intersection: station, cell, protocol and step can each narrow what the others allow, never widen it."""

import math
from collections.abc import Callable
from dataclasses import replace

from labctl.plan import Bound, Limits, Rates, StationAbilities
from labctl.protocol.findings import Findings, Refused, humane
from labctl.protocol.model import Bounds
from labctl.protocol.scale import Scale
from labctl.protocol.source import KeyPath
from labctl.quantity import Quantity


def of_run(
    protocol: Bounds,
    cell: tuple[Bounds, Findings] | None,
    station: StationAbilities,
    scale: Scale,
    findings: Findings,
) -> Limits:
    """Intersect the limits of station, cell file and protocol; contradictions are noted in the file they stand in."""
    limits = _before_springs_bottom(_of_station(station), station, scale.cell.bore_area)
    if cell is not None:
        bounds, of_cell = cell
        limits = _narrow(limits, bounds, scale, of_cell, ("limits",))
    return _narrow(limits, protocol, scale, findings, ("limits",))


def of_step(limits: Limits, bounds: Bounds, scale: Scale, findings: Findings, path: KeyPath) -> Limits | None:
    """Narrow the limits of the run for one step; None where the step narrows nothing."""
    return _narrow(limits, bounds, scale, findings, path) if bounds.model_fields_set else None


def _of_station(station: StationAbilities) -> Limits:
    instrument = Bound(*station.voltage) if station.voltage else Bound()
    return Limits(
        voltage=_meet(instrument, station.voltage_limit),
        current=min(_given(station.current, station.current_limit), default=math.inf),
        capacity=math.inf,
        temperature=station.temperature_limit,
        pressure_negative=station.pressure_negative_limit,
        pressure_positive=station.pressure_positive_limit,
        torque=station.torque,
        rates=station.rates,
        margins=station.margins,
        disagreement=station.disagreement,
        debounce=station.debounce,
    )


def _before_springs_bottom(limits: Limits, station: StationAbilities, area: float | None) -> Limits:
    """Narrow the pressure of each side that a spring presses to what it gives before its coils touch."""
    if area is None:
        return limits
    for spring in station.springs:
        most = Bound(high=spring.most / area)
        if spring.side == "negative":
            limits = replace(limits, pressure_negative=_meet(limits.pressure_negative, most))
        else:
            limits = replace(limits, pressure_positive=_meet(limits.pressure_positive, most))
    return limits


def _narrow(limits: Limits, bounds: Bounds, scale: Scale, findings: Findings, path: KeyPath) -> Limits:
    """Intersect with the limits of a file; what cannot be converted, or leaves nothing, is noted and left out."""

    def span(
        outer: Bound,
        given: tuple[Quantity, Quantity] | None,
        convert: Callable[[Quantity], float],
        unit: str,
        *key: str,
    ) -> Bound:
        both = outer
        with findings.at((*path, *key)):
            if given is not None:
                inner = Bound(convert(given[0]), convert(given[1]))
                _check_overlap(outer, inner, given, unit)
                both = _meet(outer, inner)
        return both

    def least(
        outer: float | None, given: Quantity | None, convert: Callable[[Quantity], float], *key: str
    ) -> float | None:
        inner = None
        with findings.at((*path, *key)):
            if given is not None:
                inner = convert(given)
        return min(_given(outer, inner), default=None)

    both = Limits(
        voltage=span(limits.voltage, bounds.voltage, scale.volts, "V", "voltage"),
        current=least(limits.current, bounds.current, scale.amperes, "current") or limits.current,
        capacity=least(limits.capacity, bounds.capacity, scale.coulombs, "capacity") or limits.capacity,
        temperature=span(limits.temperature, bounds.temperature, float, "degC", "temperature"),
        pressure_negative=span(limits.pressure_negative, bounds.pressure.negative, float, "Pa", "pressure", "negative"),
        pressure_positive=span(limits.pressure_positive, bounds.pressure.positive, float, "Pa", "pressure", "positive"),
        torque=least(limits.torque, bounds.torque, float, "torque"),
        rates=Rates(
            voltage=least(limits.rates.voltage, bounds.rate.voltage, float, "rate", "voltage"),
            temperature=least(limits.rates.temperature, bounds.rate.temperature, float, "rate", "temperature"),
            pressure=least(limits.rates.pressure, bounds.rate.pressure, float, "rate", "pressure"),
        ),
        margins=limits.margins,
        disagreement=limits.disagreement,
        debounce=limits.debounce,
    )
    with findings.at(path):
        _check_margins(both)
    return both


def _check_margins(limits: Limits) -> None:
    """Refuse warnings that leave no value without one."""
    margins = limits.margins
    for name, margin, bound, unit in (
        ("voltage", margins.voltage, limits.voltage, "V"),
        ("temperature", margins.temperature, limits.temperature, "degC"),
        ("pressure.negative", margins.pressure, limits.pressure_negative, "Pa"),
        ("pressure.positive", margins.pressure, limits.pressure_positive, "Pa"),
    ):
        if margin is None or bound.low is None or bound.high is None or bound.high - bound.low > 2.0 * margin:
            continue
        reason = f"every {name} from {_shown(bound, unit)} would be warned of"
        raise Refused("limits", reason, "Widen the limit, or narrow [station.NAME.warnings] in config.toml.")


def _check_overlap(outer: Bound, inner: Bound, given: tuple[Quantity, Quantity], unit: str) -> None:
    both = _meet(outer, inner)
    if inner.low is not None and inner.high is not None and inner.low >= inner.high:
        raise Refused("limits", f'"{given[0]}" is not below "{given[1]}" on this cell', "Write the lower value first.")
    if both.low is not None and both.high is not None and both.low >= both.high:
        reason = f"{_shown(inner, unit)} has nothing in common with the limits around it, {_shown(outer, unit)}"
        raise Refused("limits", reason, "Limits only narrow each other; choose them so that they overlap.")


def _meet(one: Bound, other: Bound) -> Bound:
    lows, highs = _given(one.low, other.low), _given(one.high, other.high)
    return Bound(max(lows, default=None), min(highs, default=None))


def _given(*values: float | None) -> list[float]:
    return [value for value in values if value is not None]


def _shown(bound: Bound, unit: str) -> str:
    low = "anything" if bound.low is None else humane(bound.low, unit)
    high = "anything" if bound.high is None else humane(bound.high, unit)
    return f"{low} to {high}"
