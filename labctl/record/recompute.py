"""Steps and cycles computed from the stored rows and events alone: what the incremental tables must equal."""

import sqlite3

from pydantic import ValidationError

from labctl.record.kinds import StepEnded, StepStarted
from labctl.record.schema import CYCLE_COLUMNS, SPAN_COLUMNS, STEP_COLUMNS

Table = list[dict[str, object]]

_SPANS = """
WITH spans AS (
    SELECT {key} AS key, min(seq) AS first_seq, max(seq) AS last_seq, count(*) AS row_count,
           min(voltage_volt) AS min_voltage_volt, max(voltage_volt) AS max_voltage_volt
    FROM readings WHERE run_id = :run AND channel = :channel AND {key} > 0 GROUP BY {key}
), gains AS (
    SELECT spans.*, first.step_id, first.cycle_count,
           first.test_time_second AS start_test_time_second, last.test_time_second AS end_test_time_second,
           last.charging_capacity_ah - first.charging_capacity_ah AS charging_capacity_ah,
           last.discharging_capacity_ah - first.discharging_capacity_ah AS discharging_capacity_ah,
           last.charging_energy_wh - first.charging_energy_wh AS charging_energy_wh,
           last.discharging_energy_wh - first.discharging_energy_wh AS discharging_energy_wh,
           last.voltage_volt AS end_voltage_volt, last.current_ampere AS end_current_ampere
    FROM spans
    JOIN readings first ON first.run_id = :run AND first.channel = :channel AND first.seq = first_seq
    JOIN readings last ON last.run_id = :run AND last.channel = :channel AND last.seq = last_seq
)
"""

_CYCLES = """
SELECT gains.*, key AS cycle_count,
       CASE WHEN charging_capacity_ah > 0 THEN discharging_capacity_ah / charging_capacity_ah END
           AS coulombic_efficiency,
       CASE WHEN charging_energy_wh > 0 THEN discharging_energy_wh / charging_energy_wh END AS energy_efficiency,
       key < (SELECT max(key) FROM gains) OR EXISTS (
           SELECT 1 FROM events WHERE run_id = :run AND channel = :channel
           AND kind = 'run.ended' AND data ->> 'state' = 'completed') AS complete
FROM gains ORDER BY key
"""


def recompute(connection: sqlite3.Connection, run_id: int, channel: int) -> tuple[Table, Table]:
    """Return the rows that `steps` and `cycles` should have, as dictionaries of their columns, in order."""
    names = {"run": run_id, "channel": channel}
    cycles = _fetch(connection, _SPANS.format(key="cycle_count") + _CYCLES, names)
    spans = _fetch(connection, _SPANS.format(key="step_count") + "SELECT gains.* FROM gains", names)
    steps: dict[object, dict[str, object]] = {}
    for span in spans:
        steps[span["key"]] = {**_no_step(span["key"]), **span}
    events = connection.execute(
        "SELECT kind, data FROM events WHERE run_id = :run AND channel = :channel"
        " AND kind IN ('step.started', 'step.ended') ORDER BY seq",
        names,
    )
    for kind, text in events:
        try:
            said = (StepStarted if kind == "step.started" else StepEnded).model_validate_json(text)
        except ValidationError:  # it was put aside when it came
            continue
        step = steps.setdefault(said.step_count, _no_step(said.step_count))
        if isinstance(said, StepStarted):
            step.update({name: getattr(said, name) for name in ("step_id", "name", "verb", "cycle_count")})
        else:
            step["end_reason"] = said.reason
    in_order = [step for _, step in sorted(steps.items(), key=lambda item: str(item[0]).zfill(20))]
    return _only(in_order, STEP_COLUMNS), _only(cycles, CYCLE_COLUMNS)


def _no_step(step_count: object) -> dict[str, object]:
    empty: dict[str, object] = dict.fromkeys((*STEP_COLUMNS, *SPAN_COLUMNS))
    return {**empty, "step_count": step_count, "row_count": 0}


def _only(rows: Table, columns: tuple[str, ...]) -> Table:
    return [{name: row[name] for name in columns} for row in rows]


def _fetch(connection: sqlite3.Connection, query: str, parameters: dict[str, int]) -> Table:
    cursor = connection.execute(query, parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
