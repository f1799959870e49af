"""What has been recorded of a cell, across runs, stations and instruments, with its cycles numbered through."""

from dataclasses import dataclass

from labctl.record.queries import CycleEnd, CycleRow, Queries, RunRow


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run of a cell.

    Attributes:
        before: cycles that the cell had done before this run counted its own from 1; 0 where the run went on counting.
    """

    run: RunRow
    before: int
    cycles: list[CycleRow]

    def number(self, cycle: CycleRow) -> int:
        """Return the number of a cycle in the cell's life."""
        return self.before + cycle.cycle_count


@dataclass(frozen=True, slots=True)
class Summary:
    """A cell in one line.

    Attributes:
        last: its newest run.
        end: the last complete cycle of the newest run that has one.
        simulated: whether all of its runs are; else its simulated ones are left out.
    """

    name: str
    runs: int
    cycles: int
    last: RunRow
    end: CycleEnd | None
    simulated: bool


def history(queries: Queries, name: str) -> list[PastRun]:
    """Return the runs of a cell in the order of their start; simulated and real ones are numbered apart."""
    done = {True: 0, False: 0}
    past: list[PastRun] = []
    for run in reversed([run for run in queries.runs() if run.cell_name == name]):
        simulated = bool(run.simulated)
        cycles = queries.cycles(run.id)
        before = 0 if run.continues else done[simulated]
        past.append(PastRun(run, before, cycles))
        done[simulated] = max([done[simulated], *(before + cycle.cycle_count for cycle in cycles)])
    return past


def summaries(queries: Queries) -> dict[str, Summary]:
    """Return every cell of the database by its name."""
    runs: dict[str, list[RunRow]] = {}
    for run in queries.runs():
        if run.cell_name:
            runs.setdefault(run.cell_name, []).append(run)
    ends = queries.cycle_ends()
    return {name: _summary(name, found, ends) for name, found in sorted(runs.items())}


def _summary(name: str, runs: list[RunRow], ends: dict[int, CycleEnd]) -> Summary:
    """Sum up the runs of a cell, the newest first."""
    real = [run for run in runs if not run.simulated] or runs
    own = [ends[run.id] for run in real if run.id in ends]
    end = next((each for each in own if each.last_complete is not None), None)
    return Summary(name, len(real), sum(each.cycles for each in own), real[0], end, bool(real[0].simulated))


def last_cycle(queries: Queries, run: RunRow) -> int:
    """Return the number of the last cycle of a run; of one that ended before its first cycle, of what it continued."""
    seen: set[str] = set()
    while True:
        count = max((cycle.cycle_count for cycle in queries.cycles(run.id)), default=0)
        if count or not run.continues or run.uuid in seen:
            return count
        seen.add(run.uuid)
        run = queries.run(run.continues)
