"""Binds the verbs that measure impedance: is the station able to, and does the sine stay inside every limit?"""

import math

from labctl import plan
from labctl.plan import Bound
from labctl.protocol import actions
from labctl.protocol.basis import Basis
from labctl.protocol.findings import Refused, humane
from labctl.protocol.source import KeyPath
from labctl.protocol.spectrum import EisTable, GeisTable, frequencies
from labctl.quantity import Quantity


def of_voltage(table: EisTable, basis: Basis, path: KeyPath) -> plan.Impedance:
    """Bind a sine of voltage; around another voltage than that at rest only with a most current of its own."""
    window, rms = actions.allowed_at_rest(basis), table.amplitude.rms(float(table.amplitude.size))
    _check_band(table, basis, path)
    bias, most = None, basis.limits.current
    if table.max_current is not None:
        most = actions.checked_current(table.max_current, basis, (*path, "max_current"))
    with basis.findings.at((*path, "amplitude")):
        actions.check_cycler(basis.station)
        _check_room(2.0 * _peak(rms), window, table)
    if isinstance(table.bias, Quantity):
        bias = actions.checked_voltage(table.bias, basis, (*path, "bias"))
        with basis.findings.at((*path, "bias")):
            if table.max_current is None:
                reason = f'"{table.bias}" is not where the cell is, and nothing bounds the current that leads there'
                raise Refused("current", reason, 'Write max_current = "1 mA", or leave bias out.')
            _check_inside(bias, _peak(rms), window, table)
    return plan.Impedance(frequencies(table), "voltage", rms, bias, most, window)


def of_current(table: GeisTable, basis: Basis, path: KeyPath) -> plan.Impedance:
    """Bind a sine of current; its peaks, on the side of its bias, lie within the limit of current."""
    _check_band(table, basis, path)
    rms = table.amplitude.rms(actions.checked_current(table.amplitude.size, basis, (*path, "amplitude")))
    bias, most = actions.checked_current(table.bias, basis, (*path, "bias")), basis.limits.current
    with basis.findings.at((*path, "amplitude")):
        largest = abs(bias) + _peak(rms)
        if largest > most:
            around = f' around "{table.bias}"' if bias else ""
            reason = f'"{table.amplitude}"{around} peaks at {humane(largest, "A")}, beyond the limit of'
            remedy = "The limit is the lowest of station, cell file, [limits] and step."
            raise Refused("current", f"{reason} {humane(most, 'A')}", remedy)
    return plan.Impedance(frequencies(table), "current", rms, bias, most, actions.allowed_at_rest(basis))


def _peak(rms: float) -> float:
    return math.sqrt(2.0) * rms


def _check_band(table: EisTable | GeisTable, basis: Basis, path: KeyPath) -> None:
    station, band = basis.station, basis.station.frequencies
    if band is None:
        reason = f"the cycler of station {station.name} measures no impedance"
        remedy = "Choose a station whose cycler does, or leave the cell to another instrument: handover."
        basis.findings.refuse(path, "station", reason, remedy)
        return
    low, high = band
    for key, written in (("from", table.from_), ("to", table.to)):
        if not low <= float(written) <= high:
            reason = f'"{written}" is outside the band of station {station.name}, {humane(low, "Hz")} to'
            remedy = "Measure inside the band, or choose another station."
            basis.findings.refuse((*path, key), "spectrum-band", f"{reason} {humane(high, 'Hz')}", remedy)


def _check_room(swing: float, window: Bound, table: EisTable) -> None:
    """Refuse a sine that no voltage inside the window has room for."""
    if window.low is not None and window.high is not None and swing >= window.high - window.low:
        reason = f'"{table.amplitude}" swings over {humane(swing, "V")}, more than the limits of voltage leave'
        raise Refused("voltage", reason, "A spectrum takes some 10 mV: lower the amplitude.")


def _check_inside(bias: float, peak: float, window: Bound, table: EisTable) -> None:
    low, high = bias - peak, bias + peak
    if (window.low is not None and low <= window.low) or (window.high is not None and high >= window.high):
        shown = f"{humane(window.low or 0.0, 'V')} to {humane(window.high or 0.0, 'V')}"
        reason = f'"{table.amplitude}" around "{table.bias}" swings from {humane(low, "V")} to {humane(high, "V")}'
        remedy = "Safety must lie beyond every peak: lower the amplitude, or widen [limits]."
        raise Refused("voltage", f"{reason}, not inside the limits of voltage, {shown}", remedy)
