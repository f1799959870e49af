"""Answers to questions about the past, from the database; every answer fits into one message."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from labctl.api import (
    Bucketed,
    CycleLine,
    CyclePage,
    Cycles,
    EventPage,
    Events,
    History,
    Message,
    PastEvent,
    RunLine,
    RunPage,
    Runs,
)
from labctl.cells.mass import active_mass
from labctl.cells.shelf import Shelf
from labctl.record.queries import CycleRow, EventRow, Queries, RunRow

MOST_BYTES = 800_000
"""Of the lines of a page: a message may have 1 MB, and who sends a longer one loses its connection."""
LONGEST_TEXT = 2000

M = TypeVar("M", bound=Message)


def answer(database: Path, cells: Path, question: History | Cycles | Events | Runs) -> dict[str, object]:
    """Answer a question; blocks while it reads.

    Args:
        cells: folder of the cells' files; an active mass is what they say now.

    Raises:
        StorageError: the run is not in the database, or not yet; a column is none; the database cannot be read.
    """
    if not database.exists() and (isinstance(question, Runs) or (isinstance(question, Events) and not question.run)):
        return (RunPage(runs=()) if isinstance(question, Runs) else EventPage(events=())).model_dump(mode="json")
    with Queries(database) as queries:
        match question:
            case History():
                told: Message = _history(queries, question)
            case Cycles():
                told = _cycles(queries, cells, question)
            case Events():
                told = _events(queries, question)
            case Runs():
                lines = (_run(row) for row in queries.runs(limit=question.limit))
                told = RunPage(runs=tuple(_fitting(lines)))
    return told.model_dump(mode="json")


def _history(queries: Queries, question: History) -> Bucketed:
    run = queries.run(question.run)
    found = queries.buckets(
        run.id, question.columns, question.x, start=question.start, end=question.end, count=question.buckets
    )
    return Bucketed(x=found.x, low=found.low, high=found.high, rows=found.rows)


def _cycles(queries: Queries, cells: Path, question: Cycles) -> CyclePage:
    run = queries.run(question.run)
    rows = queries.cycles(run.id, after=question.after, limit=question.limit + 1)
    mass = active_mass(run, Shelf.read(cells))
    lines = tuple(_fitting(_cycle(row) for row in rows[: question.limit]))
    return CyclePage(cycles=lines, more=len(rows) > len(lines), active_mass=mass.kilogram)


def _events(queries: Queries, question: Events) -> EventPage:
    rows = queries.newest_events(queries.run(question.run).id if question.run else None, question.limit)
    runs = {number: queries.run(str(number)) for number in {number for number, _ in rows}}
    return EventPage(events=tuple(_fitting(_event(runs[number], row) for number, row in rows)))


def _cycle(row: CycleRow) -> CycleLine:
    said = asdict(row)
    return CycleLine(**{name: said[name] for name in CycleLine.model_fields})


def _event(run: RunRow, row: EventRow) -> PastEvent:
    return PastEvent(
        run=run.uuid,
        station=run.station,
        kind=row.kind,
        unix_time_second=row.unix_time_second,
        test_time_second=row.test_time_second,
        message=row.message[:LONGEST_TEXT],
        severity=row.severity,
    )


def _run(row: RunRow) -> RunLine:
    return RunLine(
        run=row.uuid,
        station=row.station,
        protocol=_short(row.protocol_name),
        title=_short(row.protocol_title),
        cell=_short(row.cell_name),
        operator=_short(row.operator),
        simulated=row.simulated,
        state=row.state,
        end_reason=_short(row.end_reason),
        started_unix_second=row.started_unix_second,
        ended_unix_second=row.ended_unix_second,
    )


def _short(text: str | None) -> str | None:
    return None if text is None else text[:LONGEST_TEXT]


def _fitting(lines: Iterator[M]) -> Iterator[M]:
    """Yield lines as long as all of them fit into one message."""
    size = 0
    for line in lines:
        size += len(line.model_dump_json().encode())
        if size > MOST_BYTES:
            return
        yield line
