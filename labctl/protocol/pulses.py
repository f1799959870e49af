"""Tests of pulses by name (pulse, GITT, PITT, HPPC, ICI): their keys, and the plain steps that they unfold to.

Every current, time and voltage that is not a default comes from the file; a default says where it is from.
"""

from abc import abstractmethod
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictInt, model_validator

from labctl.protocol.endings import When
from labctl.protocol.model import AnyVoltage, Bounds, Magnitude, Record, SignedCurrent, VoltageChange, VoltageSpan
from labctl.protocol.verbs import Named
from labctl.quantity import Dimension, Duration, Quantity, WordingError, Written, parse
from labctl.table import Model

PlainStep = dict[str, object]

MOST_PULSES = 10_000
MOST_STAIRS = 500

_DENSE, _SPARSE = "1 s", "60 s"
"""Longest time between two rows in a pulse, and while the cell relaxes: there the first mV are dense by themselves."""


def _some_current(current: Quantity) -> Quantity:
    if current.value == 0:
        raise WordingError("a current of zero is no current", 'write "C/10" to charge, "-C/10" to discharge')
    return current


Current = Annotated[SignedCurrent, AfterValidator(_some_current)]
Rate = Annotated[Quantity, Written((Dimension.RATE,), positive=True)]
Share = Annotated[Quantity, Written((Dimension.RATIO,), positive=True)]
Count = Annotated[StrictInt, Field(ge=1, le=MOST_PULSES)]


def _time(text: str) -> Quantity:
    return parse(text, Dimension.TIME)


class Test(Named):
    """A test by its name; `record` and `limits` hold for all of its steps."""

    record: Record = Record()
    limits: Bounds = Bounds()

    @abstractmethod
    def steps(self) -> list[PlainStep]:
        """Return the plain steps of the test."""

    def rows(self, interval: str) -> PlainStep:
        """Return the record rule of a step: dense where the voltage moves; what the file says goes first."""
        said = {key: str(getattr(self.record, key)) for key in sorted(self.record.model_fields_set)}
        return {"interval": interval, "voltage": "1 mV", **said}

    def drive(self, current: str, time: str, voltage: str | None, reached: str) -> PlainStep:
        """Return a current, with its sign, for a time, and what is done where it reaches a voltage."""
        verb, magnitude = ("discharge", current[1:]) if current.startswith("-") else ("charge", current.lstrip("+"))
        step: PlainStep = {verb: magnitude.strip(), "until": [time], "record": self.rows(_DENSE)}
        if voltage is None:
            return step
        if reached == "clamp":
            return {**step, "cv": voltage}
        return {**step, "until": [time, voltage if reached == "skip" else {"when": voltage, "then": "break"}]}

    def relax(self, time: str, relaxed: str | None = None) -> PlainStep:
        """Return a rest, and what ends it earlier."""
        until = {} if relaxed is None else {"until": relaxed}
        return {"rest": time, **until, "record": self.rows(_SPARSE)}


def _loop(passes: int, *steps: PlainStep) -> PlainStep:
    return {"repeat": passes, "counts": "none", "do": list(steps)}


class Pulse(Model):
    """One current pulse and the relaxation after it.

    `reached` says what is done where the pulse reaches `until`: it is cut short (skip) or held there (clamp).
    """

    current: Current = Field(examples=['"1C"'])
    time: Duration = _time("10 s")
    rest: Duration = _time("10 min")
    relaxed: When | None = None
    until: AnyVoltage | None = None
    reached: Literal["skip", "clamp"] = "skip"


class PulseStep(Test):
    """One current pulse and the relaxation after it."""

    pulse: Pulse

    def steps(self) -> list[PlainStep]:
        """Return the pulse, then the rest."""
        keys = self.pulse
        voltage = None if keys.until is None else str(keys.until)
        pulse = self.drive(str(keys.current), str(keys.time), voltage, keys.reached)
        return [pulse, self.relax(str(keys.rest), _text(keys.relaxed))]


class Gitt(Model):
    """Galvanostatic intermittent titration (Weppner, Huggins, J. Electrochem. Soc. 124, 1569, 1977).

    The durations are common practice at C/10. `reached` says what is done where a pulse reaches `until`: the test is
    over (end), the pulse is cut short (skip) or held there (clamp); the last two go on until all `pulses` are done.
    """

    current: Current = Field(examples=['"C/10"'])
    until: AnyVoltage = Field(examples=['"4.2 V"'])
    pulse: Duration = _time("10 min")
    rest: Duration = _time("1 h")
    relaxed: When | None = None
    reached: Literal["end", "skip", "clamp"] = "end"
    pulses: Count = 200


class GittStep(Test):
    """Galvanostatic intermittent titration: pulses between rests, up to a voltage."""

    gitt: Gitt

    def steps(self) -> list[PlainStep]:
        """Return a rest and a pulse again and again, then the rest that follows the last one."""
        keys = self.gitt
        rest = self.relax(str(keys.rest), _text(keys.relaxed))
        pulse = self.drive(str(keys.current), str(keys.pulse), str(keys.until), keys.reached)
        return [_loop(keys.pulses, rest, pulse), rest]


