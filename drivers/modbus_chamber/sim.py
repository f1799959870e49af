"""A climate chamber as its Modbus line sees it, with the registers of its map, over the bench's room."""

import math
from collections.abc import Iterable, Mapping

from drivers.modbus.registers import Expected, Measured, Number
from drivers.modbus.server import ILLEGAL_ADDRESS, ILLEGAL_VALUE, Refusal, Server
from drivers.modbus_chamber.driver import ModbusChamber
from labctl.sim.bench import Bench

CHAMBER_OFFSET, EXTERNAL_OFFSET, NOISE = 0.03, -0.05, 0.01
"""Errors of the two sensors in K (assumed: class A is ±0.15 K at 0 °C)."""
RANGE = (-40.0, 180.0)
"""°C that it takes as a set point: those of a Binder MK 53."""
FIRST_SETPOINT = 25.0


class Simulator:
    """One chamber; without a register that stops it, it regulates from the moment that it has power.

    Attributes:
        setpoint: °C.
        mode: what its mode register holds; 0 where its map has none.
        alarm: what its alarm register holds.
        settings: by register, a value that somebody has changed at its panel.
    """

    def __init__(self, bench: Bench, port: str, options: ModbusChamber.Options) -> None:
        self.alarm = 0
        self.settings: dict[int, int] = {}
        self._options = options
        self._map = options.registers
        self._bench = bench
        self._other = False
        self._trouble = bench.trouble(port)
        self._felt_chamber = self._trouble.quantity(lambda: bench.room.bath)
        self._felt_external = self._trouble.quantity(lambda: bench.room.cell)
        now = self._trouble.measured_at
        self._chamber = bench.sensor(f"{port}.chamber", offset=CHAMBER_OFFSET, noise=NOISE, now=now)
        self._external = bench.sensor(f"{port}.external", offset=EXTERNAL_OFFSET, noise=NOISE, now=now)
        self._server = Server(options.id, self)
        self.receive = self._server.receive
        self.reset_line = self._server.reset_line
        self.setpoint = FIRST_SETPOINT
        self._stop()

    def restart(self, *, other: bool = False) -> None:
        """Come back from a power cut with its set point, stopped where it can be; `other`: another serial number."""
        self._other = other
        self._server.reset_line()
        self._stop()

    def image(self, function: int) -> Mapping[int, int]:
        """Return what its registers hold now."""
        options, registers = self._options, self._map
        held = [
            *_measured(registers.actual, self._shown(self._chamber.read(self._felt_chamber()))),
            *_measured(registers.setpoint, self._shown(self.setpoint)),
            *_measured(options.external, self._shown(self._external.read(self._felt_external()))),
            *_expected(options.serial_number, int(self._other)),
        ]
        for setting in (*options.settings, *registers.settings):
            changed = self.settings.get(setting.first)
            held += _expected(setting, 0 if changed is None else changed - setting.value)
        image = {
            number.first + step: word
            for number, count in held
            if number.function == function
            for step, word in enumerate(number.encode(count))
        }
        if registers.mode is not None and registers.mode.function == function:
            image[registers.mode.first] = self.mode
        if options.alarm is not None and options.alarm.function == function:
            image[options.alarm.first] = self.alarm
        return image

    def write(self, function: int, register: int, words: tuple[int, ...]) -> None:
        """Take a set point or a mode; raises Refusal."""
        mode, setpoint = self._map.mode, self._map.setpoint
        if (function, register) in {(target.function, target.first) for target in self._map.write}:
            if len(words) != setpoint.count:
                raise Refusal(ILLEGAL_VALUE)
            celsius = setpoint.value(words)
            if not RANGE[0] <= celsius <= RANGE[1]:
                raise Refusal(ILLEGAL_VALUE)
            self.setpoint = celsius
        elif mode is not None and (function, register) == (mode.write, mode.first) and len(words) == 1:
            (self.mode,) = words
        else:
            raise Refusal(ILLEGAL_ADDRESS)
        self._regulate()

    def _stop(self) -> None:
        self.mode = 0 if self._map.mode is None else self._map.mode.stopped
        self._regulate()

    def _regulate(self) -> None:
        mode = self._map.mode
        runs = mode is None or self.mode & mode.mask == mode.running & mode.mask
        self._bench.room.regulate(self.setpoint if runs else None)

    def _shown(self, celsius: float) -> float:
        """Return a temperature in the unit of the display, which is °F where somebody chose that."""
        return 1.8 * celsius + 32 if self._trouble.wrong_unit else celsius


def _measured(measured: Measured | None, value: float) -> Iterable[tuple[Number, float]]:
    """Yield a register and its count: the last of its type for what is beyond its range, and for an integer's NaN."""
    if measured is None:
        return
    low, high = measured.ends
    count = value / measured.scale
    if math.isnan(count) and measured.type != "float32":
        count = high
    yield measured, count if math.isnan(count) else min(max(count, low), high)


def _expected(expected: Expected | None, more: int) -> Iterable[tuple[Number, float]]:
    """Yield a number that never changes, or what is there instead."""
    if expected is not None:
        yield expected, expected.value + more
