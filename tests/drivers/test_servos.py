"""Servos that turn a screw: each on a bench with a tap on its wire, and what every one of them must do."""

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

import pytest
from pydantic import ValidationError

from drivers.dynamixel_x import packet, table
from drivers.dynamixel_x.driver import DynamixelX
from drivers.dynamixel_x.sim import Simulator as DynamixelSimulator
from drivers.odrive_v3.driver import OdriveV3
from drivers.odrive_v3.sim import Simulator as OdriveSimulator
from drivers.trinamic_tmcl import frame
from drivers.trinamic_tmcl.driver import TrinamicTMCL
from drivers.trinamic_tmcl.models import Parameter
from drivers.trinamic_tmcl.sim import Simulator as TrinamicSimulator
from labctl.clock import RealClock, VirtualClock
from labctl.errors import InstrumentError, InstrumentRefused, LabctlError, NoReply, RefusedForSafety
from labctl.instrument import PressureRig, RigReading
from labctl.link import MemoryLink, open_link
from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.faults import Garbage, silence
from tests.conftest import Served

NAME = "A1/rig"
Said = TypeVar("Said")


async def refused(call: Awaitable[object], error: type[LabctlError], sentence: str) -> None:
    """A call must fail with this error, the name of the rig and this sentence."""
    with pytest.raises(error) as told:
        await call
    assert sentence in str(told.value)
    assert str(told.value).startswith(NAME)


