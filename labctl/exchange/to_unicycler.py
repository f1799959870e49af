"""To the JSON of aurora-unicycler 0.4.6, and so to what that writes: Neware XML, BioLogic MPS, BattINFO.

Documented at https://empaeconversion.github.io/aurora-unicycler. An amplitude is a peak, as in the EC-Lab settings that
it becomes, and a spectrum is taken at open circuit or around no current. Currents and rates carry a sign, positive
charges; the ends of a step are alternatives, and zero means none; a loop names the tag that it goes back to, and the
total of its passes.
"""

import json
from collections.abc import Iterator

from labctl.exchange import amounts
from labctl.exchange.plain import plainly, value_of
from labctl.exchange.procedure import (
    Current,
    Hole,
    Limits,
    Load,
    Loop,
    Procedure,
    Record,
    Rest,
    Spectrum,
    Step,
    Sweep,
    Voltage,
)
from labctl.exchange.remarks import Remarks
from labctl.plan import Quantity as Measured
from labctl.quantity import Dimension, Quantity

NOBODY = "$NAME"
"""What stands for the name of a sample that is filled in later."""

UNNAMED = "loop {}"
"""The tag of a loop that has no name."""

JsonObject = dict[str, object]


def write(procedure: Procedure, remarks: Remarks) -> str:
    """Return the JSON of a procedure; what it cannot say is noted."""
    steps = plainly(procedure.steps, procedure.capacity, remarks)
    if procedure.record.interval is None:
        remarks.impossible(
            None, f"{remarks.other} needs an interval at which to record", 'Write [record] interval = "10 s".'
        )
    sample: JsonObject = {"name": procedure.sample or NOBODY}
    if procedure.capacity is not None:
        sample["capacity_mAh"] = _in(procedure.capacity, "mAh")
    data = {
        "sample": sample,
        "record": _record_out(procedure.record),
        "safety": _safety_out(procedure.limits),
        "method": list(_Method(remarks).list(steps)),
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _record_out(record: Record) -> JsonObject:
    every = {
        "time_s": (record.interval, "s"),
        "voltage_V": (record.voltage, "V"),
        "current_mA": (record.current, "mA"),
    }
    return {key: _in(value, unit) for key, (value, unit) in every.items() if value is not None}


def _safety_out(limits: Limits) -> JsonObject:
    safety: JsonObject = {}
    if limits.highest is not None and limits.lowest is not None:
        safety |= {"max_voltage_V": _in(limits.highest, "V"), "min_voltage_V": _in(limits.lowest, "V")}
    if limits.current is not None:
        most = amounts.times(limits.current, "mA")
        safety |= {"max_current_mA": amounts.json_number(most), "min_current_mA": amounts.json_number(-most)}
    if limits.capacity is not None:
        safety["max_capacity_mAh"] = _in(limits.capacity, "mAh")
    return safety


class _Method:
    """Writes steps one after the other; each loop gets a tag of its own to go back to."""

    def __init__(self, remarks: Remarks) -> None:
        self._remarks = remarks
        self._tags: set[str] = set()

    def list(self, steps: tuple[Step, ...]) -> Iterator[JsonObject]:
        before: Step | None = None
        for step in steps:
            if not isinstance(step, Loop | Hole) and step.record != Record():
                self._remarks.note(
                    step.place, f"{self._remarks.other} records every step by one rule, and not by that of this one"
                )
            identity: JsonObject = {"id": step.name} if step.name else {}
            match step:
                case Rest():
                    yield {"step": "open_circuit_voltage", "until_time_s": _in(step.time, "s")} | identity
                case Current():
                    yield self._current(step) | identity
                case Voltage():
                    yield self._voltage(step, before) | identity
                case Sweep():
                    yield self._scan(step) | identity
                case Spectrum():
                    yield self._spectrum(step) | identity
                case Load():
                    reason = f"{self._remarks.other} has no constant {step.load.dimension}"
                    self._remarks.impossible(step.place, reason, "Export a copy that does without it.")
                case Loop():
                    tag = self._tag(step)
                    yield {"step": "tag", "tag": tag}
                    yield from self.list(step.body)
                    yield {"step": "loop", "loop_to": tag, "cycle_count": step.passes}
            before = step

    def _tag(self, loop: Loop) -> str:
        tag = loop.name
        while not tag or tag in self._tags:
            tag = UNNAMED.format(len(self._tags) + 1) if not tag else f"{tag}'"
        self._tags.add(tag)
        return tag

    def _current(self, step: Current) -> JsonObject:
        if step.current.dimension is Dimension.RATE:
            data: JsonObject = {"step": "constant_current", "rate_C": amounts.json_number(step.current.value)}
        else:
            data = {"step": "constant_current", "current_mA": _in(step.current, "mA")}
        return data | self._time(step) | self._end(step, Measured.VOLTAGE, "until_voltage_V", "V")

    def _voltage(self, step: Voltage, before: Step | None) -> JsonObject:
        data: JsonObject = {"step": "constant_voltage", "voltage_V": _in(step.voltage, "V")} | self._time(step)
        end = value_of(step, Measured.CURRENT)
        if end is not None:
            # the sign says to those who write other files which way the current flows
            goes_on = isinstance(before, Current) and value_of(before, Measured.VOLTAGE) == step.voltage
            sign = -1 if goes_on and isinstance(before, Current) and not before.charges else 1
            if end.dimension is Dimension.RATE:
                data["until_rate_C"] = amounts.json_number(sign * end.value)
            else:
                data["until_current_mA"] = amounts.json_number(sign * amounts.times(end, "mA"))
        return data

    def _scan(self, step: Sweep) -> JsonObject:
        data: JsonObject = {"step": "voltage_scan", "start_voltage_V": _in(step.start, "V")}
        return data | {"end_voltage_V": _in(step.stop, "V"), "scan_rate_mV_per_s": _in(step.rate, "mV/s")}

    def _spectrum(self, step: Spectrum) -> JsonObject:
        if step.bias is not None:
            reason = f'{self._remarks.other} measures no spectrum around "{step.bias}"'
            remedy = "Export a copy that measures it at open circuit, or around no current."
            self._remarks.impossible(step.place, reason, remedy)
        unit = "V" if step.peak.dimension is Dimension.VOLTAGE else "mA"
        return {
            "step": "impedance_spectroscopy",
            f"amplitude_{unit}": _in(step.peak, unit),
            "start_frequency_Hz": _in(step.start, "Hz"),
            "end_frequency_Hz": _in(step.stop, "Hz"),
            "points_per_decade": step.per_decade,
        }

    def _time(self, step: Current | Voltage) -> JsonObject:
        return self._end(step, Measured.TIME, "until_time_s", "s")

    def _end(self, step: Current | Voltage, measured: Measured, key: str, unit: str) -> JsonObject:
        end = value_of(step, measured)
        if end is not None and end.value == 0:
            reason = f'{self._remarks.other} has no end at "{end}": zero means none'
            self._remarks.impossible(step.place, reason, "Choose another end.")
        return {} if end is None else {key: _in(end, unit)}


def _in(quantity: Quantity, unit: str) -> float | int:
    return amounts.json_number(amounts.times(quantity, unit))
