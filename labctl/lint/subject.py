"""What the rules look at: a protocol without errors, its plan, its cell as a whole, and the place of everything."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from labctl.errors import Finding, Place
from labctl.lint.catalogue import CODES
from labctl.plan import Plan, Rest, StationAbilities, Step
from labctl.protocol.load import LoadedCell, Protocol
from labctl.protocol.model import Cell
from labctl.protocol.scale import merge
from labctl.protocol.source import KeyPath
from labctl.protocol.verbs import ForStep, IfStep, Lasting, Named, RepeatStep


@dataclass(frozen=True)
class Subject:
    """One protocol on one cell and, where one is named, one station."""

    protocol: Protocol
    plan: Plan
    station: StationAbilities | None
    cell_file: LoadedCell | None = None

    @cached_property
    def cell(self) -> Cell:
        """What protocol and cell file say together of the cell."""
        return merge(self.protocol.file.cell, self.cell_file.file.cell if self.cell_file else None)

    def of_cell(self, *path: str) -> Place:
        """Return where the cell's key `path` stands: in the cell file where that says it, else in the protocol."""
        whole: KeyPath = ("cell", *path)
        if self.cell_file is not None and self.cell_file.source.says(whole):
            return self.cell_file.source.value(whole)
        return self.protocol.source.value(whole)

    def of_step(self, step: Step, *path: str | int) -> Place:
        """Return where a step of the plan was written, or the value at `path` in it."""
        return self.protocol.source.value((*self._written[step.id - 1][0], *path))

    def of_end(self, step: Step, index: int) -> Place:
        """Return where the end of a step stands that has this number in the plan; a rest's first end is its time."""
        return self.of_step(step, "until", index - isinstance(step.action, Rest))

    def of_record(self, step: Step, key: str) -> Place:
        """Return where the record rule of a step stands: its own, else that of the run."""
        written = self._written[step.id - 1][1]
        own = isinstance(written, Lasting) and getattr(written.record, key) is not None
        return self.of_step(step, "record", key) if own else self.protocol.source.value(("record", key))

    def finding(self, code: str, place: Place, reason: str, remedy: str) -> Finding:
        """Return a finding with the severity that its code has."""
        return Finding(code, place, reason, remedy, CODES[code].severity)

    @cached_property
    def _written(self) -> list[tuple[KeyPath, Named]]:
        """The steps as they were written, in the order in which the plan numbers them."""
        return list(_leaves(self.protocol.file.step, ("step",)))


def _leaves(steps: tuple[Named, ...], path: KeyPath) -> Iterator[tuple[KeyPath, Named]]:
    for index, step in enumerate(steps):
        here = (*path, index)
        match step:
            case RepeatStep():
                yield from _leaves(step.do, (*here, "do"))
                for number, hook in enumerate(step.at):
                    yield from _leaves(hook.do, (*here, "at", number, "do"))
            case ForStep():
                for body in step.do:  # all values were written at one place
                    yield from _leaves(body, (*here, "do"))
            case IfStep():
                yield from _leaves(step.do, (*here, "do"))
                yield from _leaves(step.otherwise or (), (*here, "else"))
            case _:
                yield here, step
