"""The control table of the XM540-W270: addresses, sizes, ranges, and what one count is worth.

Source: ROBOTIS e-Manual, XM540-W270-T/R, "Control Table of EEPROM Area", "Control Table of RAM Area", "Specifications".
"""

import math
from dataclasses import dataclass

XM540_W270 = 1120
FIRMWARE_WITH_WATCHDOG = 38
FIRMWARE_WITH_STARTUP_CONFIGURATION = 45

COUNTS_PER_TURN = 4096
AMPERE_PER_COUNT = 2.69e-3
RADIAN_PER_SECOND_PER_COUNT = 0.229 * 2 * math.pi / 60
NEWTON_METRE_PER_AMPERE = 2.409
"""Stall torque over stall current at 12 V (10.6 N·m at 4.4 A); taken as linear, gear friction left out."""
NEWTON_METRE_PER_COUNT = NEWTON_METRE_PER_AMPERE * AMPERE_PER_COUNT
STALL_TORQUE = 10.6
CONTINUOUS_TORQUE = 0.2 * STALL_TORQUE
"""About what the maker allows for ever."""
"""N·m at 12 V."""
WATCHDOG_UNIT = 0.02
"""Seconds."""
WATCHDOG_EXPIRED = 0xFF
"""-1 in the register's one byte."""
MULTI_TURN_END = 1_048_575
"""Modes 4 and 5 know ±256 turns."""
CURRENT_BASED_POSITION = 5
"""Operating mode: position control whose current never exceeds Goal Current."""

