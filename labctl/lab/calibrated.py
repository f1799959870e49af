"""The calibrations that stand for a station's instruments: quoted, applied, told, and asked for before pressure."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from labctl.calibration.loads import LOAD_CELL_NAMES
from labctl.calibration.model import instruments_of
from labctl.calibration.procedure import NAMES
from labctl.calibration.quote import KEY, SHOWS, quote, quoted_load_cell, quoted_torque, screw_of
from labctl.calibration.store import Calibrations
from labctl.calibration.textbook import COEFFICIENT, SCATTER, Textbook
from labctl.calibration.torque import TorqueFit
from labctl.clock import host_unix
from labctl.engine.board import Correction
from labctl.engine.station import Station
from labctl.errors import RefusedForSafety
from labctl.lab.assemble import Assembly
from labctl.plan import SIDES, Plan, Pressure, Side, StationAbilities, Torque
from labctl.reading import Event, RunHeader, Severity

CALIBRATING = {*NAMES.values(), *LOAD_CELL_NAMES.values()}
"""Protocols that need no calibration, because they make one."""


def quoted(data: Path, assembly: Assembly, instruments: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the instruments of a header, each with the calibration that stands for it and a load cell's accuracy.

    Raises:
        StorageError: a calibration cannot be read back.
    """
    name, known = assembly.station.name, Calibrations(data)
    with_all = {each: dict(said) for each, said in instruments.items()}
    accuracy, stands = dict(assembly.abilities.accuracy), instruments_of(instruments, tuple(instruments))
    for tool in assembly.abilities.by_hand:
        with_all[f"hand_tool.{tool.side}"][SHOWS] = tool.shows
    for side in SIDES:
        screw, cell = screw_of(with_all, side), with_all.get(f"load_cell.{side}")
        if cell is not None:
            if side in accuracy:
                cell["accuracy_newton"] = accuracy[side]
            own = known.active(name, side, "loadcell", stands)
            cell |= {} if own is None else {KEY: quote(own)}
        if screw is not None:
            torque = known.active(name, side, "torque", stands)
            with_all[screw] |= {} if torque is None else {KEY: quote(torque)}
    return with_all


