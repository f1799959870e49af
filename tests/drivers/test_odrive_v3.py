"""The ODrive rig: exact lines both ways, what is confirmed, and what stops it.

No independent client of the ASCII protocol exists. The evidence for its form is the firmware's own parser and the
maker's tests of it (github.com/odriverobotics/ODrive, fw-v0.5.6: Firmware/communication/ascii_protocol.cpp,
tools/odrive/tests/uart_ascii_test.py); what they expect is asked of the simulator here.
"""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.odrive_v3 import errors
from drivers.odrive_v3.line import Answers, checksum, sealed, unsealed
from drivers.odrive_v3.properties import alike
from drivers.odrive_v3.sim import ANOTHER, Simulator
from labctl.clock import VirtualClock
from labctl.errors import GarbledReply, InstrumentRefused, LabctlError, NoReply, WrongInstrument
from labctl.sim.faults import Garbage, silence
from tests.drivers.test_servos import OdriveStand, refused


@pytest.fixture
def stand(clock: VirtualClock) -> OdriveStand:
    return OdriveStand(clock)


def simulator() -> Simulator:
    board: Simulator = OdriveStand.simulated()[1]
    return board


# -- lines -------------------------------------------------------------------------------------------------------------


def test_the_checksum_of_the_makers_test() -> None:
    assert checksum(b"r vbus_voltage ") == 93
    assert sealed("u 0") == b"u 0*101\n"
    assert unsealed(b"8*56") == "8"


