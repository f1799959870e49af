"""Procedures that every world can say, drawn at random, and one of them as a file."""

from fractions import Fraction

from hypothesis import strategies as st

from labctl.errors import ProtocolError
from labctl.exchange import amounts
from labctl.exchange.compose import compose
from labctl.exchange.procedure import (
    Current,
    End,
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
from labctl.plan import Then
from labctl.protocol.load import Protocol, fill
from labctl.protocol.source import Source, parse
from labctl.quantity import Dimension, Quantity

KIND = {"cell.kind": "full"}

UNICYCLER = """\
{
  "unicycler": {"version": "0.4.6"},
  "sample": {"name": "$NAME", "capacity_mAh": 2},
  "record": {"time_s": 10, "voltage_V": 0.1},
  "safety": {"max_voltage_V": 5, "min_voltage_V": 0, "max_current_mA": 10, "min_current_mA": -5, "delay_s": 1},
  "method": [
    {"step": "open_circuit_voltage", "until_time_s": 600, "id": null},
    {"step": "tag", "tag": "longterm"},
    {"step": "constant_current", "rate_C": 0.3333333333333333, "current_mA": null, "until_voltage_V": 4.2},
    {"step": "constant_voltage", "voltage_V": 4.2, "until_rate_C": "C/20", "until_time_s": ""},
    {"step": "constant_current", "rate_C": "D/2", "until_voltage_V": "3.0", "until_time_s": 36000},
    {"step": "loop", "loop_to": "longterm", "cycle_count": 3}
  ]
}
"""
"""A file of aurora-unicycler, spelled in all the ways that it allows."""


def some(least: int, most: int, places: int, unit: str, dimension: Dimension) -> st.SearchStrategy[Quantity]:
    """Decimal numbers of a unit, between two whole ones."""
    scale = 10**places
    numbers = st.integers(least * scale + 1, most * scale - 1)
    return numbers.map(lambda number: amounts.amount(Fraction(number, scale), unit, dimension))


HIGH = some(3, 4, 3, "V", Dimension.VOLTAGE).map(lambda v: amounts.spell(v.value + Fraction(1, 2), Dimension.VOLTAGE))
LOW = some(2, 3, 3, "V", Dimension.VOLTAGE)
TIMES = some(0, 400_000, 0, "s", Dimension.TIME) | some(1, 500, 0, "h", Dimension.TIME)
MILLIAMPERES = some(0, 30, 4, "mA", Dimension.CURRENT)
RATES = st.fractions(Fraction(1, 200), 3, max_denominator=200).map(lambda f: amounts.spell(f, Dimension.RATE))
CURRENTS = MILLIAMPERES | RATES
NAMES = st.just("") | st.text("abcdefg µ", min_size=1, max_size=8).map(str.strip)
LIMITS = Limits(
    lowest=amounts.amount(Fraction(3, 2), "V", Dimension.VOLTAGE),
    highest=amounts.amount(Fraction(5), "V", Dimension.VOLTAGE),
    current=amounts.amount(Fraction(1000), "mA", Dimension.CURRENT),
    capacity=amounts.amount(Fraction(12345, 10), "mAh", Dimension.CHARGE),
)


def reached(voltage: Quantity, charges: bool) -> End:
    return End(Measured.VOLTAGE, charges, voltage)


def after(time: Quantity, measured: Measured = Measured.TIME, then: Then = Then.NEXT) -> End:
    return End(measured, True, time, then)


def below(current: Quantity) -> End:
    return End(Measured.CURRENT, False, current)


def ends_of(*each: st.SearchStrategy[End]) -> st.SearchStrategy[tuple[End, ...]]:
    """At least one of these, in their order."""
    optional = [st.none() | one for one in each]
    drawn = st.tuples(*optional).map(lambda found: tuple(end for end in found if end is not None))
    return drawn.filter(bool)


@st.composite
def currents(draw: st.DrawFn) -> Current:
    charges = draw(st.booleans())
    magnitude, voltage = draw(CURRENTS), draw(HIGH if charges else LOW)
    current = magnitude if charges else amounts.spell(-magnitude.value, magnitude.dimension)
    name = draw(NAMES)
    if draw(st.booleans()):
        ends = draw(ends_of(CURRENTS.map(below), TIMES.map(lambda time: after(time, Measured.CV_TIME))))
        return Current(name=name, current=current, cv=voltage, ends=ends)
    ends = draw(ends_of(st.just(reached(voltage, charges)), TIMES.map(after)))
    return Current(name=name, current=current, ends=ends)


RESTS = st.builds(Rest, name=NAMES, time=TIMES)
SINGLE = RESTS | currents()
VOLTAGES = st.builds(
    Voltage, name=NAMES, voltage=HIGH, most=CURRENTS, ends=ends_of(CURRENTS.map(below), TIMES.map(after))
)


LOADS = st.builds(
    lambda load, high, low, time: Load(
        load=load, ends=(reached(high if load.value > 0 else low, load.value > 0), after(time))
    ),
    some(-30, 30, 2, "mW", Dimension.POWER).filter(lambda power: power.value != 0),
    HIGH,
    LOW,
    TIMES,
) | st.builds(
    lambda load, low: Load(load=load, ends=(reached(low, charges=False),)),
    some(1, 900, 1, "Ohm", Dimension.RESISTANCE),
    LOW,
)
SWEEPS = st.builds(Sweep, start=LOW, stop=HIGH, rate=some(0, 2, 3, "mV/s", Dimension.VOLTAGE_RATE), most=MILLIAMPERES)


SPECTRA = st.builds(
    Spectrum,
    name=NAMES,
    start=some(1, 900, 2, "kHz", Dimension.FREQUENCY),
    stop=some(1, 900, 2, "mHz", Dimension.FREQUENCY),
    peak=some(0, 20, 3, "mV", Dimension.VOLTAGE) | some(0, 20, 3, "mA", Dimension.CURRENT),
    per_decade=st.integers(1, 50),
)


def bodies(steps: st.SearchStrategy[Step]) -> st.SearchStrategy[tuple[Step, ...]]:
    return st.lists(steps, min_size=1, max_size=4).map(tuple)


LOOPS = st.builds(Loop, passes=st.integers(1, 1000), body=bodies(SINGLE))
NESTED = st.builds(Loop, passes=st.integers(1, 1000), body=bodies(SINGLE | LOOPS))
RECORDS = st.builds(
    Record,
    interval=some(0, 600, 2, "s", Dimension.TIME),
    voltage=st.none() | some(0, 1, 4, "V", Dimension.VOLTAGE),
    current=st.none() | some(0, 1, 4, "mA", Dimension.CURRENT),
)
PROCEDURES = st.builds(
    Procedure,
    name=st.just("some"),
    steps=bodies(SINGLE | NESTED),
    capacity=some(0, 100, 3, "mAh", Dimension.CHARGE),
    limits=st.just(LIMITS),
    record=RECORDS,
)


def source(procedure: Procedure, **given: str) -> Source:
    """The procedure as a labctl protocol; what it does not say is given."""
    return parse("some.toml", compose(procedure, KIND | given, Remarks("some", "labctl")), ProtocolError)


def loaded(procedure: Procedure) -> Protocol:
    return fill(source(procedure), {})
