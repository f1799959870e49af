"""To the strings of a PyBaMM experiment, as the Python expression that `pybamm.Experiment` takes.

The innermost loops are tuples, which PyBaMM calls cycles, times their passes. A string knows one circuit state and one
duration that end it, no limits and no name; a C-rate refers to the nominal capacity of the parameter set.
"""

from collections.abc import Iterator
from dataclasses import replace

from labctl.exchange import amounts
from labctl.exchange.plain import plainly, value_of
from labctl.exchange.procedure import Current, Load, Loop, Procedure, Record, Rest, Spectrum, Step, Sweep, Voltage, each
from labctl.exchange.remarks import Remarks
from labctl.plan import Quantity as Measured
from labctl.quantity import Dimension, Quantity

_UNITS = {Dimension.POWER: "W", Dimension.RESISTANCE: "Ohm"}
_TIMES = {"hour": "h", "minute": "min", "second": "s"}


def write(procedure: Procedure, remarks: Remarks) -> str:
    """Return the expression of a procedure; what it cannot say is noted."""
    steps = tuple(_without_spectra(plainly(procedure.steps, procedure.capacity, remarks), remarks))
    remarks.dropped(None, f"{remarks.other} has no limits in its strings: [limits] is left behind")
    if procedure.capacity is not None and any(_has_rate(step) for step in each(steps)):
        nominal = amounts.decimal(amounts.times(procedure.capacity, "Ah"))
        reason = f"a C-rate of {remarks.other} refers to its parameter set, and one of the protocol to this cell"
        remarks.dropped(None, reason, f'Set "Nominal cell capacity [A.h]" to {nominal}.')
    if procedure.record.voltage is not None or procedure.record.current is not None:
        remarks.note(None, f"{remarks.other} asks for points of data by time alone")
    named = next((step for step in each(steps) if step.name), None)
    if named is not None:
        remarks.note(named.place, f"{remarks.other} has no names of steps in its strings")
    return _Expression(procedure.record, remarks).of(steps, "") + "\n"


def _without_spectra(steps: tuple[Step, ...], remarks: Remarks) -> Iterator[Step]:
    for step in steps:
        match step:
            case Spectrum():
                reason = f"{remarks.other} has no impedance in its strings: this spectrum is left behind"
                remarks.dropped(step.place, reason, "Its model tells an impedance in another way.")
            case Loop():
                body = tuple(_without_spectra(step.body, remarks))
                if body:
                    yield replace(step, body=body)
            case _:
                yield step


def _has_rate(step: Step) -> bool:
    ends = step.ends if isinstance(step, Current | Voltage) else ()
    of_step = isinstance(step, Current) and step.current.dimension is Dimension.RATE
    return of_step or any(end.value.dimension is Dimension.RATE for end in ends)


class _Expression:
    """Writes lists, tuples, their sums and their multiples."""

    def __init__(self, record: Record, remarks: Remarks) -> None:
        self._record = record
        self._remarks = remarks

    def of(self, steps: tuple[Step, ...], indent: str) -> str:
        """Return a sum of lists: one for each loop, and one for the steps between two."""
        terms: list[str] = []
        row: list[str] = []
        for step in steps:
            if isinstance(step, Loop):
                terms += [*_rows(row, indent), self._loop(step, indent)]
                row = []
            else:
                row.append(self._step(step))
        return " + ".join([*terms, *_rows(row, indent)]) or "[]"

    def _loop(self, loop: Loop, indent: str) -> str:
        if any(isinstance(step, Loop) for step in loop.body):
            return f"({self.of(loop.body, indent)}) * {loop.passes}"
        inner = indent + "    "
        strings = "".join(f'{inner}    "{self._step(step)}",\n' for step in loop.body)
        return f"[\n{inner}(\n{strings}{inner}),\n{indent}] * {loop.passes}"

    def _step(self, step: Step) -> str:
        text = ""
        match step:
            case Rest():
                text = f"Rest for {_time(step.time)}"
            case Current():
                way = "Charge" if step.charges else "Discharge"
                text = f"{way} at {_electric(step.current)}" + self._ends(step, Measured.VOLTAGE)
            case Load():
                way = "Charge" if step.charges else "Discharge"
                text = f"{way} at {_electric(step.load)}" + self._ends(step, Measured.VOLTAGE)
            case Sweep():
                reason = f"{self._remarks.other} has no sweeps in its strings"
                self._remarks.impossible(step.place, reason, "Export a copy that does without it.")
            case Voltage():
                text = f"Hold at {_electric(step.voltage)}" + self._ends(step, Measured.CURRENT)
        if step.record.voltage is not None or step.record.current is not None:
            self._remarks.note(step.place, f"{self._remarks.other} asks for points of data by time alone")
        interval = step.record.interval or self._record.interval
        return text if interval is None else f"{text} ({_time(interval)} period)"

    def _ends(self, step: Current | Load | Voltage, measured: Measured) -> str:
        time, state = value_of(step, Measured.TIME), value_of(step, measured)
        ends = [] if time is None else [f"for {_time(time)}"]
        return " " + " or ".join([*ends, *([] if state is None else [f"until {_electric(state)}"])])


def _rows(strings: list[str], indent: str) -> list[str]:
    return ["[\n" + "".join(f'{indent}    "{string}",\n' for string in strings) + f"{indent}]"] if strings else []


def _electric(quantity: Quantity) -> str:
    """Write a voltage, or a magnitude: a current, a power, a resistance, or a rate as C/3 or 0.5C."""
    if quantity.dimension is Dimension.VOLTAGE:
        return f"{amounts.decimal(quantity.value)} V"
    size = abs(quantity.value)
    if quantity.dimension in _UNITS:
        return f"{amounts.decimal(size)} {_UNITS[quantity.dimension]}"
    if quantity.dimension is Dimension.CURRENT:
        return f"{amounts.decimal(size)} A" if size >= 1 else f"{amounts.decimal(size * 1000)} mA"
    return f"C/{size.denominator}" if size.numerator == 1 and size < 1 else f"{amounts.decimal(size)}C"


def _time(quantity: Quantity) -> str:
    for word, unit in _TIMES.items():
        count = amounts.times(quantity, unit)
        if count.denominator == 1 or unit == "s":
            return f"{amounts.decimal(count)} {word}{'' if count == 1 else 's'}"
    raise AssertionError(quantity)