@given(st.binary(max_size=40), st.integers(0, 399))
def test_one_wrong_bit_in_the_text_is_noticed(text: bytes, bit: int) -> None:
    line = bytearray(text.replace(b"*", b"") + b"x*%d" % checksum(text.replace(b"*", b"") + b"x"))
    line[bit // 8 % (len(line) - len(line.rpartition(b"*")[2]) - 1)] ^= 1 << bit % 8
    with pytest.raises(ValueError, match="checksum"):
        unsealed(bytes(line))


def test_three_lines_are_one_answer_of_i() -> None:
    buffer = bytearray(b"Hardware version: 3.6-56V*1\r\nFirmware version: 0.5.6*2\r\n")
    assert Answers().take(buffer) is None
    buffer += b"Serial number: 1*3\r\n7*55\r\n"
    assert Answers().take(buffer) == b"Hardware version: 3.6-56V*1\r\nFirmware version: 0.5.6*2\r\nSerial number: 1*3"
    assert Answers().take(buffer) == b"7*55"
    assert Answers().unsolicited(bytearray(b"u"))


@given(st.floats(-999.9, 999.9))
def test_nine_characters_are_enough_to_know_a_number_again(value: float) -> None:
    assert alike(float(f"{value:f}"[:9]), value)
    assert not alike(float(f"{value:f}"[:9]) + 0.01, value)


# -- the simulator against what the maker's own test expects -----------------------------------------------------------

EXCHANGES = [
    (b"r axis0.encoder.config.cpr\n", b"8192\r\n"),
    (b"r blahblah\n", b"invalid property\r\n"),
    (b"r axis0.encoder.config.cpr *12\n", b""),  # a wrong checksum is ignored
    (b"r axis0.error *118 ; this is a comment\n", b""),
    (b"r axis0.error*%d ; a comment\n" % checksum(b"r axis0.error"), b"0*48\r\n"),
    (b"w axis0.controller.config.vel_limit 12.5\nr axis0.controller.config.vel_limit\n", b"12.500000\r\n"),
    (b"w axis0.controller.config.vel_limit 1234.5678\nr axis0.controller.config.vel_limit\n", b"1234.5678\r\n"),
    (b"w axis0.current_state 8\n", b"not implemented\r\n"),
    (b"w blahblah 1\n", b"invalid property\r\n"),
    (b"c 0 12.5\nr axis0.controller.input_torque\nr axis0.controller.config.control_mode\n", b"12.500000\r\n1\r\n"),
    (b"v 0 567.8 12.5\nr axis0.controller.config.control_mode\n", b"2\r\n"),
    (b"p 0 123.4 567.8 12.5\nr axis0.controller.input_pos\n", b"123.40000\r\n"),
    (b"q 0 1.5 2.5 0.25\nr axis0.motor.config.torque_lim\n", b"0.250000\r\n"),
    (b"f 0\n", b"0.000000 0.000000\r\n"),
    (b"f\n", b"invalid command format\r\n"),
    (b"p 0\n", b"invalid command format\r\n"),
    (b"p 2 1.0\n", b"invalid motor 2\r\n"),
    (b"u 0\n", b""),
    (b"x\n", b"unknown command\r\n"),
    (b"i\n", b"Hardware version: 3.6-56V\r\nFirmware version: 0.5.6\r\nSerial number: 2065339F304B\r\n"),
]


@pytest.mark.parametrize(("said", "answered"), EXCHANGES)
def test_the_simulator_answers_as_the_firmware(said: bytes, answered: bytes) -> None:
    assert simulator().receive(said) == answered
    one_by_one = simulator()
    assert b"".join(one_by_one.receive(bytes([byte])) for byte in said) == answered


@given(st.binary(max_size=60))
def test_the_simulator_survives_any_bytes(noise: bytes) -> None:
    board = simulator()
    board.receive(noise + b"\n")
    assert board.receive(b"r axis0.encoder.config.cpr\n") == b"8192\r\n"


# -- connecting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [{"axis": 2}, {"watchdog": "0.1 s"}, {"watchdog": "1 h"}, {"torque_constant": 0.04}])
def test_impossible_options(wrong: dict[str, object]) -> None:
    if wrong == {"torque_constant": 0.04}:
        assert OdriveStand.configured(**wrong).torque_constant == 0.04
        return
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        OdriveStand.configured(**wrong)


async def test_two_polls_fit_into_the_watchdogs_time(stand: OdriveStand) -> None:
    assert 2 * stand.driver.poll_period < stand.options.watchdog


async def test_connect_identifies_and_takes_the_torque_away(stand: OdriveStand) -> None:
    stand.simulator.set("requested_state", 8)
    assert stand.torque_on
    identity = await stand.driver.connect()
    assert str(identity) == "ODrive Robotics ODrive v3.6-56V (serial 2065339F304B, firmware 0.5.6)"
    assert stand.sent[:3] == [b"i*105\n", b"w axis0.requested_state 1*3\n", b"r axis0.current_state*14\n"]
    assert stand.commands("w") == ["w axis0.requested_state 1", "w axis0.config.enable_watchdog 0"]
    assert not stand.torque_on
    assert stand.bench.rig.angle == 0


@pytest.mark.parametrize(
    ("hardware", "firmware", "sentence"),
    [
        ("3.6-56V", (0, 6, 3), "has firmware 0.6.3, not 0.5.3 or later of 0.5"),
        ("3.6-56V", (0, 5, 1), "has firmware 0.5.1, not 0.5.3"),
        ("3.6-56V", (0, 0, 0), "has firmware 0.0.0, not 0.5.3"),
        ("4.4-58V", (0, 5, 6), "is an ODrive of hardware 4.4-58V, not v3"),
    ],
)
async def test_another_board_or_firmware_is_refused_by_name(
    stand: OdriveStand, hardware: str, firmware: tuple[int, int, int], sentence: str
) -> None:
    stand.simulator.version(hardware, *firmware)
    await refused(stand.driver.connect(), WrongInstrument, sentence)
    assert stand.commands("w") == []


UNFIT = [
    ("config.startup_motor_calibration", True, "it turns the screw when it is switched on"),
    ("config.startup_encoder_index_search", True, "it turns the screw when it is switched on"),
    ("config.startup_encoder_offset_calibration", True, "it turns the screw when it is switched on"),
    ("config.startup_homing", True, "it turns the screw when it is switched on"),
    ("config.startup_closed_loop_control", True, "it switches its torque on by itself"),
    ("config.enable_step_dir", True, "other wires tell it where to go"),
    ("config.enable_sensorless_mode", True, "it goes without its encoder"),
    ("controller.config.circular_setpoints", True, "it counts no whole turns"),
    ("controller.config.enable_vel_limit", False, "nothing limits its speed"),
    ("motor.is_calibrated", False, "its motor is not calibrated"),
    ("encoder.is_ready", False, "its encoder is not ready"),
    ("encoder.config.cpr", 4096, "cpr is 4096, and counts_per_turn in config.toml is 8192"),
    ("controller.config.load_encoder_axis", 1, "load_encoder_axis is 1, and axis in config.toml is 0"),
    ("motor.config.torque_constant", 0.05, "torque_constant is 0.05, and torque_constant in config.toml is 0.04"),
    ("motor.config.current_lim", 4.0, "limits its torque to 0.8 N·m at the screw (current_lim 4 A)"),
]


@pytest.mark.parametrize(("path", "value", "sentence"), UNFIT)
async def test_an_unfit_board_is_refused_unmoved(
    stand: OdriveStand, path: str, value: bool | int | float, sentence: str
) -> None:
    stand.simulator.save(path, value)
    await stand.refused_unmoved(WrongInstrument, sentence)


async def test_a_brake_must_be_set_up_in_the_board(clock: VirtualClock) -> None:
    stand = OdriveStand(clock, holds="brake")
    await stand.driver.connect()
    assert "r config.gpio0_mode" in stand.commands()
    stand.simulator.save("gpio_mode", 0)
    with pytest.raises(WrongInstrument, match=r"gpio0_mode is 0, and holds = \"brake\""):
        await stand.driver.connect()


async def test_the_other_axis(clock: VirtualClock) -> None:
    stand = OdriveStand(clock, axis=1, direction="negative")
    await stand.driver.connect()
    await stand.driver.engage(0.5, 0.5)
    await stand.driver.turn_to(0.5)
    assert stand.commands("p") == ["p 1 0.000000", "p 1 -0.397887"]
    await stand.wait(3)
    assert (await stand.driver.read()).angle == pytest.approx(0.5, abs=stand.COUNT)
    assert stand.bench.rig.angle == pytest.approx(0.5, abs=0.002)


BROKEN = [
    (Garbage(b"0\r\n"), GarbledReply, "no checksum"),
    (Garbage(b"0*49\r\n"), GarbledReply, "checksum 49 instead of 48"),
    (Garbage(sealed("invalid property")[:-1] + b"\r\n"), InstrumentRefused, "invalid property"),
    (Garbage(sealed("unknown command")[:-1] + b"\r\n"), InstrumentRefused, "unknown command"),
    (Garbage(sealed("inf")[:-1] + b"\r\n"), GarbledReply, "an answer of the form"),
    (Garbage(sealed("nan")[:-1] + b"\r\n"), GarbledReply, "an answer of the form"),
    (Garbage(sealed("123456789")[:-1] + b"\r\n"), InstrumentRefused, "123456789, which may be cut off"),
    (silence, NoReply, "no complete reply"),
]


@pytest.mark.parametrize(("fault", "error", "sentence"), BROKEN)
async def test_a_broken_or_refusing_answer_has_its_sentence(
    stand: OdriveStand, fault: Callable[[bytes], bytes], error: type[LabctlError], sentence: str
) -> None:
    stand.fault, stand.faulty = fault, lambda line: line.startswith(b"r axis0.encoder.config.cpr")
    await refused(stand.driver.connect(), error, sentence)


async def test_another_board_after_reopening_is_refused(stand: OdriveStand) -> None:
    await stand.driver.connect()
    await stand.lose_an_answer()
    stand.simulator.restart(other=True)
    with pytest.raises(WrongInstrument, match=ANOTHER):
        await stand.driver.read()


# -- turning -----------------------------------------------------------------------------------------------------------


async def test_engage_limits_and_arms_before_the_torque_is_on(stand: OdriveStand) -> None:
    await stand.driver.connect()
    stand.sent.clear()
    await stand.driver.engage(torque=0.5, speed=0.5)
    assert stand.commands("w", "u", "p") == [
        "w axis0.requested_state 1",
        "w axis0.config.enable_watchdog 0",
        "w axis0.motor.config.torque_lim 0.100000",  # 0.5 N·m over 5:1
        "w axis0.controller.config.vel_limit 0.397887",  # turns of the motor a second
        "w axis0.controller.config.control_mode 3",
        "w axis0.controller.config.input_mode 1",
        "w axis0.controller.input_vel 0.000000",
        "w axis0.controller.input_torque 0.000000",
        "w axis0.config.watchdog_timeout 2.500000",
        "p 0 0.000000",
        "w axis0.config.enable_watchdog 1",
        "w axis0.requested_state 8",
    ]
    assert stand.commands()[-1] == "r axis0.controller.input_pos"
    stand.sent.clear()
    await stand.driver.turn_to(1.0)
    assert stand.sent[-2:] == [sealed("p 0 0.795775"), sealed("r axis0.controller.input_pos")]
    await stand.silent(1.0)
    assert stand.bench.rig.angle == pytest.approx(0.5, abs=0.003)


async def test_one_poll(stand: OdriveStand) -> None:
    await stand.driver.connect()
    stand.sent.clear()
    await stand.driver.read()
    assert stand.commands() == ["r axis0.error", "f 0", "r axis0.motor.current_control.Iq_measured"]
    await stand.driver.engage(0.5, 0.5)
    stand.sent.clear()
    await stand.driver.read()
    assert stand.commands() == [
        "u 0",
        "r axis0.error",
        "r axis0.current_state",
        "r axis0.motor.config.torque_lim",
        "r axis0.controller.config.vel_limit",
        "f 0",
        "r axis0.motor.current_control.Iq_measured",
    ]


async def test_torque_stalls_the_screw_and_is_told(stand: OdriveStand) -> None:
    await stand.stalled(within=1e-3)
    stand.sent.clear()
    force = stand.bench.rig.force("negative")
    await stand.driver.freeze()
    assert stand.commands("w") == ["w axis0.requested_state 1", "w axis0.config.enable_watchdog 0"]
    assert not stand.torque_on
    assert stand.bench.rig.force("negative") == pytest.approx(force, rel=1e-3)


async def test_a_lost_set_point_is_noticed(stand: OdriveStand) -> None:
    await stand.driver.connect()
    await stand.driver.engage(0.5, 0.5)
    stand.lost = lambda line: line.startswith(b"p 0")
    with pytest.raises(InstrumentRefused, match=r"makes for 0 turns after 0\.795775 was sent"):
        await stand.driver.turn_to(1.0)


@pytest.mark.parametrize(
    ("lost", "sentence"),
    [
        (b"w axis0.motor.config.torque_lim", "torque_lim is"),
        (b"w axis0.controller.config.vel_limit", "vel_limit is 2 after"),
        (b"w axis0.config.watchdog_timeout", "watchdog_timeout is 0 after 2.5"),
        (b"w axis0.config.enable_watchdog 1", "enable_watchdog is 0 after 1 was written"),
        (b"w axis0.requested_state 8", "is in state 1 after 8 was asked for"),
    ],
)
async def test_a_setting_that_is_lost_is_noticed_and_nothing_holds(
    stand: OdriveStand, lost: bytes, sentence: str
) -> None:
    stand.simulator.set("motor.config.torque_lim", 1.0)
    await stand.driver.connect()
    stand.lost = lambda line: line.startswith(lost)
    await refused(stand.driver.engage(0.5, 0.5), InstrumentRefused, sentence)
    assert not stand.torque_on


async def test_a_board_that_makes_for_elsewhere_is_switched_off(stand: OdriveStand) -> None:
    await stand.driver.connect()
    stand.fault = Garbage(sealed("3.000000")[:-1] + b"\r\n")
    stand.faulty = lambda line: line.startswith(b"r axis0.controller.input_pos")
    with pytest.raises(InstrumentRefused, match="makes for 3 turns after 0 was sent"):
        await stand.driver.engage(0.5, 0.5)
    assert "w axis0.requested_state 8" not in stand.commands()


async def test_a_board_that_makes_for_elsewhere_once_it_is_on_is_switched_off(stand: OdriveStand) -> None:
    def elsewhere(reply: bytes) -> bytes:
        stand.simulator.set("controller.input_pos", 3.0)
        return reply

    await stand.driver.connect()
    stand.fault, stand.faulty = elsewhere, lambda line: line.startswith(b"r axis0.current_state")
    with pytest.raises(InstrumentRefused, match="makes for 3 turns where it stands at 0"):
        await stand.driver.engage(0.5, 0.5)
    assert not stand.torque_on


# -- what stops it -----------------------------------------------------------------------------------------------------


async def test_polls_feed_the_watchdog_and_silence_lets_it_bite(stand: OdriveStand) -> None:
    await stand.bitten(speed=0.25, within=0.02)
    assert not stand.torque_on
    await stand.stays_bitten("nothing fed its watchdog for 2.5 s")
    await stand.driver.freeze()
    assert stand.simulator.get("error") == 0
    await stand.turns_again()


@pytest.mark.parametrize(
    ("axis", "part", "number", "sentence"),
    [
        (0x40, "motor.error", 0x1000, "the motor failed; motor: current limit exceeded"),
        (0x40, "motor.error", 0x8, "motor: gate driver fault"),
        (0x40, "motor.error", 0x800000000, "motor: tells axis0.motor.error as 343597383, which may be cut off"),
        (0x40, "motor.error", 0, "motor: it names no cause"),
        (0x100, "encoder.error", 0x4, "the encoder failed; encoder: no response"),
        (0x200, "controller.error", 0x1, "the controller failed; controller: overspeed: raise vel_limit_tolerance"),
        (0x1000, "motor.error", 0, "the minimum end stop was pressed"),
        (0x4000, "motor.error", 0, "an emergency stop came over CAN"),
        (0x2, "motor.error", 0, "unknown bits 0x2"),
        (0x840, "motor.error", 0x10, "the motor failed, its watchdog was not fed; motor: control deadline missed"),
    ],
)
async def test_an_error_is_named_and_can_be_made_safe(
    stand: OdriveStand, axis: int, part: str, number: int, sentence: str
) -> None:
    await stand.driver.connect()
    await stand.driver.engage(0.5, 0.5)
    stand.simulator.set(part, number)
    stand.simulator.set("error", axis)
    await stand.failed_and_safe(sentence)
    assert stand.simulator.get("error") == axis, "a person clears it"


def test_unknown_bits_are_told() -> None:
    assert errors.named(0x48, {0x40: "it failed"}) == "it failed, unknown bits 0x8"


async def test_a_restart_or_another_master_in_operation_is_noticed(stand: OdriveStand) -> None:
    await stand.driver.connect()
    for disturb in (
        stand.simulator.restart,
        lambda: stand.simulator.set("motor.config.torque_lim", 5.0),
        lambda: stand.simulator.set("controller.config.vel_limit", 9.0),
    ):
        await stand.driver.engage(0.5, 0.5)
        disturb()
        with pytest.raises(InstrumentRefused, match="is not under control any more, or has lost the limits"):
            await stand.driver.read()
        await stand.driver.freeze()


@settings(deadline=None)
@given(st.binary(max_size=30) | st.text("0123456789.-*naif ", max_size=20).map(lambda t: sealed(t)[:-1] + b"\r\n"))
def test_any_answer_is_a_reading_or_a_sentence(answer: bytes) -> None:
    OdriveStand.reads_or_says_why(answer, faulty=lambda line: line.startswith(b"f"))
