"""Draws a case from a seed: stations of random make-up, protocols that bind, and whatever may befall them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from labctl.drill.case import BusTrouble, Case, Death, Place, Say, Step, Word
from labctl.sim.chance import random_script
from labctl.sim.schedule import HAPPENS_TO, Scheduled

MOST_STATIONS = 3
LONG = 2.0
"""Hours from which a laboratory has one station: stations together are looked at in many short ones."""


@dataclass(frozen=True, slots=True)
class _Chemistry:
    """A preset and what a protocol may ask of it: V, and how its electrodes are written."""

    preset: str
    window: tuple[float, float]
    electrodes: str


_CHEMISTRIES = (
    _Chemistry(
        "nmc83-li",
        (2.5, 4.3),
        'positive = { active_loading = "14 mg/cm2", diameter = "10 mm", one_c = "200 mA/g" }\n'
        'negative = { material = "Li", potential = "0 V vs Li" }',
    ),
    _Chemistry(
        "nmc721-liin",
        (2.1, 3.7),
        'positive = { active_loading = "25.2 mg/cm2", diameter = "10 mm", one_c = "150 mA/g" }\n'
        'negative = { material = "Li-In", potential = "0.62 V vs Li" }',
    ),
    _Chemistry(
        "lno-lto",
        (1.4, 2.75),
        'positive = { active_loading = "11 mg/cm2", diameter = "10 mm", one_c = "200 mA/g" }\n'
        'negative = { material = "LTO", potential = "1.55 V vs Li" }',
    ),
)


@dataclass(frozen=True, slots=True)
class _Plant:
    """What stands at a station."""

    programs: bool
    chemistry: _Chemistry
    screw: bool
    positive_side: bool
    thermostat: bool
    hottest: int
    """°C that its protocol allows."""

    @property
    def instruments(self) -> list[str]:
        """Their names, and those of what else can suffer."""
        names = ["cycler", "cell"]
        if self.screw:
            names += ["load_cell.negative", "pressure_rig.negative", "rig"]
        if self.positive_side:
            names.append("load_cell.positive")
        if self.thermostat:
            names += ["thermostat", "room"]
        return names


def generate(seed: int, hours: float) -> Case:
    """Draw the case of a seed that lasts so many hours of lab time."""
    draw = Random(f"case {seed}")
    duration = hours * 3600.0
    count = min(draw.choice((1, 1, 1, 1, 2, 2, MOST_STATIONS)), MOST_STATIONS if hours < LONG else 1)
    places = tuple(_place(draw, f"S{number}", duration) for number in range(1, count + 1))
    deaths: list[Death] = []
    at = 0.0
    for _ in range(draw.choice((0, 0, 1, 2))):
        at += draw.uniform(20.0, duration / 2)
        away = draw.choice((0.0, 1.0, 30.0, 300.0, 2000.0))
        if at + away < duration - 60.0:
            deaths.append(Death(round(at, 2), away, round(draw.choice((0.0, 0.0, draw.random())), 3)))
        at += away
    trouble = BusTrouble()
    if draw.random() < 0.5:
        silent = 0.02 if draw.random() < 0.2 else 0.0
        trouble = BusTrouble(draw.choice((0.0, 0.05)), silent, draw.choice((0.0, 0.1)))
    return Case(seed, duration, places, tuple(deaths), trouble, draw.choice((0.1, 1.0, 1.0, 5.0, 30.0)))


def _place(draw: Random, name: str, duration: float) -> Place:
    screw = draw.random() < 0.5
    plant = _Plant(
        draw.random() < 0.25,
        draw.choice(_CHEMISTRIES),
        screw,
        screw and draw.random() < 0.5,
        draw.random() < (0.6 if screw else 0.2),
        draw.choice((28, 40, 60)),
    )
    words = [Word(round(draw.uniform(0.0, duration), 2), draw.choice(_SAID)) for _ in range(draw.randrange(6))]
    return Place(
        name,
        _config(draw, name, plant),
        _head(draw, plant),
        tuple(_steps(draw, plant)),
        _faults(draw, plant, duration),
        tuple(sorted(words, key=lambda word: word.at)),
        draw.choice((5.0, 60.0, 600.0)),
        draw.choice((0.0, 5.0, 120.0)),
    )


_SAID = (Say.PAUSE, Say.PAUSE, Say.RESUME, Say.RESUME, Say.RESUME, Say.SKIP, Say.STOP, Say.NOTE)


def _faults(draw: Random, plant: _Plant, duration: float) -> tuple[Scheduled, ...]:
    count = draw.choice((0, 1, 1, 2, 3))
    faults = random_script(draw, plant.instruments, duration, count)
    # a rig that is a press has nothing that slips
    return tuple(fault for fault in faults if plant.screw or HAPPENS_TO.get(fault.kind) != "rig")


# -- config.toml -------------------------------------------------------------------------------------------------------

_LOAD_CELL = """[station.{name}.load_cell.{side}]
driver = "mark10"
address = "sim://"
capacity = "{capacity}"
"""
_SCREW = """[station.{name}.pressure_rig.negative]
driver = "dynamixel-x"
address = "sim://"
direction = "clockwise"
reduction = 1.0
torque_limit = "1 N m"
travel = "30 rad"
"""
_THERMOSTAT = """[station.{name}.thermostat]
driver = "julabo"
address = "sim://"
minimum = "5 degC"
maximum = "80 degC"
external_probe = {probe}
"""


def _config(draw: Random, name: str, plant: _Plant) -> str:
    parts = [f'[station.{name}.cycler]\naddress = "sim://"\n']
    if plant.programs:
        parts.append('driver = "simulated-cycler"\nchannel = 1\n')
    else:
        parts.append(f'driver = "keithley-2450"\nfour_wire = true\npoll = "{draw.choice(("1 s", "0.5 s"))}"\n')
    if plant.screw:
        parts += [_LOAD_CELL.format(name=name, side="negative", capacity="500 N"), _SCREW.format(name=name)]
    if plant.positive_side:
        parts.append(_LOAD_CELL.format(name=name, side="positive", capacity="50 N"))
    if plant.thermostat:
        parts.append(_THERMOSTAT.format(name=name, probe=draw.choice(("true", "false"))))
    parts.append(f'[station.{name}.limits]\nvoltage = ["0 V", "5 V"]\ncurrent = "10 mA"\n')
    if plant.thermostat:
        parts.append('temperature = ["5 degC", "80 degC"]\n')
    if plant.screw:
        parts.append('pressure.negative = ["0 MPa", "5 MPa"]\n')
    parts.append(f'[station.{name}.simulation.cell]\npreset = "{plant.chemistry.preset}"\n')
    if not plant.screw:
        parts.append(f'[station.{name}.simulation.rig]\nkind = "press"\nforce = "59.7 kN"\n')
    return "".join(parts)


# -- the protocol ------------------------------------------------------------------------------------------------------


def _head(draw: Random, plant: _Plant) -> str:
    low, high = plant.chemistry.window
    margin = draw.choice((0.05, 0.1, 0.3))
    lines = [
        'schema = "1"',
        '[protocol]\nname = "drill"',
        f'[cell]\nkind = "full"\nbore = "10 mm"\n{plant.chemistry.electrodes}',
        "[limits]",
        f'voltage = ["{low - margin:.4g} V", "{high + margin:.4g} V"]',
        f'current = "{draw.choice(("3 mA", "6 mA", "9 mA"))}"',
        f'capacity = "{draw.choice((20, 60, 250))} mAh/g"',
    ]
    if plant.thermostat:
        lines.append(f'temperature = ["10 degC", "{plant.hottest} degC"]')
    if plant.screw:
        lines.append(f'pressure.negative = ["0 MPa", "{draw.choice((2.2, 3.0, 4.0))} MPa"]')
    lines.append(f'[record]\ninterval = "{draw.choice(("1 s", "10 s", "60 s"))}"')
    if draw.random() < 0.3:
        lines[-1] += '\nvoltage = "10 mV"'
    policy = draw.choice(("wait", "resume", "resume", "ask", "safe"))
    lines.append(f'[outage]\npolicy = "{policy}"\nmax_gap = "{draw.choice(("10 s", "10 min", "1 h"))}"')
    return "\n".join(lines) + "\n"


def _steps(draw: Random, plant: _Plant) -> list[Step]:
    steps: list[Step] = []
    if plant.thermostat and draw.random() < 0.4:
        steps.append(_temperature(draw, plant))
    if plant.screw and draw.random() < 0.8:
        steps.append(_pressure(draw))
    return [*steps, *(_node(draw, plant) for _ in range(draw.randint(1, 3)))]


def _node(draw: Random, plant: _Plant) -> Step:
    kind = draw.random()
    if kind < 0.5:
        body = [_charge(draw, plant), *(_rest(draw) for _ in range(draw.randrange(2))), _discharge(draw, plant)]
        return {"repeat": draw.randint(1, 4), "counts": "cycle", "do": body}
    if kind < 0.6:
        return {
            "if": f"voltage > {_inside(draw, plant.chemistry)} V",
            "do": [_discharge(draw, plant)],
            "else": [_charge(draw, plant), _rest(draw)],
        }
    if kind < 0.65:
        rates = draw.sample(["C/10", "C/5", "C/2", "1C"], 2)
        charge = {**_charge(draw, plant), "charge": "{rate}"}
        return {"for": {"rate": rates}, "do": [charge, _rest(draw)]}
    return _verb(draw, plant)


def _verb(draw: Random, plant: _Plant) -> Step:
    choices: list[Callable[[], Step]] = [
        lambda: _rest(draw),
        lambda: _charge(draw, plant),
        lambda: _discharge(draw, plant),
        lambda: _hold(draw, plant),
        lambda: {"prompt": "Is it well?", "answers": ["yes", "no"], "simulated": "yes"},
        lambda: _power(draw, plant),
        lambda: _load(draw, plant),
        lambda: _sweep(draw, plant),
        lambda: {"park": "Take the cell.", "max": _minutes(draw, 20.0)},
    ]
    if plant.programs:
        choices.append(lambda: _spectrum(draw))
    if plant.screw:
        choices.append(lambda: _pressure(draw))
    if plant.thermostat:
        choices.append(lambda: _temperature(draw, plant))
    return draw.choice(choices)()


def _minutes(draw: Random, most: float) -> str:
    return f"{max(1, round(math.exp(draw.uniform(0.0, math.log(most)))))} min"


def _inside(draw: Random, chemistry: _Chemistry) -> str:
    low, high = chemistry.window
    return f"{draw.uniform(low + 0.3, high - 0.1):.3g}"


def _rate(draw: Random) -> str:
    return draw.choice(("C/10", "C/5", "C/2", "1C"))


def _rest(draw: Random) -> Step:
    return {"rest": _minutes(draw, 30.0)}


def _charge(draw: Random, plant: _Plant) -> Step:
    high = plant.chemistry.window[1]
    if draw.random() < 0.35:
        ends = [f"current < {draw.choice(('C/20', 'C/50'))}", f"cv_time >= {_minutes(draw, 20.0)}"]
        return {"charge": _rate(draw), "cv": f"{high} V", "until": ends, "timeout": _minutes(draw, 60.0)}
    return {"charge": _rate(draw), "until": [f"{high} V", _minutes(draw, 60.0)]}


def _discharge(draw: Random, plant: _Plant) -> Step:
    return {"discharge": _rate(draw), "until": [f"{plant.chemistry.window[0]} V", _minutes(draw, 60.0)]}


def _hold(draw: Random, plant: _Plant) -> Step:
    return {"cv": f"{_inside(draw, plant.chemistry)} V", "max_current": _rate(draw), "until": _minutes(draw, 20.0)}


def _power(draw: Random, plant: _Plant) -> Step:
    low, high = plant.chemistry.window
    charges = draw.random() < 0.5
    power = f"{'' if charges else '-'}{draw.choice((1, 3, 6))} mW"
    return {"power": power, "max_current": "3 mA", "until": [f"{high if charges else low} V", _minutes(draw, 30.0)]}


def _load(draw: Random, plant: _Plant) -> Step:
    ends = [f"{plant.chemistry.window[0]} V", _minutes(draw, 30.0)]
    return {"resistance": f"{draw.choice((1, 2, 5))} kOhm", "max_current": "3 mA", "until": ends}


def _sweep(draw: Random, plant: _Plant) -> Step:
    corners = ["ocv", *(f"{_inside(draw, plant.chemistry)} V" for _ in range(draw.randint(1, 2)))]
    return {"sweep": corners, "rate": f"{draw.choice((0.5, 1, 3))} mV/s", "max_current": "2 mA"}


def _spectrum(draw: Random) -> Step:
    lowest = draw.choice(("100 Hz", "1 Hz", "0.1 Hz"))
    return {"eis": {"from": "100 kHz", "to": lowest, "amplitude": "10 mV rms", "per_decade": draw.choice((3, 10))}}


def _pressure(draw: Random) -> Step:
    target = {
        "negative": f"{draw.choice((0.5, 1.0, 2.0, 2.1))} MPa",
        "ramp": f"{draw.choice((0.02, 0.1))} MPa/s",
        "control": draw.choice(("force", "force", "gap")),
    }
    return {"pressure": target, "until": "stable within 3 % for 30 s", "timeout": "15 min"}


def _temperature(draw: Random, plant: _Plant) -> Step:
    celsius = draw.choice([celsius for celsius in (20, 25, 27, 38) if celsius < plant.hottest])
    return {
        "temperature": f"{celsius} degC",
        "of": "chamber",
        "until": "stable within 1 K for 1 min",
        "timeout": _minutes(draw, 90.0),
    }
