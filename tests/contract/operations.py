"""What an engine asks of each role: how the instrument comes there, the call, and what must be true of the bench.

Numbers suit the bench's standard cell (about 2 mAh on a die of 10 mm) and screw.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from labctl.impedance import SpectrumStatus
from labctl.instrument import CellReading, GasReading, Identity, Range, RigReading, Role, ThermostatReading
from labctl.plan import Bound, Impedance
from labctl.sim.source import Open
from tests.contract.stand import DRIVERS, Check, Stand

WINDOW, MOST = Range(2.5, 4.3), 2e-3
CURRENT, HIGH, LOW = 5e-4, 4.2, 2.6
TURN, SPEED = 6.0, 0.5
"""rad and rad/s of the screw."""
WARM = 40.0

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Operation:
    """One call.

    Attributes:
        prepare: brings the instrument there, without faults.
        right: holds when the call has returned this.
        bounded: holds whatever became of the call, and for how long nobody asks afterwards.
        needs: a method without which a driver is not asked for it.
    """

    name: str
    prepare: Callable[[Stand], Awaitable[object]]
    call: Callable[[Stand], Awaitable[object]]
    right: Callable[[Stand, object], None]
    bounded: Check
    needs: str = "connect"

    def __str__(self) -> str:
        return self.name


async def nothing(stand: Stand) -> None:
    """Leave it as it was found."""


async def connect(stand: Stand) -> object:
    return await stand.instrument.connect()


async def safe_state(stand: Stand) -> None:
    await stand.instrument.safe_state()


def identified(stand: Stand, result: object) -> None:
    assert isinstance(result, Identity)
    bounded_nowhere(stand)


def bounded_nowhere(stand: Stand) -> None:
    """Nothing was commanded: nothing flows, turns or heats."""
    bench = stand.look()
    assert isinstance(bench.cell.source, Open)
    assert bench.rig.angle == 0.0
    assert bench.room.setpoint is None
    if stand.driver.role is Role.GAS_REGULATOR:
        assert bench.rig.force("negative") == 0.0


# -- cycler ------------------------------------------------------------------------------------------------------------


async def armed(stand: Stand) -> None:
    await stand.cycler.connect()
    await stand.cycler.arm(WINDOW, MOST)


async def charging(stand: Stand) -> None:
    await armed(stand)
    await stand.cycler.drive(CURRENT, HIGH)
    await stand.clock.sleep(60.0)


async def charged(stand: Stand) -> None:
    """Still charging, with enough in the cell for a discharge at the same current."""
    await charging(stand)
    await stand.clock.sleep(HOUR)


def current_between(low: float, high: float) -> Check:
    def check(stand: Stand) -> None:
        cell = stand.look().cell
        assert low * 1.001 - 1e-7 <= cell.current <= high * 1.001 + 1e-7
        if cell.current > 1e-7:
            assert cell.voltage <= HIGH + 1e-3
        elif cell.current < -1e-7:
            assert cell.voltage >= LOW - 1e-3

    return check


def driven_with(current: float) -> Callable[[Stand, object], None]:
    def check(stand: Stand, _result: object) -> None:
        assert abs(stand.look().cell.current - current) <= 1e-3 * abs(current) + 1e-8

    return check


def opened(stand: Stand, _result: object) -> None:
    assert isinstance(stand.look().cell.source, Open)


def cell_read(stand: Stand, result: object) -> None:
    assert isinstance(result, CellReading)
    cell = stand.look().cell
    assert abs(result.current - cell.current) <= 1e-3 * abs(cell.current) + 1e-8
    assert result.output != isinstance(cell.source, Open)
    if result.voltage is None:
        assert not result.output
    else:
        assert abs(result.voltage - cell.voltage) <= 1e-3


SPECTRUM = Impedance((1e5, 1234.5678, 10.0, 1.0), "voltage", 0.01, None, MOST, Bound(LOW, HIGH))


async def rested(stand: Stand) -> None:
    await charged(stand)
    await stand.cycler.rest()
    await stand.clock.sleep(HOUR)


async def start_spectrum(stand: Stand) -> None:
    bias = (await stand.cycler.read()).voltage
    assert bias is not None
    await stand.potentiostat.start_spectrum(SPECTRUM, bias)


async def half_a_spectrum(stand: Stand) -> None:
    await rested(stand)
    await start_spectrum(stand)
    await stand.clock.sleep(3.0)


def biased(stand: Stand, _result: object) -> None:
    """The circuit is closed, and as good as nothing flows."""
    cell = stand.look().cell
    assert not isinstance(cell.source, Open)
    assert abs(cell.current) <= 1e-6


def points_read(stand: Stand, result: object) -> None:
    assert isinstance(result, SpectrumStatus)
    if not result.points:
        return  # an instrument may say that the spectrum has ended
    assert tuple(point.frequency for point in result.points) == SPECTRUM.frequencies[: len(result.points)]
    for point in result.points:
        true = stand.bench.cell.impedance(point.frequency)
        assert abs(complex(point.real, point.imaginary) - true) <= 0.01 * abs(true)


charge_only = current_between(0.0, CURRENT)
hardly_any = current_between(-1e-6, 1e-6)
CYCLER = [
    Operation("connect", nothing, connect, identified, bounded_nowhere),
    Operation("arm", connect, lambda s: s.cycler.arm(WINDOW, MOST), opened, bounded_nowhere),
    Operation("charge", armed, lambda s: s.cycler.drive(CURRENT, HIGH), driven_with(CURRENT), charge_only),
    Operation(
        "discharge after charge",
        charged,
        lambda s: s.cycler.drive(-CURRENT, LOW),
        driven_with(-CURRENT),
        current_between(-CURRENT, CURRENT),
    ),
    Operation("rest after charge", charging, lambda s: s.cycler.rest(), driven_with(0.0), charge_only),
    Operation("rest", armed, lambda s: s.cycler.rest(), driven_with(0.0), current_between(0.0, 0.0)),
    Operation("off", charging, lambda s: s.cycler.off(), opened, charge_only),
    Operation("safe state", charging, safe_state, opened, charge_only),
    Operation("read", charging, lambda s: s.cycler.read(), cell_read, charge_only),
    Operation("read with the output off", armed, lambda s: s.cycler.read(), cell_read, bounded_nowhere),
    Operation("begin a spectrum", rested, start_spectrum, biased, hardly_any, "start_spectrum"),
    Operation(
        "read a spectrum",
        half_a_spectrum,
        lambda s: s.potentiostat.spectrum(0),
        points_read,
        hardly_any,
        "start_spectrum",
    ),
]

# -- load cell ---------------------------------------------------------------------------------------------------------


async def loaded(stand: Stand) -> None:
    await connect(stand)
    stand.bench.rig.turn_to(1.0)


def anything(stand: Stand) -> None:
    """A load cell moves and energises nothing."""


def force_read(stand: Stand, result: object) -> None:
    assert isinstance(result, float)
    assert abs(result - stand.look().rig.force("negative")) <= 5e-3 * stand.load_cell.capacity


def tared(stand: Stand, result: object) -> None:
    assert result is None


LOAD_CELL = [
    Operation("connect", nothing, connect, identified, bounded_nowhere),
    Operation("tare", connect, lambda s: s.load_cell.tare(), tared, bounded_nowhere),
    Operation("read", loaded, lambda s: s.load_cell.read(), force_read, anything),
    Operation("safe state", loaded, safe_state, lambda _stand, _result: None, anything),
]

# -- pressure rig ------------------------------------------------------------------------------------------------------


def half_torque(stand: Stand) -> float:
    return 0.5 * stand.rig.torque_range.high


async def located(stand: Stand) -> None:
    await connect(stand)
    stand.zero = (await stand.rig.read()).angle - stand.look().rig.angle


async def engaged(stand: Stand) -> None:
    await located(stand)
    await stand.rig.engage(half_torque(stand), SPEED)


async def turning(stand: Stand) -> None:
    await engaged(stand)
    await turn(stand)
    await stand.clock.sleep(stand.rig.poll_period)


async def turn(stand: Stand) -> None:
    await stand.rig.turn_to(stand.zero + TURN)


def on_its_way(stand: Stand) -> None:
    rig = stand.look().rig
    assert -play(stand) <= rig.angle <= TURN + play(stand)
    # The screw may have stopped a count beyond what the torque would turn now.
    assert rig.torque(+1) <= 1.05 * half_torque(stand)


def play(stand: Stand) -> float:
    """What lies between an encoder and the screw, rad."""
    return 0.01 + stand.rig.angle_resolution


def rig_read(stand: Stand, result: object) -> None:
    assert isinstance(result, RigReading)
    assert abs(result.angle - stand.zero - stand.look().rig.angle) <= play(stand)
    assert abs(result.torque) <= stand.rig.torque_range.high


def held(stand: Stand, _result: object) -> None:
    """It stands where it is, however long one waits."""
    angle = stand.look().rig.angle
    stand.bench.advance_to(stand.bench.time + 1.0)
    assert stand.bench.rig.angle == angle


def done(stand: Stand, result: object) -> None:
    assert result is None


PRESSURE_RIG = [
    Operation("connect", nothing, connect, identified, bounded_nowhere),
    Operation("engage", located, lambda s: s.rig.engage(half_torque(s), SPEED), done, bounded_nowhere),
    Operation("turn", engaged, turn, done, on_its_way),
    Operation("read", turning, lambda s: s.rig.read(), rig_read, on_its_way),
    Operation("freeze", turning, lambda s: s.rig.freeze(), held, on_its_way),
    Operation("safe state", turning, safe_state, held, on_its_way),
]

# -- hand tool ---------------------------------------------------------------------------------------------------------

CARE = 0.1
"""By how much a hand may miss what it was asked for, 4.5 standard deviations of the simulated one."""
WHY = "2.5 MPa on 10 mm"


def wanted(stand: Stand) -> float:
    """N·m, or N, that the usual bench takes easily."""
    return 0.3 if stand.tool.shows == "torque" else 200.0


async def apply(stand: Stand) -> object:
    return await stand.tool.apply(wanted(stand), "negative", WHY, release=False)


async def applied(stand: Stand) -> None:
    await connect(stand)
    await apply(stand)
    await stand.clock.sleep(60.0)


def shown(stand: Stand, result: object) -> None:
    assert isinstance(result, float)
    assert abs(result - wanted(stand)) <= CARE * wanted(stand)
    stand.bench.advance_to(stand.bench.time + 60.0)
    rig = stand.bench.rig
    felt = rig.torque(+1) if stand.tool.shows == "torque" else rig.indicated("negative")
    assert abs(felt - result) <= 0.02 * result


def by_hand(stand: Stand) -> None:
    rig = stand.look().rig
    felt = rig.torque(+1) if stand.tool.shows == "torque" else rig.indicated("negative")
    assert felt <= (1.0 + CARE) * wanted(stand)


HAND_TOOL = [
    Operation("connect", nothing, connect, identified, bounded_nowhere),
    Operation("apply", connect, apply, shown, by_hand),
    Operation("safe state", applied, safe_state, lambda _stand, _result: None, by_hand),
]

# -- gas regulator -----------------------------------------------------------------------------------------------------

GAS = 2e5
"""Pa, gauge."""


async def press(stand: Stand) -> None:
    await stand.gas.set_pressure(GAS)


async def pressing(stand: Stand) -> None:
    """The gas is still on its way."""
    await connect(stand)
    await press(stand)
    await stand.clock.sleep(0.2)


async def pressed(stand: Stand) -> None:
    await pressing(stand)
    await stand.clock.sleep(30.0)


def presses(stand: Stand, _result: object) -> None:
    stand.bench.advance_to(stand.bench.time + 30.0)
    force = GAS * stand.gas.piston_area
    assert abs(stand.bench.rig.force("negative") - force) <= 0.02 * force


def pressed_at_most(stand: Stand) -> None:
    assert 0.0 <= stand.look().rig.force("negative") <= 1.02 * GAS * stand.gas.piston_area


def closed(stand: Stand, _result: object) -> None:
    """Nothing lets gas in, however long one waits."""
    force = stand.look().rig.force("negative")
    stand.bench.advance_to(stand.bench.time + 60.0)
    assert 0.99 * force <= stand.bench.rig.force("negative") <= force


def gas_read(stand: Stand, result: object) -> None:
    assert isinstance(result, GasReading)
    pascal = stand.look().rig.force("negative") / stand.gas.piston_area
    assert abs(result.pressure - pascal) <= 5e-3 * stand.gas.pressure_range.high
    assert result.closed or min(abs(result.setpoint), abs(result.setpoint - GAS)) <= 1e-3 * GAS


GAS_REGULATOR = [
    Operation("connect", nothing, connect, identified, bounded_nowhere),
    Operation("set pressure", connect, press, presses, pressed_at_most),
    Operation("read", pressed, lambda s: s.gas.read(), gas_read, pressed_at_most),
    Operation("hold", pressing, lambda s: s.gas.hold(), closed, pressed_at_most),
    Operation("safe state", pressing, safe_state, closed, pressed_at_most),
]

# -- thermostat --------------------------------------------------------------------------------------------------------


async def warming(stand: Stand) -> None:
    await connect(stand)
    await stand.thermostat.set_temperature(WARM)
    await stand.clock.sleep(900.0)


def regulated(stand: Stand, _result: object) -> None:
    assert stand.look().room.setpoint == WARM


def stopped(stand: Stand, _result: object) -> None:
    assert stand.look().room.setpoint is None


def stopped_or_regulated(stand: Stand) -> None:
    assert stand.look().room.setpoint in (None, WARM)


def temperatures_read(stand: Stand, result: object) -> None:
    assert isinstance(result, ThermostatReading)
    room = stand.look().room
    assert abs(result.bath - room.bath) <= 0.2
    assert (result.external is not None) == stand.thermostat.external_probe
    assert result.external is None or abs(result.external - room.cell) <= 0.2
    assert result.running == (room.setpoint is not None)
    assert not result.running or result.setpoint == room.setpoint


THERMOSTAT = [
    Operation("connect", nothing, connect, identified, bounded_nowhere),
    Operation(
        "set temperature", connect, lambda s: s.thermostat.set_temperature(WARM), regulated, stopped_or_regulated
    ),
    Operation("read", warming, lambda s: s.thermostat.read(), temperatures_read, stopped_or_regulated),
    Operation("stop", warming, lambda s: s.thermostat.stop(), stopped, stopped_or_regulated),
    Operation("safe state", warming, safe_state, stopped, stopped_or_regulated),
]

OPERATIONS: dict[Role, list[Operation]] = {
    Role.CYCLER: CYCLER,
    Role.LOAD_CELL: LOAD_CELL,
    Role.PRESSURE_RIG: PRESSURE_RIG,
    Role.HAND_TOOL: HAND_TOOL,
    Role.GAS_REGULATOR: GAS_REGULATOR,
    Role.THERMOSTAT: THERMOSTAT,
}
READY: dict[Role, Callable[[Stand], Awaitable[object]]] = {
    Role.CYCLER: armed,
    Role.LOAD_CELL: connect,
    Role.PRESSURE_RIG: located,
    Role.HAND_TOOL: connect,
    Role.GAS_REGULATOR: connect,
    Role.THERMOSTAT: connect,
}
"""Brings an instrument to where it may be commanded."""
ACTING: dict[Role, Callable[[Stand], Awaitable[object]]] = {
    Role.CYCLER: charging,
    Role.LOAD_CELL: loaded,
    Role.PRESSURE_RIG: turning,
    Role.HAND_TOOL: applied,
    Role.GAS_REGULATOR: pressing,
    Role.THERMOSTAT: warming,
}
"""Brings an instrument to where it energises, turns or heats."""


def read_of(role: Role) -> Operation:
    return next(operation for operation in OPERATIONS[role] if operation.name == "read")


BREATH = 0.05
"""N by which the cell itself may press more within a second."""


def is_safe(stand: Stand) -> bool:
    """Whether nothing flows, turns, presses on or heats; looks a second of lab time ahead for motion."""
    bench = stand.look()
    angle, force = bench.rig.angle, bench.rig.force("negative")
    bench.advance_to(bench.time + 1.0)
    stands = bench.rig.angle == angle and bench.rig.force("negative") <= force + BREATH
    return isinstance(bench.cell.source, Open) and stands and bench.room.setpoint is None


def has(driver_name: str, method: str) -> bool:
    """Whether a driver has a method that not all of its role have."""
    return hasattr(DRIVERS[driver_name].make, method)


def operations_of(driver_name: str) -> list[Operation]:
    """Return what can be asked of a driver."""
    return [operation for operation in OPERATIONS[DRIVERS[driver_name].role] if has(driver_name, operation.needs)]
