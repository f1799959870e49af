"""The TMCL rig: frames against the manual's examples, driver against simulator; PyTrinamic is the other client."""

import asyncio
import logging
import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pytrinamic import modules
from pytrinamic.connections import SerialTmclInterface
from pytrinamic.modules import TMCM1636
from pytrinamic.tmcl import TMCLReplyStatusError, TMCLRequest

from drivers.trinamic_tmcl.frame import Command, Frames, Reply, Request, decode_reply, decode_request
from drivers.trinamic_tmcl.models import APPLICATION_STATUS, AUTO_START, MODELS, Parameter
from drivers.trinamic_tmcl.sim import Simulator
from labctl.clock import VirtualClock
from labctl.errors import GarbledReply, InstrumentRefused, LabctlError, NoReply, WrongInstrument
from labctl.sim.faults import Garbage, silence
from tests.conftest import Served
from tests.drivers.test_servos import TrinamicStand, refused

BRAKED = {"model": "TMCM-1690", "holds": "brake"}


@pytest.fixture
def stand(clock: VirtualClock) -> TrinamicStand:
    return TrinamicStand(clock)


# -- frames ------------------------------------------------------------------------------------------------------------

REQUESTS = [
    # TMCL firmware manuals: ROR 0, 350 (its checksum example); GAP 0, 1 (TMCM-142); and a negative value.
    ("01 01 00 00 00 00 01 5e 61", Request(1, Command.ROR, 0, 0, 350)),
    ("01 06 01 00 00 00 00 00 08", Request(1, Command.GAP, 1, 0, 0)),
    ("01 04 00 00 ff ff fc 18 17", Request(1, Command.MVP, 0, 0, -1000)),
    ("01 05 0b 00 00 00 07 d0 e8", Request(1, Command.SAP, 11, 0, 2000)),
]


@pytest.mark.parametrize(("wire", "request_"), REQUESTS)
def test_requests(wire: str, request_: Request) -> None:
    assert request_.encode() == bytes.fromhex(wire)
    assert decode_request(bytes.fromhex(wire)) == request_


def test_a_reply() -> None:
    wire = bytes.fromhex("02 01 64 06 ff ff fe 0c 75")
    assert decode_reply(wire) == Reply(2, 1, 100, Command.GAP, -500)
    assert Reply(2, 1, 100, Command.GAP, -500).encode() == wire


BYTE = st.integers(0, 255)


@settings(deadline=None)
@given(BYTE, BYTE, BYTE, BYTE, st.integers(-(1 << 31), (1 << 31) - 1))
def test_frames_are_those_of_the_other_client(address: int, command: int, type_: int, motor: int, value: int) -> None:
    theirs = bytes(TMCLRequest(address, command, type_, motor, value).to_buffer())
    assert Request(address, command, type_, motor, value).encode() == theirs
    assert decode_request(theirs) == Request(address, command, type_, motor, value)


@given(st.integers(0, 71), BYTE)
def test_one_wrong_bit_is_noticed(bit: int, low: int) -> None:
    frame = bytearray(Reply(2, 1, 100, Command.GAP, low).encode())
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValueError, match="checksum"):
        decode_reply(bytes(frame))


def test_a_stray_byte_is_refused_before_the_next_question() -> None:
    assert Frames().unsolicited(bytearray(b"\x00"))
    assert Frames().take(bytearray(8)) is None


