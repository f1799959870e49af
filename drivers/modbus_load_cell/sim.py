"""A load-cell transmitter as its Modbus line sees it, with the registers that its options describe."""

import math
from collections.abc import Iterable, Mapping

from drivers.force import NEWTON
from drivers.modbus.registers import Expected, Number
from drivers.modbus.server import DEVICE_FAILURE, ILLEGAL_ADDRESS, Refusal, Server
from drivers.modbus_load_cell.driver import ModbusLoadCell
from drivers.strain_gauge import StrainGauge
from labctl.sim.bench import Bench
from labctl.sim.rig import Side

OVERLOAD_AT = 1.1
"""Of the capacity; assumed."""
ANOTHER = 1
"""By how much the serial number of another transmitter is higher, and what is added to a setting that is wrong."""


class Simulator:
    """One transmitter that feels the force on one side of the bench's rig.

    It keeps its zero without power where its options say so.
    """

    def __init__(self, bench: Bench, port: Side, options: ModbusLoadCell.Options) -> None:
        self._options = options
        sign = 1 if options.compression == "positive" else -1
        self._gauge = StrainGauge(bench, port, "modbus-load-cell", options.capacity, sign)
        self._zero = 0.0
        self._other = False
        self._server = Server(options.id, self)
        self.receive = self._server.receive
        self.reset_line = self._server.reset_line

    def restart(self, *, other: bool = False) -> None:
        """Come back from a power cut; `other`: with another serial number."""
        self._other = other
        self._server.reset_line()
        if self._options.tare is None or not self._options.tare.kept:
            self._zero = 0.0

    def image(self, function: int) -> Mapping[int, int]:
        """Return what its registers hold now."""
        options, felt = self._options, self._gauge.read()
        held: list[tuple[Number, float]] = [(options.force, self._count(felt))]
        held += _identity(options.serial_number, ANOTHER * self._other)
        for setting in options.settings:
            held += _identity(setting, ANOTHER * self._gauge.trouble.wrong_unit)
        image = {
            number.first + step: word
            for number, value in held
            if number.function == function
            for step, word in enumerate(number.encode(value))
        }
        if options.status is not None and options.status.function == function:
            image[options.status.first] = self._status(felt)
        return image

    def write(self, function: int, register: int, words: tuple[int, ...]) -> None:
        """Tare; raises Refusal."""
        tare = self._options.tare
        if tare is None or (function, register, words) != (tare.function, tare.first, (tare.value,)):
            raise Refusal(ILLEGAL_ADDRESS)
        felt = self._gauge.read()
        if not math.isfinite(felt):
            raise Refusal(DEVICE_FAILURE)
        self._zero = felt

    def _count(self, felt: float) -> float:
        """Return the number in the register of the force: an end of its type where it cannot be told."""
        force = self._options.force
        low, high = force.ends
        if math.isnan(felt) and force.type == "float32":
            return math.nan
        unit = 0.5 if self._gauge.trouble.wrong_unit else 1.0
        count = (felt - self._zero) / (unit * force.scale * NEWTON[force.unit])
        if math.isnan(felt) or abs(felt) > OVERLOAD_AT * self._options.capacity:
            return high if math.isnan(felt) or count > 0 else low
        return min(max(count, low), high)

    def _status(self, felt: float) -> int:
        status = self._options.status
        assert status is not None
        if math.isnan(felt):
            return status.fault
        return status.overload if abs(felt) > OVERLOAD_AT * self._options.capacity else 0


def _identity(expected: Expected | None, more: int) -> Iterable[tuple[Number, float]]:
    """Yield a number that never changes, or what is there instead."""
    if expected is not None:
        yield expected, expected.value + more if expected.value < expected.ends[1] else expected.value - more
