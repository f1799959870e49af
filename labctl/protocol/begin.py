"""A first protocol from a few answers: a cell cycled between two voltages. What steers it is asked, never guessed."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from labctl.quantity import Dimension, Quantity, WordingError, parse

_CURRENTS = (Dimension.RATE, Dimension.CURRENT, Dimension.CURRENT_DENSITY, Dimension.SPECIFIC_CURRENT)
_CHARGES = (Dimension.SPECIFIC_CHARGE, Dimension.CHARGE, Dimension.AREAL_CHARGE)
_VOLTAGES = (Dimension.POTENTIAL, Dimension.VOLTAGE)

BEYOND = 0.1
"""V between a cut-off and the limit behind it."""
HEADROOM = 1.2
"""The limit of current, as a multiple of the current."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask; `allowed` says what the answer measures, none: any text. An optional one may stay empty."""

    name: str
    text: str
    allowed: tuple[Dimension, ...] = ()
    optional: bool = False

    def check(self, answer: str) -> None:
        """Refuse an answer that says nothing; raises WordingError."""
        if not answer.strip():
            if not self.optional:
                raise WordingError("this is empty", "it steers the experiment: nobody can guess it")
        elif self.allowed:
            parse(answer, *self.allowed)
        elif "{" in answer or "}" in answer or not answer.isprintable():
            raise WordingError("this has braces or control characters", "write a few plain words")


QUESTIONS = (
    Question("positive", "Material of the positive electrode"),
    Question("loading", 'Its active loading, such as "14 mg/cm2"', (Dimension.LOADING,)),
    Question("diameter", 'Its diameter, such as "10 mm"', (Dimension.LENGTH,)),
    Question("one-c", 'The specific current of 1C, such as "200 mA/g"', (Dimension.SPECIFIC_CURRENT,)),
    Question("negative", "Material of the negative electrode"),
    Question("potential", 'Its potential, such as "0.62 V vs Li"', (Dimension.POTENTIAL,)),
    Question("current", 'Current of charge and discharge, such as "C/10" or "0.2 mA/cm2"', _CURRENTS),
    Question(
        "upper", 'Voltage at which the charge stops, such as "4.3 V vs Li", or "3.7 V" at the terminals', _VOLTAGES
    ),
    Question("lower", "Voltage at which the discharge stops", _VOLTAGES),
    Question("hold", 'Current at which a hold at the upper voltage ends, such as "C/20"; empty: none', _CURRENTS, True),
    Question("capacity", 'The most charge that one step may move, such as "300 mAh/g"', _CHARGES),
    Question("timeout", 'The longest that a charge or discharge may take, such as "20 h"', (Dimension.TIME,)),
    Question(
        "temperature", 'Temperature of the cell, such as "30 degC"; empty: as it is', (Dimension.TEMPERATURE,), True
    ),
    Question("pressure", 'Pressure on the negative side, such as "5 MPa"; empty: none', (Dimension.PRESSURE,), True),
    Question("bore", 'Bore of the die, such as "10 mm"; empty where there is no pressure', (Dimension.LENGTH,), True),
)
"""What is asked besides the name and the number of cycles, in this order."""


def protocol_text(name: str, cycles: int, answers: Mapping[str, str]) -> str:
    """Return a protocol that does what the answers say; each was found right by its question."""
    said = {key: _quoted(answer) for key, answer in answers.items() if answer.strip()}
    bore = f"bore = {said['bore']}\n" if "bore" in said else ""
    title = f"{answers['positive']} | {answers['negative']}, {answers['current']}"
    low, high = _shifted(answers["lower"], -BEYOND), _shifted(answers["upper"], BEYOND)
    return f"""\
schema = "1"

[protocol]
name = {_quoted(name)}
title = {_quoted(title)}

[inputs]
cycles = {{ default = {cycles}, min = 1, help = "number of cycles" }}
current = {{ default = {said["current"]}, help = "charge and discharge" }}

[cell]
kind = "full"
{bore}positive = {{ material = {said["positive"]}, active_loading = {said["loading"]}, \
diameter = {said["diameter"]}, one_c = {said["one-c"]} }}
negative = {{ material = {said["negative"]}, potential = {said["potential"]} }}

[limits]
voltage = [{low}, {high}]   # {BEYOND} V around the cut-offs
current = {_scaled(answers["current"], HEADROOM)}
capacity = {said["capacity"]}
{_limits(answers)}
[record]
interval = "60 s"
voltage = "5 mV"
{_surroundings(said)}
[[step]]
name = "cycling"
repeat = "{{cycles}}"
counts = "cycle"
do = [
  {{ charge = "{{current}}", {_charge_end(said)}, timeout = {said["timeout"]} }},
  {{ discharge = "{{current}}", until = {said["lower"]}, timeout = {said["timeout"]} }},
]
"""


def _charge_end(said: Mapping[str, str]) -> str:
    return f"cv = {said['upper']}, until = {said['hold']}" if "hold" in said else f"until = {said['upper']}"


def _limits(answers: Mapping[str, str]) -> str:
    """Limit what is controlled: the temperature to 10 K around it, the pressure to half as much again."""
    lines = ""
    if answers.get("temperature", "").strip():
        celsius = float(parse(answers["temperature"], Dimension.TEMPERATURE))
        lines += f'temperature = ["{celsius - 10:g} degC", "{celsius + 10:g} degC"]\n'
    if answers.get("pressure", "").strip():
        lines += f'pressure.negative = ["0 MPa", {_scaled(answers["pressure"], 1.5)}]\n'
    return lines


def _surroundings(said: Mapping[str, str]) -> str:
    """Write the steps that come before the first cycle."""
    steps = ""
    if "temperature" in said:
        steps += f"""
[[step]]
temperature = {said["temperature"]}
of = "cell"
until = "stable within 0.5 K for 10 min"
timeout = "4 h"
"""
    if "pressure" in said:
        steps += f"""
[[step]]
pressure = {{ negative = {said["pressure"]}, ramp = "0.1 MPa/s" }}
until = "stable within 5 % for 60 s"
timeout = "1 h"
"""
    return steps


def _shifted(voltage: str, by: float) -> str:
    quantity = parse(voltage, *_VOLTAGES)
    return _quoted(f"{float(quantity) + by:.6g} V{' vs Li' if quantity.reference else ''}")


def _scaled(written: str, by: float) -> str:
    quantity: Quantity = parse(written)
    if quantity.dimension is Dimension.RATE:
        return _quoted(f"{float(quantity) * by:.6g}C")
    number = re.match(r"[+-]?[\d.]+(?:[eE][+-]?\d+)?", written.strip())
    assert number is not None, written  # it was parsed
    return _quoted(f"{float(number[0]) * by:.6g}{written.strip()[number.end() :]}")


def _quoted(text: str) -> str:
    """Write a text as TOML does, which is as JSON does."""
    return json.dumps(text.strip(), ensure_ascii=False)