# -- connecting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reduction": 0}, "reduction"),
        ({"torque_constant": "0 N m/A"}, "torque_constant"),
        ({"torque_constant": "0.05 N m"}, "torque_constant"),
        ({"model": "TMCM-1276"}, "model"),
        ({"address": 0}, "address"),
        ({"holds": "friction"}, "holds"),
        ({"holds": "brake"}, "which value of TMCM-1636's brake output engages the brake"),
    ],
)
def test_impossible_options(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        TrinamicStand.configured(**changes)


async def test_connect_identifies_and_takes_the_torque_away(stand: TrinamicStand) -> None:
    identity = await stand.driver.connect()
    assert str(identity) == "Trinamic TMCM-1636 (serial address 1, firmware 1.10)"
    assert stand.sent[0].encode() == bytes.fromhex("01 88 01 00 00 00 00 00 8a")
    assert stand.written() == [
        (Command.MST, 0, 0),
        (Command.SAP, 30, 0),
        (Command.SAP, 255, 0),
        (Command.RSAP, 11, 0),
    ]
    assert not stand.torque_on
    assert stand.bench.rig.angle == 0


UNFIT = [
    (Parameter.COMMUTATION_MODE, 1, "Commutation Mode 1, not 3 or 4: no encoder closes its loop"),
    (Parameter.COUNTS_PER_TURN, 4096, "counts 4096 a turn, not counts_per_turn = 65536"),
    (Parameter.MAX_ACCELERATION, 0, "Max Acceleration 0"),
    (Parameter.MAX_CURRENT, 1000, "less than torque_limit = 1"),
]


@pytest.mark.parametrize(("parameter", "value", "sentence"), UNFIT)
async def test_an_unfit_module_is_refused_unmoved(
    stand: TrinamicStand, parameter: Parameter, value: int, sentence: str
) -> None:
    stand.simulator.store(parameter, value)
    await stand.refused_unmoved(WrongInstrument, sentence)


@pytest.mark.parametrize("number", [AUTO_START, APPLICATION_STATUS])
async def test_a_program_of_its_own_is_refused(stand: TrinamicStand, number: int) -> None:
    stand.simulator.set_global(number, 1)
    with pytest.raises(WrongInstrument, match="has a program of its own, which may turn the screw"):
        await stand.driver.connect()


@pytest.mark.parametrize("model", MODELS)
async def test_every_model_by_its_own_numbers(clock: VirtualClock, model: str) -> None:
    stand = TrinamicStand(clock, model=model, counts_per_turn=4096, direction="negative")
    await stand.driver.connect()
    await stand.driver.engage(0.5, 0.5)
    await stand.driver.turn_to(0.5)
    await stand.wait(3)
    reading = await stand.driver.read()
    assert reading.angle == pytest.approx(0.5, abs=16 * stand.COUNT)
    assert stand.bench.rig.angle == pytest.approx(0.5, abs=16 * stand.COUNT + 0.001)
    assert stand.simulator.get(Parameter.ACTUAL_POSITION) < 0
    await stand.driver.freeze()
    assert not stand.torque_on
    other = TrinamicStand(clock, model="TMCM-1640" if model != "TMCM-1640" else "TMCM-1636")
    other.simulator = stand.simulator
    with pytest.raises(WrongInstrument, match=f"is a module of type {MODELS[model].number}, not a TMCM-16"):
        await other.driver.connect()


async def test_velocities_in_another_unit_are_refused(clock: VirtualClock) -> None:
    stand = TrinamicStand(clock, **BRAKED)
    stand.simulator.store(Parameter.VELOCITY_UNIT, 1)
    with pytest.raises(WrongInstrument, match="does not tell velocities in rpm"):
        await stand.driver.connect()


BROKEN = [
    (Garbage(bytes.fromhex("02 01 64 88 06 64 01 0a 65")), GarbledReply, "checksum 0x65 instead of 0x64"),
    (Garbage(Reply(2, 2, 100, 136, 0x0664010A).encode()), GarbledReply, "a reply of module 1 to host 2"),
    (Garbage(Reply(1, 1, 100, 136, 0x0664010A).encode()), GarbledReply, "a reply of module 1 to host 2"),
    (Garbage(Reply(2, 1, 100, 6, 0x0664010A).encode()), GarbledReply, "a reply to command 136"),
    (Garbage(b"\x021636V110"), GarbledReply, "checksum"),
    (silence, NoReply, "no complete reply"),
] + [
    (Garbage(Reply(2, 1, status, 136, 0).encode()), InstrumentRefused, sentence)
    for status, sentence in [
        (1, "the command reached it with a wrong checksum (1)"),
        (2, "it does not know the command (2)"),
        (3, "it does not know the parameter (3)"),
        (4, "the value is not possible (4)"),
        (5, "its EEPROM is locked (5)"),
        (6, "the command is not available (6)"),
        (9, "the value is beyond its maximum (9)"),
        (42, "unknown status (42)"),
    ]
]


@pytest.mark.parametrize(("fault", "error", "sentence"), BROKEN)
async def test_a_broken_or_refusing_reply_has_its_sentence(
    stand: TrinamicStand, fault: Callable[[bytes], bytes], error: type[LabctlError], sentence: str
) -> None:
    stand.fault = fault
    await refused(stand.driver.connect(), error, sentence)


# -- turning -----------------------------------------------------------------------------------------------------------


async def test_engage_limits_before_it_holds_and_turn_goes(stand: TrinamicStand) -> None:
    await stand.driver.connect()
    stand.sent.clear()
    await stand.driver.engage(torque=0.5, speed=0.5)
    assert stand.written() == [
        (Command.SAP, 30, 0),
        (Command.SAP, 255, 0),
        (Command.SAP, 11, 2000),  # 0.5 N·m over 0.05 N·m/A and 5:1
        (Command.SAP, 43, 23),  # 23.87 rpm
        (Command.SAP, 45, 1),
        (Command.SAP, 255, 1),
        (Command.MVP, 0, 0),
    ]
    stand.sent.clear()
    await stand.driver.turn_to(1.0)
    assert [request.encode() for request in stand.sent] == [bytes.fromhex("01 04 00 00 00 00 cb b8 88")]
    await stand.silent(1.0)
    assert stand.bench.rig.angle == pytest.approx(23 * math.tau / 60 / 5, abs=0.001)


async def test_one_poll(stand: TrinamicStand) -> None:
    await stand.driver.connect()
    stand.sent.clear()
    await stand.driver.read()
    assert [(r.command, r.type) for r in stand.sent] == [(6, 156), (6, 52), (6, 31), (6, 42)]
    await stand.driver.engage(0.5, 0.5)
    stand.sent.clear()
    await stand.driver.read()
    assert [(r.command, r.type) for r in stand.sent] == [(6, 156), (6, 52), (6, 31), (6, 42), (6, 11), (6, 50)]


async def test_a_brake_is_released_last_and_engaged_first(clock: VirtualClock) -> None:
    stand = TrinamicStand(clock, **BRAKED)
    await stand.driver.connect()
    stand.sent.clear()
    await stand.driver.engage(0.5, 0.5)
    assert stand.written()[-2:] == [(Command.MVP, 0, 0), (Command.SAP, 188, 1)]
    await stand.driver.turn_to(0.5)
    await stand.wait(3)
    assert stand.bench.rig.angle == pytest.approx(0.5, abs=0.002)
    stand.sent.clear()
    await stand.driver.freeze()
    assert stand.written() == [
        (Command.MST, 0, 0),
        (Command.SAP, 188, 0),
        (Command.SAP, 77, 0),
        (Command.SAP, 255, 0),
    ]


async def test_a_brake_whose_output_is_off_is_refused(clock: VirtualClock) -> None:
    stand = TrinamicStand(clock, **BRAKED)
    stand.simulator.store(Parameter.ENABLE_BRAKE_OUTPUT, 0)
    with pytest.raises(WrongInstrument, match="has its brake output switched off"):
        await stand.driver.connect()


async def test_torque_stalls_the_screw_and_is_told(stand: TrinamicStand) -> None:
    await stand.stalled(within=1e-3)


# -- what stops it -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bit", "sentence"),
    [(0x01, "overcurrent"), (0x02, "undervoltage"), (0x08, "overtemperature"), (0x20000, "the motor would overheat")],
)
async def test_an_error_flag_is_named_and_can_be_made_safe(stand: TrinamicStand, bit: int, sentence: str) -> None:
    await stand.driver.connect()
    await stand.driver.engage(0.5, 0.5)
    stand.simulator.errors = bit
    await stand.failed_and_safe(sentence)


