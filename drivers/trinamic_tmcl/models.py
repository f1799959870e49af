"""The modules and the numbers of their axis parameters, which differ from model to model.

Source: PyTrinamic 0.2.26 (Analog Devices), the module classes; units from the TMCL firmware manuals.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Parameter(StrEnum):
    """An axis parameter, by its name in the manuals. Currents are mA, velocities rpm of the motor."""

    TARGET_POSITION = "Target Position"
    ACTUAL_POSITION = "Actual Position"
    ACTUAL_VELOCITY = "Actual Velocity"
    MAX_VELOCITY = "Max Velocity"
    MAX_ACCELERATION = "Max Acceleration"
    ENABLE_RAMP = "Enable Ramp"
    MAX_CURRENT = "Max Current"
    TARGET_TORQUE = "Target Torque"
    ACTUAL_TORQUE = "Actual Torque"
    COMMUTATION_MODE = "Commutation Mode"
    STATUS_FLAGS = "Status Flags"
    ENABLE_DRIVER = "Enable Driver"
    COUNTS_PER_TURN = "counts of a turn"
    VELOCITY_UNIT = "Velocity Unit Selection"
    RELEASE_BRAKE = "Release Brake"
    ENABLE_BRAKE_OUTPUT = "Enable Brake Output"


P = Parameter


@dataclass(frozen=True, slots=True)
class Model:
    """One kind of module.

    Attributes:
        number: what it calls itself in its firmware version.
        parameters: numbers of its axis parameters.
        closed_loop: commutation modes with an encoder, in which current limits torque and position is measured.
    """

    number: int
    parameters: Mapping[Parameter, int]
    closed_loop: frozenset[int]

    @property
    def has_brake(self) -> bool:
        """Whether it has a brake output whose sense is documented."""
        return P.RELEASE_BRAKE in self.parameters


_TMC4671 = {
    P.MAX_CURRENT: 11,
    P.COMMUTATION_MODE: 15,
    P.TARGET_TORQUE: 30,
    P.ACTUAL_TORQUE: 31,
    P.ACTUAL_VELOCITY: 42,
    P.MAX_VELOCITY: 43,
    P.MAX_ACCELERATION: 44,
    P.ENABLE_RAMP: 45,
    P.TARGET_POSITION: 50,
    P.ACTUAL_POSITION: 52,
    P.COUNTS_PER_TURN: 56,  # Position Scaler
    P.STATUS_FLAGS: 156,
    P.ENABLE_DRIVER: 255,
}
_OLDER = {
    P.TARGET_POSITION: 0,
    P.ACTUAL_POSITION: 1,
    P.ACTUAL_VELOCITY: 3,
    P.MAX_VELOCITY: 4,
    P.MAX_CURRENT: 6,
    P.MAX_ACCELERATION: 11,
    P.ENABLE_RAMP: 146,
    P.ACTUAL_TORQUE: 150,
    P.TARGET_TORQUE: 155,
    P.STATUS_FLAGS: 156,
    P.COMMUTATION_MODE: 159,
    P.COUNTS_PER_TURN: 250,  # Encoder Steps
    P.ENABLE_DRIVER: 255,
}
_1690 = {
    P.COMMUTATION_MODE: 13,
    P.MAX_CURRENT: 16,  # Max Torque
    P.TARGET_TORQUE: 77,
    P.ACTUAL_TORQUE: 78,
    P.VELOCITY_UNIT: 91,
    P.ACTUAL_VELOCITY: 93,
    P.MAX_VELOCITY: 94,
    P.MAX_ACCELERATION: 95,
    P.TARGET_POSITION: 105,
    P.ACTUAL_POSITION: 106,
    P.ENABLE_RAMP: 133,
    P.RELEASE_BRAKE: 188,
    P.ENABLE_BRAKE_OUTPUT: 192,
    P.STATUS_FLAGS: 210,
    P.ENABLE_DRIVER: 255,
}

MODELS = {
    "TMCM-1617": Model(1617, _TMC4671, frozenset({3})),
    "TMCM-1636": Model(1636, _TMC4671, frozenset({3, 4})),
    "TMCM-1637": Model(1637, _TMC4671, frozenset({3})),
    "TMCM-1633": Model(1633, _OLDER, frozenset({7})),
    "TMCM-1640": Model(1640, _OLDER, frozenset({7})),
    "TMCM-1670": Model(1670, _OLDER, frozenset({7})),
    "TMCM-1690": Model(1690, _1690, frozenset({4, 5})),
}

AUTO_START, APPLICATION_STATUS = 77, 128
"""Global parameters of bank 0: whether a program in the module starts with it, and whether one runs now."""

ERROR_FLAGS = {
    0x01: "overcurrent",
    0x02: "undervoltage",
    0x04: "overvoltage",
    0x08: "overtemperature",
    0x40: "driver error",
    0x80: "initialisation error: the encoder is not aligned with the motor",
    0x2_0000: "I²t limit 1 exceeded: the motor would overheat",
    0x4_0000: "I²t limit 2 exceeded: the motor would overheat",
}
"""Bits of Status Flags; told for the TMCM-1690, assumed for the others."""
