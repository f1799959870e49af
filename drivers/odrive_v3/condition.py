"""What an ODrive must be before it may turn a screw: set up safely, as the configuration says, and without errors."""

from drivers.odrive_v3 import errors
from drivers.odrive_v3.properties import CutOff, Properties
from drivers.screw import Mounting
from labctl.errors import InstrumentRefused, WrongInstrument

MECHANICAL_BRAKE = 14
"""Mode of a pin that engages a brake whenever the axis is idle."""

AT_REST = (
    ("config.startup_motor_calibration", 0, "it turns the screw when it is switched on"),
    ("config.startup_encoder_index_search", 0, "it turns the screw when it is switched on"),
    ("config.startup_encoder_offset_calibration", 0, "it turns the screw when it is switched on"),
    ("config.startup_homing", 0, "it turns the screw when it is switched on"),
    ("config.startup_closed_loop_control", 0, "it switches its torque on by itself"),
)
"""What must be so when it is connected."""
MOVING = (
    ("config.enable_step_dir", 0, "other wires tell it where to go"),
    ("config.enable_sensorless_mode", 0, "it goes without its encoder"),
    ("controller.config.circular_setpoints", 0, "it counts no whole turns"),
    ("controller.config.enable_vel_limit", 1, "nothing limits its speed"),
    ("motor.is_calibrated", 1, "its motor is not calibrated"),
    ("encoder.is_ready", 1, "its encoder is not ready"),
)
"""What must be so whenever it is engaged."""


class Condition:
    """Judges one axis.

    Args:
        name: of the instrument, for sentences.
        options: what the configuration says of the motor.
        axis: that drives it.
        watchdog: s, that the axis is watched with.
    """

    def __init__(self, name: str, properties: Properties, options: Mounting, axis: int, watchdog: float) -> None:
        self._name = name
        self._properties = properties
        self._options = options
        self._axis = axis
        self._watchdog = watchdog

    async def refuse_unfit(self) -> None:
        """Refuse a board that is not set up, or not as the configuration says; raises WrongInstrument."""
        await self._require(AT_REST)
        await self._require(MOVING)
        await self._refuse_contradictions()

    async def refuse_unmovable(self) -> None:
        """Refuse an axis whose settings make motion unsafe now; raises WrongInstrument."""
        await self._require(MOVING)

    async def refuse_error(self) -> None:
        """Name the error that an axis has, and its cause; raises InstrumentRefused."""
        number = await self._properties.whole("error")
        if not number:
            return
        if number == errors.WATCHDOG_EXPIRED:
            raise InstrumentRefused(
                self._name,
                f"has stopped by itself: nothing fed its watchdog for {self._watchdog:g} s",
                f"The {self._options.holds} holds the force. Engage the rig again.",
            )
        told = [errors.named(number, errors.AXIS)]
        told += [await self._cause(part, known) for bit, (part, known) in errors.PARTS.items() if number & bit]
        raise InstrumentRefused(
            self._name,
            f"has an error: {'; '.join(told)}",
            f"The {self._options.holds} holds the force. Remove the cause, then clear the errors with odrivetool.",
        )

    async def _cause(self, part: str, known: dict[int, str]) -> str:
        try:
            number = await self._properties.whole(f"{part}.error")
        except CutOff as cut:
            return f"{part}: {cut.what}"
        return f"{part}: {errors.named(number, known) or 'it names no cause'}"

    async def _require(self, settings: tuple[tuple[str, int, str], ...]) -> None:
        for setting, wanted, otherwise in settings:
            value = await self._properties.whole(setting)
            if value != wanted:
                raise WrongInstrument(
                    self._name,
                    f"{setting} of axis {self._axis} is {value} instead of {wanted}: {otherwise}",
                    "Set it, or calibrate with the screw loose, with odrivetool; save it in the board.",
                )

    async def _refuse_contradictions(self) -> None:
        """Compare the options with what the board knows of motor, encoder and brake."""
        options, properties = self._options, self._properties
        counts = await properties.whole("encoder.config.cpr")
        self._compare("encoder.config.cpr", counts, options.counts_per_turn, "counts_per_turn")
        load = await properties.whole("controller.config.load_encoder_axis")
        self._compare("controller.config.load_encoder_axis", load, self._axis, "axis")
        constant = await properties.real("motor.config.torque_constant")
        self._compare("motor.config.torque_constant", constant, options.torque_constant, "torque_constant")
        current = await properties.real("motor.config.current_lim")
        allowed = current * options.torque_per_ampere
        if options.torque_limit > allowed * (1 + 1e-6):
            raise WrongInstrument(
                self._name,
                f"limits its torque to {allowed:.3g} N·m at the screw (current_lim {current:g} A), "
                f"less than torque_limit = {options.torque_limit:g}",
                "Lower torque_limit in config.toml, or raise current_lim with odrivetool if the motor allows it.",
            )
        if options.holds == "brake":
            pin = await properties.whole("mechanical_brake.config.gpio_num")
            mode = await properties.whole_of_board(f"config.gpio{pin}_mode")
            self._compare(f"config.gpio{pin}_mode", mode, MECHANICAL_BRAKE, 'holds = "brake", as a number,')

    def _compare(self, what: str, actual: float, wanted: float, option: str) -> None:
        if abs(actual - wanted) > 1e-4 * abs(wanted):
            raise WrongInstrument(
                self._name,
                f"its {what} is {actual:g}, and {option} in config.toml is {wanted:g}",
                "Correct the one that is wrong: angle or torque would not be what they are said to be.",
            )