class ServoStand(ABC, Generic[Said]):
    """A servo on the screw of a bench, in virtual lab time, with a tap on its wire.

    Attributes:
        sent: what the driver has sent.
        fault: what becomes of the replies to what is `faulty`.
        lost: says what does not arrive.
    """

    DRIVER: ClassVar[Any]
    SIMULATOR: ClassVar[Callable[..., Any]]
    OPTIONS: ClassVar[Mapping[str, object]]
    COUNT: ClassVar[float]
    """rad of the screw that its encoder tells apart."""
    START: ClassVar[float] = 0.0
    """rad that it tells before it has turned."""
    IMPOSSIBLE: ClassVar[tuple[tuple[float, float], ...]]
    """N·m and rad/s just beyond what it can limit, or the options allow."""
    RESTARTED: ClassVar[str]
    """What it says of a restart while it was engaged."""
    TRIP: ClassVar[float] = 1.0
    """rad that it forgets when its power is cut."""
    AFTER_CUT: ClassVar[object] = 0.0
    """rad that it tells after the trip and the cut."""

    driver: Any
    simulator: Any

    def __init__(self, clock: VirtualClock, **changes: object) -> None:
        self.clock = clock
        self.options = self.configured(**changes)
        self.bench, self.simulator = self.simulated(**changes)
        self.link = MemoryLink(self._receive, self.simulator.reset_line, self.DRIVER.WIRE, NAME, clock)
        self.driver = self.DRIVER(self.link, self.options, clock)
        self.sent: list[Said] = []
        self.fault: Callable[[bytes], bytes] | None = None
        self.faulty: Callable[[Said], bool] = lambda _said: True
        self.lost: Callable[[Said], bool] = lambda _said: False

    @classmethod
    def configured(cls, **changes: object) -> Any:
        """Return the options of its driver, with changes."""
        return cls.DRIVER.Options.model_validate({**cls.OPTIONS, **changes})

    @classmethod
    def simulated(cls, **changes: object) -> tuple[Bench, Any]:
        """Return a bench, and the simulator that turns its screw."""
        bench = Bench.of(BenchParameters(), seed=1)
        return bench, cls.SIMULATOR(bench, "screw", cls.configured(**changes))

    @abstractmethod
    def decoded(self, data: bytes) -> Said:
        """Return what the driver said."""

    @property
    @abstractmethod
    def torque_on(self) -> bool:
        """Whether the motor holds."""

    def _receive(self, data: bytes) -> bytes:
        self.bench.advance_to(self.clock.now())
        said = self.decoded(data)
        self.sent.append(said)
        if self.lost(said):
            return b""
        reply = self.simulator.receive(data)
        return self.fault(reply) if self.fault and reply and self.faulty(said) else reply

    async def engaged(self, torque: float = 0.5, speed: float = 0.5) -> float:
        """Connect and engage; returns where it stands, rad."""
        await self.driver.connect()
        start: float = (await self.driver.read()).angle
        assert start == pytest.approx(self.START)
        await self.driver.engage(torque, speed)
        return start

    async def wait(self, seconds: float) -> None:
        """Poll for a span of lab time."""
        for _ in range(round(seconds / self.driver.poll_period)):
            await self.clock.sleep(self.driver.poll_period)
            await self.driver.read()

    async def silent(self, seconds: float) -> None:
        """Let lab time pass without an exchange."""
        await self.clock.sleep(seconds)
        self.bench.advance_to(self.clock.now())

    async def lose_an_answer(self) -> None:
        """Let one reading fail, after which the line is as before."""
        self.fault = silence
        with pytest.raises(NoReply):
            await self.driver.read()
        self.fault = None

    async def refused_unmoved(self, error: type[LabctlError], sentence: str) -> None:
        """It must not connect; then it is frozen, and has never turned."""
        await refused(self.driver.connect(), error, sentence)
        assert not self.torque_on
        with pytest.raises(RefusedForSafety, match="is frozen"):
            await self.driver.turn_to(1.0)
        assert not self.torque_on
        assert self.bench.rig.angle == 0

    async def stalled(self, within: float) -> None:
        """Turn against the stack until the torque limit stalls the screw, and it says so, within N·m."""
        start = await self.engaged(torque=0.3, speed=0.5)
        await self.driver.turn_to(start + 20.0)
        await self.wait(30)
        reading = await self.driver.read()
        assert not reading.moving
        assert reading.torque == pytest.approx(0.3, abs=within)
        assert self.bench.rig.torque(+1) == pytest.approx(0.3, abs=0.02)

    async def failed_and_safe(self, sentence: str) -> None:
        """An error is named; it can be made safe nevertheless, and not engaged."""
        await refused(self.driver.read(), InstrumentRefused, sentence)
        await self.driver.safe_state()
        assert not self.torque_on
        await refused(self.driver.engage(0.5, 0.5), InstrumentRefused, sentence)
        assert not self.torque_on

    async def bitten(self, speed: float, within: float) -> None:
        """Poll a screw that turns at 0.25 rad/s, really at this speed, then fall silent: the watchdog stops it."""
        start = await self.engaged(torque=1.0, speed=0.25)
        await self.driver.turn_to(start + 20.0)
        await self.wait(4)
        assert (await self.driver.read()).moving
        await self.silent(60.0)
        # 4 s of polls, then the watchdog's 2.5 s
        assert self.bench.rig.angle == pytest.approx(6.5 * speed, abs=within)

    async def stays_bitten(self, sentence: str) -> None:
        """Neither a reading nor an angle makes it forget that its watchdog has stopped it."""
        for _ in range(2):
            await refused(self.driver.read(), InstrumentRefused, sentence)
        await refused(self.driver.turn_to(self.START + 20.0), InstrumentRefused, sentence)

    async def turns_again(self) -> None:
        """Once frozen, it can be engaged as before."""
        await self.driver.engage(1.0, 0.25)
        await self.driver.turn_to(self.START + 20.0)
        await self.wait(2)
        assert (await self.driver.read()).moving

    @classmethod
    def reads_or_says_why(cls, answer: bytes, faulty: Callable[[Said], bool] = lambda _said: True) -> None:
        """Whatever is answered to a poll, the driver returns finite numbers or says whose answer it was."""

        async def attempt() -> RigReading | InstrumentError:
            stand = cls(VirtualClock(0.0))
            await stand.driver.connect()
            stand.fault, stand.faulty = Garbage(answer), faulty
            try:
                reading: RigReading = await stand.driver.read()
            except InstrumentError as error:
                return error
            return reading

        outcome = asyncio.run(attempt())
        if isinstance(outcome, InstrumentError):
            assert NAME in str(outcome)
        else:
            assert math.isfinite(outcome.angle + outcome.torque)

    @classmethod
    def same_in_any_pieces(cls, pieces: list[float], start: Callable[[Any], None], count: Callable[[Any], int]) -> None:
        """A servo that was started ends where it would, had its bench been advanced in one piece."""

        def outcome(instants: list[float]) -> tuple[float, int, float]:
            bench, simulator = cls.simulated()
            start(simulator)
            for instant in instants:
                bench.advance_to(instant)
            return bench.rig.angle, count(simulator), bench.rig.force("negative")

        instants = [sum(pieces[: n + 1]) for n in range(len(pieces))]
        assert outcome(instants) == pytest.approx(outcome(instants[-1:]), rel=1e-9)


