"""Register maps of chambers: what is read, where the set point is written, and what starts and stops.

Sources are on the manual page; nobody has tried one of them on a chamber.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drivers.modbus.registers import Expected, Location, Measured, Word
from labctl.fields import Parameters


class Target(Parameters):
    """A register that takes the set point, and the function that writes it: 6 (one register) or 16 (several)."""

    function: Literal[6, 16]
    first: Annotated[Word, Field(alias="register")]


class Mode(Location):
    """The register that starts and stops: `running` or `stopped` is written to it, and `mask` says which bits tell.

    Attributes:
        write: the function that writes it, 6 or 16.
    """

    mask: Word
    running: Word
    stopped: Word
    write: Literal[6, 16]

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Self:
        if self.running & self.mask == self.stopped & self.mask:
            raise ValueError("running and stopped look the same through the mask")
        return self


class ChamberMap(Parameters):
    """Registers of one make.

    Attributes:
        actual: temperature of the chamber.
        setpoint: the set point that is in force, for reading it back.
        write: registers to which it is written, as `setpoint` has it.
        mode: None: it cannot be stopped, only be sent to another temperature.
        settings: what must be so for it to regulate at all.
    """

    actual: Measured
    setpoint: Measured
    write: Annotated[tuple[Target, ...], Field(min_length=1)]
    mode: Mode | None = None
    settings: tuple[Expected, ...] = ()


_FLOAT = {"function": 3, "type": "float32", "words": "low-first", "scale": 1.0}
_TENTHS = {"function": 3, "type": "int16", "scale": 0.1}
_WORD = {"function": 3, "type": "uint16"}

MAPS = {
    "binder-mk53": ChamberMap.model_validate(
        {
            "actual": {**_FLOAT, "register": 0x11A9},
            "setpoint": {**_FLOAT, "register": 0x1077},
            # The sources differ in which of these is the manual and which the basic set point: both get it.
            "write": [{"function": 16, "register": 0x1581}, {"function": 16, "register": 0x156F}],
            "mode": {"function": 3, "register": 0x1A22, "mask": 0x1C00, "running": 0x0800, "stopped": 0, "write": 6},
        }
    ),
    "eurotherm-3500": ChamberMap.model_validate(
        {
            "actual": {**_TENTHS, "register": 289},
            "setpoint": {**_TENTHS, "register": 2},
            "write": [{"function": 16, "register": 24}],
            # Loop 1 in automatic, and not inhibited: otherwise a set point has no effect.
            "settings": [{**_WORD, "register": 273, "value": 0}, {**_WORD, "register": 268, "value": 0}],
        }
    ),
}