async def test_another_goal_in_operation_is_noticed(stand: TrinamicStand) -> None:
    await stand.driver.connect()
    await stand.driver.engage(0.5, 0.5)
    stand.simulator.set(Parameter.TARGET_POSITION, 1000)
    with pytest.raises(InstrumentRefused, match="something else writes to it"):
        await stand.driver.read()


async def test_a_parameter_that_keeps_its_value_is_noticed(stand: TrinamicStand) -> None:
    await stand.driver.connect()
    stand.fault = Garbage(Reply(2, 1, 100, Command.GAP, 1999).encode())
    stand.faulty = lambda request: request.command == Command.GAP and request.type == 11
    with pytest.raises(InstrumentRefused, match=r"Max Current \(11\) is 1999 after 2000 was set"):
        await stand.driver.engage(0.5, 0.5)
    assert not stand.torque_on


async def test_freeze_takes_the_torque_away_although_it_cannot_be_stopped(stand: TrinamicStand) -> None:
    await stand.driver.connect()
    await stand.driver.engage(0.5, 0.5)
    stand.fault = Garbage(Reply(2, 1, 6, Command.MST, 0).encode())
    stand.faulty = lambda request: request.command == Command.MST
    await stand.driver.freeze()
    assert not stand.torque_on


@settings(deadline=None)
@given(st.binary(max_size=20) | st.builds(lambda *f: Reply(*f).encode(), BYTE, BYTE, BYTE, BYTE, st.integers(-9, 9)))
def test_any_reply_is_a_reading_or_a_sentence(reply: bytes) -> None:
    TrinamicStand.reads_or_says_why(reply)


