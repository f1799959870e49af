"""The state of a station as everybody on the bus is told: what it measures now, and what runs there."""

from labctl.api import InstrumentState, RunStatus, StepLine, Value, Word
from labctl.clock import LabClock
from labctl.config import Config
from labctl.engine.board import ANGLE_GAUGE, BATH, CELL_TEMPERATURE, FORCE_GAUGE, GAS_GAUGE, TORQUE_GAUGE
from labctl.engine.outline import Line
from labctl.engine.run import Run
from labctl.lab.assemble import Assembly
from labctl.plan import (
    Bound,
    ConstantCurrent,
    ConstantPower,
    ConstantResistance,
    ConstantVoltage,
    Impedance,
    Limits,
    Pressure,
    Profile,
    Prompt,
    Side,
    Sweep,
    Tare,
    Temperature,
    Torque,
    direction,
)

MOST_LINES = 500
"""Of a plan, around the present one: a state is one message, and a plan may have twenty thousand steps."""
LONGEST_LINE = 200

COULOMB_PER_AH = 3600.0
MILLIAMPERE_HOUR_PER_GRAM = 3600.0
"""C/kg in 1 mAh/g."""


def measured(assembly: Assembly, clock: LabClock, limits: Limits, run: Run | None) -> dict[str, Value]:
    """Return every quantity that the station measures, by its BDF name, with its age, set point and limits."""
    board, now, parts = assembly.station.board, clock.now(), assembly.station.instruments
    cell, age, period = board.fresh_cell(now), _age(board.cell_time, now), parts.cycler.poll_period
    values = {
        "voltage_volt": Value(
            value=None if cell is None else cell.voltage,
            age=age,
            period=period,
            target=None if run is None else _voltage_target(run),
            low=limits.voltage.low,
            high=limits.voltage.high,
        ),
        "current_ampere": Value(value=None if cell is None else cell.current, age=age, period=period),
    }
    for side, load_cell in parts.load_cells.items():
        gauge, bound = board.gauges[FORCE_GAUGE[side]], _pressure_bound(limits, side)
        age, period = _age(gauge.time, now), load_cell.poll_period
        values[FORCE_GAUGE[side]] = Value(value=gauge.fresh(now), age=age, period=period)
        if board.bore_area is not None:
            values[f"{side}_pressure_pa"] = Value(
                value=board.pressure(side, now),
                age=age,
                period=period,
                target=None if run is None else run.pressures.get(side),
                low=bound.low,
                high=bound.high,
            )
    for side, rig in parts.rigs.items():
        for name, high in ((TORQUE_GAUGE[side], limits.torque), (ANGLE_GAUGE[side], None)):
            gauge = board.gauges[name]
            age = _age(gauge.time, now)
            values[name] = Value(value=gauge.fresh(now), age=age, period=rig.poll_period, high=high)
    for side, gas in parts.gases.items():
        gauge = board.gauges[GAS_GAUGE[side]]
        most = gas.pressure_range.high
        values[GAS_GAUGE[side]] = Value(
            value=gauge.fresh(now), age=_age(gauge.time, now), period=gas.poll_period, high=most
        )
    if parts.thermostat is not None:
        for name in (BATH, CELL_TEMPERATURE):
            gauge, bound = board.gauges[name], limits.temperature
            values[name] = Value(
                value=gauge.fresh(now),
                age=_age(gauge.time, now),
                period=parts.thermostat.poll_period,
                low=bound.low,
                high=bound.high,
            )
    return values


def run_status(run: Run, run_id: str, operator: str, started: float) -> RunStatus:
    """Return what a screen shows of a run."""
    plan, progress, step = run.plan, run.progress, run.progress.step
    left = run.forecast.left(progress.test_time)
    whole, charge, mass = progress.test_time + left, abs(progress.step_charge), plan.cell.active_mass
    following = run.next_step
    return RunStatus(
        run=run_id,
        protocol=plan.name,
        title=plan.title,
        cell=plan.cell.name,
        operator=operator,
        started_unix_second=started,
        step=0 if step is None else step.id,
        steps=progress.steps,
        step_name="" if step is None else step.name,
        verb="" if step is None else step.verb,
        next_step="" if following is None else following.name,
        step_time_second=progress.step_time,
        cycle=progress.number,
        cycles=progress.first_cycle + progress.cycles if progress.cycles else 0,
        test_time_second=progress.test_time,
        left_second=left,
        fraction=min(1.0, progress.test_time / whole) if whole > 0.0 else 0.0,
        capacity_ah=charge / COULOMB_PER_AH,
        specific_mah_per_gram=charge / mass / MILLIAMPERE_HOUR_PER_GRAM if mass else None,
        plan=tuple(
            StepLine(id=line.id, depth=line.depth, text=line.text[:LONGEST_LINE], state=line.state)
            for line in _near(run.outline())
        ),
    )


def _near(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Return the lines around the present one, as many as fit into a message."""
    now = next((index for index, line in enumerate(lines) if line.state == "now"), 0)
    first = max(0, min(now - MOST_LINES // 2, len(lines) - MOST_LINES))
    return lines[first : first + MOST_LINES]


def limits_of(run: Run) -> Limits:
    """Return the limits that hold now: those of the present step, or of the run."""
    step = run.progress.step
    return (step.limits if step is not None else None) or run.plan.limits


def word_of_run(run: Run, *, asked: bool) -> Word:
    """Return the state of a station whose run is under way, in one word."""
    if run.paused:
        return Word.PAUSED
    step = run.progress.step
    if asked or step is None:
        return Word.WAIT
    way = direction(step.action)
    if way:
        return Word.CHARGE if way > 0 else Word.DISCHARGE
    match step.action:
        case ConstantVoltage() | Sweep() | Profile() | Impedance():
            return Word.DISCHARGE if run.progress.step_charge < 0.0 else Word.CHARGE
        case Pressure() | Torque() | Temperature() | Prompt() | Tare():
            return Word.WAIT
    return Word.REST


def instruments(config: Config, assembly: Assembly) -> dict[str, InstrumentState]:
    """Return the instruments of a station by name, with what is the matter with them."""
    station = assembly.station
    return {
        name: InstrumentState(
            driver=config.drivers[station.name, name][0].name,
            identity=str(identity),
            simulated=assembly.links[name].simulated,
            trouble=station.failing.get(name, ""),
        )
        for name, identity in station.identities.items()
    }


def _voltage_target(run: Run) -> float | None:
    match run.progress.step:
        case None:
            return None
        case step:
            match step.action:
                case ConstantCurrent(voltage=voltage) | ConstantVoltage(voltage=voltage, relative=None):
                    return voltage
                case ConstantPower(voltage=voltage) | ConstantResistance(voltage=voltage):
                    return voltage
    return None


def _pressure_bound(limits: Limits, side: Side) -> Bound:
    return limits.pressure_negative if side == "negative" else limits.pressure_positive


def _age(measured_at: float, now: float) -> float | None:
    """Return seconds since a measurement; None where there never was one."""
    return None if measured_at == float("-inf") else now - measured_at