EEPROM_END = 64
"""Addresses below it are locked while torque is on."""
TABLE_END = 148
"""The simulated table ends before the external ports and the indirect addresses."""


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the table; little-endian, two's complement where `low` is negative.

    `low` and `high` bound what may be written; an item without them is read-only.
    """

    name: str
    address: int
    size: int
    initial: int = 0
    low: int = 0
    high: int | None = None
    signed: bool = False

    @property
    def end(self) -> int:
        """The address after its last byte."""
        return self.address + self.size

    def encode(self, value: int) -> bytes:
        """Return the value as on the wire."""
        return value.to_bytes(self.size, "little", signed=self.signed)

    def decode(self, block: bytes | bytearray, start: int = 0) -> int:
        """Return the value from bytes that begin at address `start`."""
        offset = self.address - start
        return int.from_bytes(block[offset : offset + self.size], "little", signed=self.signed)


MODEL_NUMBER = Item("Model Number", 0, 2, XM540_W270)
MODEL_INFORMATION = Item("Model Information", 2, 4)
FIRMWARE_VERSION = Item("Firmware Version", 6, 1, 46)
ID = Item("ID", 7, 1, 1, high=252)
BAUD_RATE = Item("Baud Rate", 8, 1, 1, high=7)
RETURN_DELAY_TIME = Item("Return Delay Time", 9, 1, 250, high=254)
DRIVE_MODE = Item("Drive Mode", 10, 1, high=13)
OPERATING_MODE = Item("Operating Mode", 11, 1, 3, high=16)
SECONDARY_ID = Item("Secondary ID", 12, 1, 255, high=255)
PROTOCOL_TYPE = Item("Protocol Type", 13, 1, 2, low=1, high=2)
HOMING_OFFSET = Item("Homing Offset", 20, 4, low=-1_044_479, high=1_044_479, signed=True)
MOVING_THRESHOLD = Item("Moving Threshold", 24, 4, 10, high=1023)
TEMPERATURE_LIMIT = Item("Temperature Limit", 31, 1, 80, high=100)
MAX_VOLTAGE_LIMIT = Item("Max Voltage Limit", 32, 2, 160, low=95, high=160)
MIN_VOLTAGE_LIMIT = Item("Min Voltage Limit", 34, 2, 95, low=95, high=160)
PWM_LIMIT = Item("PWM Limit", 36, 2, 885, high=885)
CURRENT_LIMIT = Item("Current Limit", 38, 2, 2047, high=2047)
VELOCITY_LIMIT = Item("Velocity Limit", 44, 4, 128, high=1023)
MAX_POSITION_LIMIT = Item("Max Position Limit", 48, 4, 4095, high=4095)
MIN_POSITION_LIMIT = Item("Min Position Limit", 52, 4, high=4095)
STARTUP_CONFIGURATION = Item("Startup Configuration", 60, 1, high=3)
SHUTDOWN = Item("Shutdown", 63, 1, 52, high=0x3D)

TORQUE_ENABLE = Item("Torque Enable", 64, 1, high=1)
LED = Item("LED", 65, 1, high=1)
STATUS_RETURN_LEVEL = Item("Status Return Level", 68, 1, 2, high=2)
REGISTERED_INSTRUCTION = Item("Registered Instruction", 69, 1)
HARDWARE_ERROR_STATUS = Item("Hardware Error Status", 70, 1)
VELOCITY_I_GAIN = Item("Velocity I Gain", 76, 2, 1920, high=16383)
VELOCITY_P_GAIN = Item("Velocity P Gain", 78, 2, 100, high=16383)
POSITION_D_GAIN = Item("Position D Gain", 80, 2, high=16383)
POSITION_I_GAIN = Item("Position I Gain", 82, 2, high=16383)
POSITION_P_GAIN = Item("Position P Gain", 84, 2, 800, high=16383)
FEEDFORWARD_2ND_GAIN = Item("Feedforward 2nd Gain", 88, 2, high=16383)
FEEDFORWARD_1ST_GAIN = Item("Feedforward 1st Gain", 90, 2, high=16383)
BUS_WATCHDOG = Item("Bus Watchdog", 98, 1, high=127)
GOAL_PWM = Item("Goal PWM", 100, 2, 885, low=-885, high=885, signed=True)
GOAL_CURRENT = Item("Goal Current", 102, 2, 2047, low=-2047, high=2047, signed=True)
GOAL_VELOCITY = Item("Goal Velocity", 104, 4, low=-1023, high=1023, signed=True)
PROFILE_ACCELERATION = Item("Profile Acceleration", 108, 4, high=32767)
PROFILE_VELOCITY = Item("Profile Velocity", 112, 4, high=32767)
GOAL_POSITION = Item("Goal Position", 116, 4, low=-MULTI_TURN_END, high=MULTI_TURN_END, signed=True)
REALTIME_TICK = Item("Realtime Tick", 120, 2)
MOVING = Item("Moving", 122, 1)
MOVING_STATUS = Item("Moving Status", 123, 1)
PRESENT_PWM = Item("Present PWM", 124, 2, signed=True)
PRESENT_CURRENT = Item("Present Current", 126, 2, signed=True)
PRESENT_VELOCITY = Item("Present Velocity", 128, 4, signed=True)
PRESENT_POSITION = Item("Present Position", 132, 4, signed=True)
VELOCITY_TRAJECTORY = Item("Velocity Trajectory", 136, 4, signed=True)
POSITION_TRAJECTORY = Item("Position Trajectory", 140, 4, signed=True)
PRESENT_INPUT_VOLTAGE = Item("Present Input Voltage", 144, 2, 120)
PRESENT_TEMPERATURE = Item("Present Temperature", 146, 1, 30)
BACKUP_READY = Item("Backup Ready", 147, 1)

ITEMS = tuple(item for item in globals().copy().values() if isinstance(item, Item))

HARDWARE_ERRORS = {
    0x01: "input voltage out of range",
    0x04: "overheating",
    0x08: "motor encoder failure",
    0x10: "electrical shock, or too little power to turn the motor",
    0x20: "overload: a load beyond its maximum output persisted",
}
"""Bits of Hardware Error Status and of Shutdown."""

ERRORS = {
    1: "it failed to carry out the instruction",
    2: "it does not know the instruction",
    3: "the packet reached it with a wrong CRC",
    4: "the value is out of range, or the bus watchdog has expired and goals are read-only",
    5: "the value is shorter than its register",
    6: "the value is beyond one of its limits",
    7: "the register is read-only, does not exist, or is locked while torque is on",
}
"""Error numbers of a status packet."""