class OdriveStand(ServoStand[bytes]):
    """An ODrive; what it is sent stays in bytes."""

    DRIVER = OdriveV3
    SIMULATOR = OdriveSimulator
    OPTIONS = OdriveV3.EXAMPLE
    COUNT = math.tau / 8192 / 5
    IMPOSSIBLE = ((1.1, 0.5), (1e-3, 0.5), (0.5, 0.04), (0.5, 6.4))
    RESTARTED = "is not under control any more, or has lost the limits"

    driver: OdriveV3
    simulator: OdriveSimulator

    def decoded(self, data: bytes) -> bytes:
        return data

    def commands(self, *first: str) -> list[str]:
        """What was sent, without checksums; only commands that begin with one of these letters."""
        texts = [data.decode().rpartition("*")[0] for data in self.sent]
        return [text for text in texts if not first or text[0] in first]

    @property
    def torque_on(self) -> bool:
        return self.simulator.get("current_state") != 1


class TrinamicStand(ServoStand[frame.Request]):
    """A TMCL module."""

    DRIVER = TrinamicTMCL
    SIMULATOR = TrinamicSimulator
    OPTIONS = TrinamicTMCL.EXAMPLE
    COUNT = math.tau / 65536 / 5
    IMPOSSIBLE = ((1.1, 0.5), (1e-5, 0.5), (0.5, 0.02), (0.5, 6.4))
    RESTARTED = "has lost the limits of engage or its goal"

    driver: TrinamicTMCL
    simulator: TrinamicSimulator

    def decoded(self, data: bytes) -> frame.Request:
        return frame.decode_request(data)

    def written(self) -> list[tuple[int, int, int]]:
        """Commands that change something: command, type, value."""
        reads = (frame.Command.GAP, frame.Command.GGP, frame.Command.FIRMWARE_VERSION)
        return [(r.command, r.type, r.value) for r in self.sent if r.command not in reads]

    @property
    def torque_on(self) -> bool:
        return bool(self.simulator.get(Parameter.ENABLE_DRIVER))


class DynamixelStand(ServoStand[packet.Packet]):
    """A DYNAMIXEL, which knows its angle within a turn after a power cut."""

    DRIVER = DynamixelX
    SIMULATOR = DynamixelSimulator
    OPTIONS: ClassVar[Mapping[str, object]] = {
        "direction": "counterclockwise",
        "reduction": 1.0,
        "torque_limit": 2.0,
        "travel": 30.0,
    }
    COUNT = math.tau / 4096
    START = math.pi
    IMPOSSIBLE = ((2.1, 0.5), (0.006, 0.5), (0.5, 0.02), (0.5, 9.0))
    RESTARTED = "has lost the limits of engage"
    TRIP = -8.0
    AFTER_CUT = pytest.approx(math.pi - 8.0 + math.tau, abs=2 * COUNT)

    driver: DynamixelX
    simulator: DynamixelSimulator

    def decoded(self, data: bytes) -> packet.Packet:
        return packet.decode(data)

    def written(self) -> list[int]:
        """Addresses written, in order."""
        writes = [said for said in self.sent if said.instruction == packet.Instruction.WRITE]
        return [int.from_bytes(said.parameters[:2], "little") for said in writes]

    @property
    def torque_on(self) -> bool:
        return bool(self.simulator.get(table.TORQUE_ENABLE))


Servo = type[ServoStand[Any]]
SERVOS: tuple[Servo, ...] = (OdriveStand, TrinamicStand, DynamixelStand)


@pytest.fixture(params=SERVOS)
def stand(request: pytest.FixtureRequest, clock: VirtualClock) -> ServoStand[Any]:
    servo: Servo = request.param
    return servo(clock)


