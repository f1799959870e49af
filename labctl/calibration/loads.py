"""The protocol of a load cell's calibration: the operator applies known forces, up and down, and types their values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from labctl.calibration.loadcell import Load
from labctl.calibration.torque import Direction
from labctl.plan import SIDES, Side

LOAD_CELL_NAMES: dict[Side, str] = {side: f"calibrate-loadcell-{side}" for side in SIDES}
LAST = 5
"""Rows before the answer whose mean is the reading."""

_HEAD = """\
schema = "1"

[protocol]
name  = "{name}"
title = "Load cell of the {side} side of {station} against known forces"

[inputs]
uncertainty = {{ default = "{uncertainty:.6g} %", help = "of the reference, at 95 %" }}

[cell]
kind = "blocking"

[limits]
voltage  = ["-10 V", "10 V"]
current  = "1 mA"
capacity = "1 mAh"

[record]
interval = "{interval:g} s"

"""


@dataclass(frozen=True, slots=True)
class LoadProcedure:
    """What the calibration of a load cell asks for.

    Attributes:
        forces: N, of one way up, ascending.
        uncertainty: relative, of the reference, at 95 %.
        interval: s, between two rows.
    """

    station: str
    side: Side
    forces: tuple[float, ...]
    series: int
    uncertainty: float
    interval: float

    def text(self) -> str:
        """Return it as a protocol."""
        head = _HEAD.format(
            name=LOAD_CELL_NAMES[self.side],
            side=self.side,
            station=self.station,
            uncertainty=100.0 * self.uncertainty,
            interval=self.interval,
        )
        return head + "\n".join(
            self._ask(series, direction, level)
            for series in range(1, self.series + 1)
            for direction, levels in (("up", range(len(self.forces))), ("down", reversed(range(len(self.forces)))))
            for level in levels
        )

    def _ask(self, series: int, direction: str, level: int) -> str:
        text = (
            f"Series {series} of {self.series}, {direction}: put about {self.forces[level]:.4g} N on the load cell of "
            f"the {self.side} side and wait until it is steady. What force does the reference (±{{uncertainty}}) tell?"
        )
        name, prompt = f"load {direction} {series} {level + 1}", json.dumps(text, ensure_ascii=False)
        return f'[[step]]\nname = "{name}"\nprompt = {prompt}\nquantity = "force"\n'


def load_points(
    names: Mapping[int, str], answers: Mapping[int, float], readings: Mapping[int, Sequence[float]]
) -> list[Load]:
    """Return the loads of a run, from what was typed and read, N; all by the count of its executed steps."""
    loads: list[Load] = []
    for count, answer in sorted(answers.items()):
        match names.get(count, "").split():
            case ["load", "up" | "down" as way, series, level] if readings.get(count):
                direction: Direction = "up" if way == "up" else "down"
                mean = fmean(readings[count][-LAST:])
                loads.append(Load(int(series), int(level), direction, answer, mean))
    return loads