@settings(deadline=None, max_examples=20)
@given(pieces=st.lists(st.floats(0.01, 2.0), min_size=1, max_size=8))
def test_the_bench_may_be_advanced_in_any_pieces(pieces: list[float]) -> None:
    def start(simulator: Simulator) -> None:
        for parameter, value in ((Parameter.MAX_CURRENT, 700), (Parameter.MAX_VELOCITY, 31)):
            simulator.set(parameter, value)
        simulator.set(Parameter.TARGET_POSITION, 301_007)

    def count(simulator: Simulator) -> int:
        return simulator.get(Parameter.ACTUAL_POSITION)

    TrinamicStand.same_in_any_pieces(pieces, start, count)


# -- the other client --------------------------------------------------------------------------------------------------


def converse(address: str) -> None:
    """What PyTrinamic sees of a TMCM-1636; runs in a thread."""
    with SerialTmclInterface(address, 9600, timeout_s=1) as interface:
        assert interface.get_version_string() == "1636V110"
        module = TMCM1636(interface)
        motor = module.motors[0]
        motor.drive_settings.max_current = 1500
        assert motor.drive_settings.max_current == 1500
        motor.linear_ramp.max_velocity = 1000
        assert motor.linear_ramp.max_velocity == 1000
        assert motor.linear_ramp.max_acceleration == 4000
        motor.set_axis_parameter(motor.AP.TargetTorque, -200)
        assert motor.get_axis_parameter(motor.AP.TargetTorque, signed=True) == -200
        motor.set_axis_parameter(motor.AP.EnableDriver, 0)
        module.move_to(0, -1000)
        assert motor.target_position == -1000
        assert motor.actual_position == 0, "its driver is off"
        module.stop(0)
        assert motor.actual_velocity == 0
        assert motor.get_status_flags() & 0x8000
        assert module.get_global_parameter(module.GP.SerialHostAddress, 0) == 2
        for command, refusal in [
            (lambda: motor.set_axis_parameter(motor.AP.MaxCurrent, 1_000_000), 4),
            (lambda: motor.get_axis_parameter(200), 3),
            (lambda: interface.send(99, 0, 0, 0), 2),
            (lambda: module.rotate(0, 100), 6),
        ]:
            with pytest.raises(TMCLReplyStatusError) as refused:
                command()
            assert refused.value.status_code == refusal


async def test_pytrinamic_drives_the_simulator(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    async with served(*TrinamicStand.simulated(), "pty") as address:
        await asyncio.to_thread(converse, address)


@pytest.mark.parametrize("model", MODELS)
def test_the_numbers_are_those_of_pytrinamic(model: str) -> None:
    theirs = getattr(modules, model.replace("-", ""))._MotorTypeA.AP
    names = {
        Parameter.MAX_CURRENT: ("MaxCurrent", "MaxTorque"),
        Parameter.COUNTS_PER_TURN: ("PositionScaler", "EncoderSteps", "AbsoluteEncoderSteps"),
    }
    for parameter, number in MODELS[model].parameters.items():
        known = names.get(parameter, (parameter.replace(" ", ""),))
        assert number in {getattr(theirs, name, None) for name in known}