# -- every servo -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("servo", "missing"), [(servo, missing) for servo in SERVOS for missing in sorted(servo.DRIVER.EXAMPLE)]
)
def test_what_could_hurt_has_no_default(servo: Servo, missing: str) -> None:
    example: Mapping[str, object] = servo.DRIVER.EXAMPLE
    with pytest.raises(ValidationError, match=missing):
        servo.DRIVER.Options.model_validate({k: v for k, v in example.items() if k != missing})


HOLDS_NOWHERE = ((0.0, 0.5), (-0.5, 0.5), (math.nan, 0.5), (0.5, 0.0), (0.5, math.nan))


@pytest.mark.parametrize(
    ("servo", "torque", "speed"),
    [(servo, *limits) for servo in SERVOS for limits in (*HOLDS_NOWHERE, *servo.IMPOSSIBLE)],
)
async def test_limits_that_cannot_hold_are_refused(
    clock: VirtualClock, servo: Servo, torque: float, speed: float
) -> None:
    stand = servo(clock)
    await stand.driver.connect()
    with pytest.raises(RefusedForSafety, match="is not within"):
        await stand.driver.engage(torque, speed)
    assert not stand.torque_on


@pytest.mark.parametrize(
    ("servo", "travel", "angle", "sentence"),
    [
        (OdriveStand, 5000.0, 1300.0, "beyond the ±1000 turns of the motor"),
        (TrinamicStand, 1e6, 5e5, "is beyond what the module counts"),
        (DynamixelStand, 3000.0, math.tau * 256.1, "256 turns"),
    ],
)
async def test_angles_beyond_travel_or_count_are_refused(
    clock: VirtualClock, servo: Servo, travel: float, angle: float, sentence: str
) -> None:
    stand = servo(clock, travel=travel)
    await stand.engaged()
    with pytest.raises(RefusedForSafety, match="more than travel"):
        await stand.driver.turn_to(1.2 * travel)
    with pytest.raises(RefusedForSafety, match=sentence):
        await stand.driver.turn_to(angle)


async def test_a_restart_in_operation_is_noticed(stand: ServoStand[Any]) -> None:
    await stand.engaged()
    stand.simulator.restart()
    with pytest.raises(InstrumentRefused, match=stand.RESTARTED):
        await stand.driver.read()


async def test_lost_turns_are_noticed_before_anything_turns(stand: ServoStand[Any]) -> None:
    start = await stand.engaged(torque=0.5, speed=1.0)
    await stand.driver.turn_to(start + stand.TRIP)
    await stand.wait(12)
    await stand.driver.freeze()
    angle = stand.bench.rig.angle
    stand.simulator.restart()
    for attempt in (stand.driver.read(), stand.driver.engage(0.5, 0.5)):
        with pytest.raises(InstrumentRefused, match="its turns lost in a power cut"):
            await attempt
    assert not stand.torque_on
    await stand.silent(10)
    assert stand.bench.rig.angle == angle
    await stand.driver.connect()
    assert (await stand.driver.read()).angle == stand.AFTER_CUT


async def test_a_lost_answer_freezes_the_rig_before_it_is_used_again(stand: ServoStand[Any]) -> None:
    start = await stand.engaged()
    await stand.driver.turn_to(start + 10.0)
    await stand.lose_an_answer()
    with pytest.raises(RefusedForSafety, match="is frozen"):
        await stand.driver.turn_to(start + 10.0)
    assert not stand.torque_on
    angle = stand.bench.rig.angle
    await stand.silent(10)
    assert stand.bench.rig.angle == angle


@pytest.mark.parametrize("servo", SERVOS)
async def test_driver_over_a_pseudo_terminal(served: Served, servo: Servo) -> None:
    bench, simulator = servo.simulated()
    clock = RealClock()
    async with served(bench, simulator, "pty") as address:
        link = open_link(address, servo.DRIVER.WIRE, NAME, clock, simulated=True)
        rig: PressureRig = servo.DRIVER(link, servo.configured(), clock)
        try:
            await rig.connect()
            await rig.engage(0.5, 1.0)
            await rig.turn_to(servo.START + 0.01)
            while (await rig.read()).moving:
                pass
            assert (await rig.read()).angle == pytest.approx(servo.START + 0.01, abs=servo.COUNT)
            await rig.freeze()
        finally:
            await link.close()