def still(begun: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return instruments as they are now, with what a run quoted of each that is still the same one.

    A run that goes on after an outage keeps the calibrations that it was begun with, whatever was stored meanwhile.
    """
    before, here = (instruments_of(each, tuple(each)) for each in (begun, now))
    return {name: begun[name] if before.get(name) == here[name] else said for name, said in now.items()}


def correct(station: Station, instruments: Mapping[str, Any]) -> None:
    """Correct forces from now on by the calibrations that a header quotes of load cells, and know those of screws."""
    station.corrections = {
        side: Correction(own.fit.offset, own.fit.gain)
        for side in SIDES
        if (own := quoted_load_cell(instruments.get(f"load_cell.{side}", {}))) is not None
    }
    known = {side: found for side in SIDES if (found := quoted_torque(instruments, side)) is not None}
    station.forces_of_torque = {side: partial(_force, found.fit) for side, found in known.items()}
    station.torques_of_force = {side: found.fit.up.torque for side, found in known.items()}


def _force(fit: TorqueFit, torque: float, tightens: bool) -> tuple[float, float, float]:
    """Return bounds and middle of the force, N, that a torque of the moving screw means."""
    found = fit.force(torque, "up" if tightens else "down")
    return found.low, found.value, found.high


def told(header: RunHeader, plan: Plan, screw: float | None) -> list[Event]:
    """Return what a run is told of its calibrations: those that it uses, and those that it would need.

    Args:
        screw: m, its nominal diameter, by which a textbook stands in for a missing calibration; None: not known.
    """
    unix = header.started_unix_second
    return [
        Event(kind, unix, 0.0, sentence, Severity.INFO if kind == "calibration.used" else Severity.WARNING, data)
        for kind, sentence, data in (*_states(header, plan), *_expected(header, plan, screw))
    ]


def refuse_uncalibrated(header: RunHeader, plan: Plan, consent: str) -> None:
    """Refuse to press with real instruments whose calibration is missing or expired, unless somebody consents.

    Raises:
        RefusedForSafety: nobody has.
    """
    lacking = [sentence for kind, sentence, _ in _states(header, plan) if kind != "calibration.used"]
    if not lacking or header.simulated or consent.strip():
        return
    raise RefusedForSafety(
        " ".join(lacking),
        'Calibrate; or say who takes that upon themselves, and why: --consent "NAME: REASON". It is recorded.',
    )


def uncalibrated(data: Path, able: StationAbilities) -> tuple[tuple[Side, str], ...]:
    """Return the sides of a station whose screw has no torque calibration, or one that has expired, with the sentence.

    Nothing is connected for this: that other instruments stand there by now is found out when a run begins.
    """
    newest = {each.side: each for each in Calibrations(data).newest(able.name) if each.kind == "torque"}
    lacking: list[tuple[Side, str]] = []
    for side in able.screws:
        found = newest.get(side)
        if found is None:
            lacking.append((side, f"no torque calibration of the {side} side is stored"))
        elif found.expired(host_unix()):
            lacking.append((side, f"the torque calibration of the {side} side, of {found.date:%Y-%m-%d}, has expired"))
    return tuple(lacking)


def _states(header: RunHeader, plan: Plan) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield kind, sentence and data for each instrument that presses or sees how it is pressed."""
    if plan.name in CALIBRATING:
        return
    for side in sorted(_pressed(plan)):
        station, unix = header.station, header.started_unix_second
        screw, cell = screw_of(header.instruments, side), f"load_cell.{side}"
        if screw is not None:
            torque = quoted_torque(header.instruments, side)
            data = {"instrument": screw, "kind": "torque"}
            if torque is None:
                remedy = f"labctl calibrate torque {station} --side {side}"
                turned = "rig" if screw.startswith("pressure_rig") else "wrench"
                sentence = f"No torque calibration stands for the {turned} of the {side} side ({remedy}): "
                yield "calibration.missing", f"{sentence}its force is known by the load cell alone.", data
            else:
                yield _dated(torque.run, torque.date.date().isoformat(), torque.expired(unix), f"{screw}, torque", data)
        if cell in header.instruments:
            own = quoted_load_cell(header.instruments[cell])
            data = {"instrument": cell, "kind": "loadcell"}
            if own is not None:
                yield _dated(own.run, own.date.date().isoformat(), own.expired(unix), cell, data)
            elif "accuracy_newton" not in header.instruments[cell]:
                sentence = f"Nobody says how right the load cell of the {side} side is: no calibration, no class."
                yield "calibration.missing", sentence, data


def _dated(run: str, date: str, expired: bool, what: str, data: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    data = {**data, "run": run, "date": date}
    if expired:
        return "calibration.expired", f"The calibration of {what}, of {date} (run {run[:8]}), has expired.", data
    return "calibration.used", f"The calibration of {what}, of {date} (run {run[:8]}), stands.", data


def _pressed(plan: Plan) -> set[Side]:
    """Return the sides whose pressure a plan drives or asserts."""
    sides: set[Side] = set()
    for step in plan.steps():
        match step.action:
            case Pressure(targets=targets, changes=changes):
                sides |= {side for side, _ in targets} | {change.side for change in changes}
            case Torque(side=side):
                sides.add(side)
    return sides


def _expected(header: RunHeader, plan: Plan, screw: float | None) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the force that each torque of a plan is held to give, by the calibration or by a textbook."""
    area = plan.cell.bore_area
    turns = {(step.action.side, step.action.torque) for step in plan.steps() if isinstance(step.action, Torque)}
    for side, torque in sorted(turns):
        found = quoted_torque(header.instruments, side)
        if torque <= 0.0 or plan.name in CALIBRATING or (found is None and screw is None):
            continue
        force = Textbook(screw or 0.0).force(torque) if found is None else found.fit.force(torque)
        sentence = f"{torque:.3g} N·m on the {side} side are held to be {force.value:.4g} N ({force.low:.3g} to "
        sentence += f"{force.high:.3g} N)"
        if area is not None:
            pressure = force.scaled(1e-6 / area)
            sentence += f", {pressure.value:.3g} MPa ({pressure.low:.3g} to {pressure.high:.3g} MPa)"
        data = {
            "instrument": screw_of(header.instruments, side),
            "kind": "torque",
            "torque_newton_metre": torque,
            "force_newton": [force.low, force.value, force.high],
        }
        if found is None:
            said = f"{sentence}: by a textbook's K = {COEFFICIENT:g}, ±{100.0 * SCATTER:.0f} %, for none is calibrated."
            yield "calibration.missing", said, data
        else:
            beyond = "" if found.fit.up.covers(torque) else "; more than was calibrated, and so extrapolated"
            yield "calibration.used", f"{sentence}, at 95 % of tightenings{beyond}.", data
