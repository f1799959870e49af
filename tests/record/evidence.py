"""What journals and databases hold, as assertions: nothing lost, nothing twice, all in order, every end named."""

import sqlite3
from pathlib import Path

from labctl.record.evidence import Payloads, Witness, examine, journalled, rows, stored

__all__ = ["Payloads", "Witness", "assert_whole", "journalled", "longest_step", "rows", "stored"]


def assert_whole(database: Path, witness: Witness | None = None) -> None:
    """What was seen in a journal is stored once; numbers, gaps, order, ends and tables are as they should be."""
    evidence = examine(database, witness or Witness())
    assert evidence.broken == []
    assert evidence.whole


def longest_step(database: Path, run: str) -> float:
    """Return the longest time between two rows of a run, in seconds of its test time."""
    connection = sqlite3.connect(database)
    (longest,) = connection.execute(
        "SELECT max(step) FROM (SELECT test_time_second - lag(test_time_second)"
        " OVER (PARTITION BY channel ORDER BY seq) AS step FROM readings JOIN runs ON runs.id = run_id WHERE uuid = ?)",
        (run,),
    ).fetchone()
    connection.close()
    assert longest is not None, f"run {run} has no two rows"
    return float(longest)
