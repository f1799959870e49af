"""Steps that drive the cell, in words: constant current, voltage, power and resistance, sweeps, profiles, impedance."""

from labctl.protocol.spectrum import EisTable, GeisTable
from labctl.protocol.verbs import (
    ChargeStep,
    CurrentStep,
    DischargeStep,
    EisStep,
    GeisStep,
    Lasting,
    PowerStep,
    ProfileStep,
    ResistanceStep,
    SweepStep,
    VoltageStep,
)
from labctl.quantity import Quantity
from labctl.words.ends import ordinary, until
from labctl.words.values import Values, listed, printed

ConstantCurrentStep = ChargeStep | DischargeStep | CurrentStep


def constant_current(step: ConstantCurrentStep, values: Values, *, past: bool) -> str:
    """Say a constant current, and the constant voltage that it goes on with where there is one."""
    match step:
        case ChargeStep(charge=current):
            start = f"{'the cell was charged' if past else 'Charge'} with {values.of(current)}"
        case DischargeStep(discharge=current):
            start = f"{'the cell was discharged' if past else 'Discharge'} with {values.of(current)}"
        case CurrentStep(current=current):
            start = f"{'the cell was driven' if past else 'Drive the cell'} with {values.of(current)}"
    if step.cv is None:
        return joined(start, until(ordinary(step), "current", values, past=past))
    hold = f"{'and held' if past else 'and hold it'} there"
    part = until(ordinary(step), "constant voltage", values, past=past, whole=True)
    return joined(f"{start} to {values.voltage(step.cv)}, {hold}", part)


def constant_voltage(step: VoltageStep, values: Values, *, past: bool) -> str:
    """Say a constant voltage that stands alone."""
    start = "the cell was held" if past else "Hold the cell"
    level = f"{printed(step.cv)} above its open-circuit voltage" if step.vs else values.voltage(step.cv)
    return _ended(step, "cv", f"{start} at {level}{_most(step.max_current, values)}", values, past=past)


def constant_power(step: PowerStep, values: Values, *, past: bool) -> str:
    """Say a constant power, positive where it charges."""
    verb = "charge" if step.power.value > 0 else "discharge"
    start = f"the cell was {verb}d" if past else verb.capitalize()
    power = f"{printed(step.power).lstrip('+-')}{_most(step.max_current, values)}"
    return _ended(step, "power", f"{start} with a constant {power}", values, past=past)


def constant_resistance(step: ResistanceStep, values: Values, *, past: bool) -> str:
    """Say a discharge as by a resistor."""
    start = "the cell was discharged" if past else "Discharge"
    text = f"{start} as by a resistor of {printed(step.resistance)}{_most(step.max_current, values)}"
    return _ended(step, "resistance", text, values, past=past)


def sweep(step: SweepStep, values: Values, *, past: bool) -> str:
    """Say a sweep of the voltage from corner to corner."""
    corners = ["the open-circuit voltage" if corner == "ocv" else values.voltage(corner) for corner in step.sweep]
    way = f"from {corners[0]} to {listed(corners[1:], 'and then')} at {printed(step.rate)}"
    often = "" if step.cycles == 1 else f", {step.cycles} times"
    stairs = "" if step.resolution is None else f", in stairs of {printed(step.resolution)} or less"
    start = "the voltage was swept" if past else "Sweep the voltage"
    return _ended(step, "sweep", f"{start} {way}{_most(step.max_current, values)}{often}{stairs}", values, past=past)


def profile(step: ProfileStep, values: Values, *, past: bool) -> str:
    """Say a current or power against time that a file gives."""
    start = "the cell followed" if past else "Follow"
    between = "linearly between its points" if step.interpolation == "linear" else "each point until the next one"
    return _ended(step, "profile", f'{start} the profile "{step.profile}", {between}', values, past=past)


def spectrum(step: EisStep | GeisStep, values: Values, *, past: bool) -> str:
    """Say an impedance spectrum: its frequencies, its sine, and what that swings around."""
    table = step.eis if isinstance(step, EisStep) else step.geis
    start = "an impedance spectrum was recorded" if past else "Record an impedance spectrum"
    size = f"{values.of(table.amplitude.size)} {table.amplitude.kind}"
    band, dense = f"from {printed(table.from_)} to {printed(table.to)}", f", {table.per_decade} points per decade"
    if table.from_ == table.to:
        band, dense = f"at {printed(table.from_)} alone", ""
    text = f"{start} {band} with {size}{dense}, {_around(table, values)}"
    return joined(f"{text}{', at most' if ordinary(step) else ''}", until(ordinary(step), "eis", values, past=past))


def _around(table: EisTable | GeisTable, values: Values) -> str:
    if isinstance(table, GeisTable):
        return f"around {values.of(table.bias)}" if table.bias.value else "around no current"
    bias = "at open circuit" if table.bias == "ocv" else f"around {values.voltage(table.bias)}"
    return f"{bias}{_most(table.max_current, values)}"


def joined(start: str, rest: str) -> str:
    """Go on with a clause where there is more to say."""
    return f"{start} {rest}" if rest else start


def _ended(step: Lasting, verb: str, start: str, values: Values, *, past: bool) -> str:
    return joined(start, until(ordinary(step), verb, values, past=past))


def _most(current: Quantity | None, values: Values) -> str:
    return "" if current is None else f" with at most {values.of(current)}"