class Ici(Model):
    """Intermittent current interruption (Chien et al., Nature Communications 14, 2289, 2023), at C/5 or slower."""

    current: Current = Field(examples=['"C/10"'])
    until: AnyVoltage = Field(examples=['"4.2 V"'])
    every: Duration = _time("5 min")
    pause: Duration = _time("10 s")
    pauses: Count = 2000


class IciStep(Test):
    """A constant current with short interruptions, up to a voltage."""

    ici: Ici

    def steps(self) -> list[PlainStep]:
        """Return the current and its interruption, again and again."""
        keys = self.ici
        pause: PlainStep = {"rest": str(keys.pause), "record": self.rows(_DENSE)}
        return [_loop(keys.pauses, self.drive(str(keys.current), str(keys.every), str(keys.until), "end"), pause)]


class Pitt(Model):
    """Potentiostatic intermittent titration (Wen, Boukamp, Huggins, Weppner, J. Electrochem. Soc. 126, 2258, 1979).

    Each voltage is held until the current has fallen to `cut_off`, `hold` at the longest.
    """

    from_: AnyVoltage = Field(alias="from", examples=['"3.0 V"'])
    to: AnyVoltage = Field(examples=['"4.2 V"'])
    max_current: Magnitude = Field(examples=['"1 mA"'])
    cut_off: Magnitude = Field(examples=['"C/100"'])
    step: VoltageChange = parse("10 mV", Dimension.VOLTAGE)
    hold: Duration = _time("1 h")

    @model_validator(mode="after")
    def _is_a_stair(self) -> Self:
        if self.from_.dimension is not self.to.dimension or self.from_.value == self.to.value:
            raise WordingError(
                f'"{self.from_}" to "{self.to}" is no way', "write two voltages, both at the terminals or both vs Li"
            )
        if self.stairs > MOST_STAIRS:
            raise WordingError(f"this makes {self.stairs} steps", f"let it be {MOST_STAIRS} at most")
        return self

    @property
    def stairs(self) -> int:
        """How many steps lead from the first voltage to the last."""
        return -(-abs(self.to.value - self.from_.value) // self.step.value)


class PittStep(Test):
    """Potentiostatic intermittent titration: from voltage to voltage, each held until the current has fallen."""

    pitt: Pitt

    def steps(self) -> list[PlainStep]:
        """Return one constant voltage for each stair, the first one included."""
        keys = self.pitt
        way = keys.step.value if keys.to.value > keys.from_.value else -keys.step.value
        voltages = [keys.from_.value + way * number for number in range(keys.stairs)] + [keys.to.value]
        unit = "V vs Li" if keys.to.reference else "V"
        held = {"max_current": str(keys.max_current), "until": [str(keys.cut_off), str(keys.hold)]}
        return [{"cv": _number(voltage, unit), **held, "record": self.rows(_DENSE)} for voltage in voltages]


class Hppc(Model):
    """Hybrid pulse power characterisation, as in the DOE/INL battery test manuals (INL/EXT-14-32849).

    A discharge pulse, a pause and a regenerative pulse of 75 % of it, at every 10 % of the capacity from a full and
    rested cell downwards; the rate between them is ours. A pulse that reaches its side of `window` is held there
    (clamp) or cut short (skip); between pulses the lower voltage ends the test.
    """

    current: Rate = Field(examples=['"1C"'])
    window: VoltageSpan = Field(examples=['["2.5 V", "4.2 V"]'])
    regen: Rate | None = None
    pulse: Duration = _time("10 s")
    pause: Duration = _time("40 s")
    base: Rate = parse("C/3", Dimension.RATE)
    each: Share = parse("10 %", Dimension.RATIO)
    rest: Duration = _time("1 h")
    pairs: Count = 10
    reached: Literal["skip", "clamp"] = "clamp"

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        if self.between <= 0:
            raise WordingError(f'the pulses alone move more than "{self.each}"', "shorten them, or make each larger")
        return self

    @property
    def back(self) -> Fraction:
        """The regenerative pulse as a rate."""
        return self.current.value * Fraction(3, 4) if self.regen is None else self.regen.value

    @property
    def between(self) -> Fraction:
        """Seconds at `base` that are left of one share of the capacity when the pulses have taken theirs."""
        by_pulses = (self.current.value - self.back) * self.pulse.value
        return (self.each.value * 3600 - by_pulses) / self.base.value


class HppcStep(Test):
    """Hybrid pulse power characterisation: a pair of pulses at every tenth of the capacity."""

    hppc: Hppc

    def steps(self) -> list[PlainStep]:
        """Return pulse, pause, pulse, the way to the next pair, and its rest, again and again."""
        keys = self.hppc
        low, high = (str(voltage) for voltage in keys.window)
        return [
            _loop(
                keys.pairs,
                self.drive(f"-{keys.current}", str(keys.pulse), low, keys.reached),
                {"rest": str(keys.pause), "record": self.rows(_DENSE)},
                self.drive(_number(keys.back, "C"), str(keys.pulse), high, keys.reached),
                self.drive(f"-{keys.base}", _number(keys.between, "s"), low, "end"),
                self.relax(str(keys.rest)),
            )
        ]


def _text(condition: When | None) -> str | None:
    return None if condition is None else condition.text


def _number(value: Fraction, unit: str) -> str:
    return f"{float(value):.12g} {unit}"
