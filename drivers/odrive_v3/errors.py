"""What ODrive's error numbers mean, in firmware 0.5.x.

Source: ODrive firmware 0.5.6, odrive-interface.yaml.
"""

WATCHDOG_EXPIRED = 0x800
MOTOR_FAILED, ENCODER_FAILED, CONTROLLER_FAILED = 0x40, 0x100, 0x200

AXIS = {
    0x01: "it cannot go into the state that was asked for: motor or encoder is not calibrated",
    MOTOR_FAILED: "the motor failed",
    0x80: "the sensorless estimator failed",
    ENCODER_FAILED: "the encoder failed",
    CONTROLLER_FAILED: "the controller failed",
    WATCHDOG_EXPIRED: "its watchdog was not fed",
    0x1000: "the minimum end stop was pressed",
    0x2000: "the maximum end stop was pressed",
    0x4000: "an emergency stop came over CAN",
    0x20000: "it was to go home without an end stop",
    0x40000: "overtemperature",
    0x80000: "its position is unknown",
}
MOTOR = {
    0x01: "phase resistance out of range",
    0x02: "phase inductance out of range",
    0x08: "gate driver fault",
    0x10: "control deadline missed",
    0x80: "bus voltage too low for the current",
    0x400: "current sense saturated",
    0x1000: "current limit exceeded",
    0x10000: "modulation is not a number",
    0x20000: "motor too hot",
    0x40000: "power stage too hot",
    0x80000: "timer update missed",
    0x100000: "current measurement unavailable",
    0x200000: "controller failed",
    0x400000: "bus current out of range",
    0x800000: "brake resistor disarmed",
    0x1000000: "error of the whole board: see its own `error`",
    0x2000000: "bad timing",
}
ENCODER = {
    0x01: "unstable gain",
    0x02: "counts per turn and pole pairs do not fit",
    0x04: "no response",
    0x08: "unsupported mode",
    0x10: "illegal Hall state",
    0x20: "index not found yet",
    0x40: "SPI time-out",
    0x80: "SPI communication failed",
    0x100: "SPI not ready",
    0x200: "Hall sensors not calibrated yet",
}
CONTROLLER = {
    0x01: "overspeed: raise vel_limit_tolerance if its velocity estimate is noisy",
    0x02: "invalid input mode",
    0x04: "unstable gain",
    0x08: "invalid mirror axis",
    0x10: "invalid load encoder",
    0x20: "no valid estimate of the position",
    0x40: "invalid circular range",
    0x80: "spin-out: the encoder slips or is not aligned",
}
PARTS = {
    MOTOR_FAILED: ("motor", MOTOR),
    ENCODER_FAILED: ("encoder", ENCODER),
    CONTROLLER_FAILED: ("controller", CONTROLLER),
}
"""Where an axis error has its cause: the part whose own number tells more."""


def named(number: int, meanings: dict[int, str]) -> str:
    """Return the meanings of the bits of an error number, in words."""
    known = [meaning for bit, meaning in meanings.items() if number & bit]
    unknown = number & ~sum(meanings)
    return ", ".join([*known, f"unknown bits {unknown:#x}"] if unknown else known)
