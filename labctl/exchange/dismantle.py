"""Takes a labctl protocol apart: what of it is common ground, and what no other world has a word for."""

from collections.abc import Mapping

from labctl import plan
from labctl.exchange import amounts
from labctl.exchange.procedure import (
    Limits,
    Loop,
    Procedure,
    Step,
)
from labctl.exchange.remarks import Remarks
from labctl.exchange.singles import Single, Singles
from labctl.protocol import ANY_STATION, LoadedCell, bind
from labctl.protocol.load import Protocol, fill
from labctl.protocol.scale import Scale, merge
from labctl.protocol.source import KeyPath, Source
from labctl.protocol.verbs import (
    CLASSES,
    EndStep,
    ForStep,
    HandoverStep,
    Named,
    ParkStep,
    PressureStep,
    PromptStep,
    RepeatStep,
    TareStep,
    TemperatureStep,
    TorqueStep,
)
from labctl.quantity import Dimension, Quantity

_OF_PEOPLE_AND_RIGS = (PressureStep, TorqueStep, TemperatureStep, TareStep, PromptStep, ParkStep, HandoverStep)
_UNDERSTOOD = {
    *("name", "until", "timeout", "record", "limits"),
    *("rest", "charge", "discharge", "current", "cv", "max_current", "power", "resistance"),
    *("sweep", "rate", "cycles", "resolution", "eis", "geis"),
    *("repeat", "do", "at", "counts", "tag", "starts", "part"),
}
"""Keys that are carried over or told of; any other changes what a step means."""

_OF_TELLING = {"tag", "starts", "record"}
"""Keys of a loop that change what is told of it, and not what is done."""


def dismantle(source: Source, cell: LoadedCell | None, settings: Mapping[str, str], remarks: Remarks) -> Procedure:
    """Return the common ground of a protocol; raises ProtocolError where `labctl check` would refuse it."""
    protocol = fill(source, settings)
    bound = bind(protocol, ANY_STATION, cell)
    whole_cell = merge(protocol.file.cell, cell.file.cell if cell else None)
    return _Dismantler(protocol, bound, whole_cell.capacity, remarks).procedure()


class _Dismantler:
    """Walks the steps of one protocol."""

    def __init__(self, protocol: Protocol, bound: plan.Plan, capacity: Quantity | None, remarks: Remarks) -> None:
        self._file = protocol.file
        self._source: Source = protocol.source
        self._bound = bound
        self._singles = Singles(protocol.source, Scale(bound.cell), remarks)
        if capacity is None and bound.cell.one_c is not None:
            capacity = amounts.of_float(bound.cell.one_c * 3600, Dimension.CHARGE)
        self._capacity = capacity
        self._remarks = remarks
        self._other = remarks.other

    def procedure(self) -> Procedure:
        self._heads()
        limits = self._bound.limits
        lowest, highest = limits.voltage.low, limits.voltage.high
        return Procedure(
            name=self._file.protocol.name,
            steps=self._list(self._file.step, ("step",)),
            sample=self._bound.cell.name,
            capacity=self._capacity,
            limits=Limits(
                lowest=None if lowest is None else amounts.of_float(lowest, Dimension.VOLTAGE),
                highest=None if highest is None else amounts.of_float(highest, Dimension.VOLTAGE),
                current=amounts.of_float(limits.current, Dimension.CURRENT),
                capacity=amounts.of_float(limits.capacity, Dimension.CHARGE),
            ),
            record=self._singles.record(self._file.record, ()),
        )

    # -- tables ----------------------------------------------------------------------------------------------------

    def _heads(self) -> None:
        """Note what stands in the tables before the steps and has no counterpart."""
        head = self._file.protocol
        words = [f"`{key}`" for key in ("title", "doi", "licence", "unknown") if getattr(head, key)]
        if words:
            self._note(("protocol",), f"{self._other} has no place for {', '.join(words)}")
        for key in ("temperature", "pressure", "torque", "rate"):
            if key in self._file.limits.model_fields_set:
                self._dropped(("limits", key), f"{self._other} limits no {key}", "See that the rig or a person does.")
        if self._file.outage.model_fields_set:
            self._note(("outage",), f"{self._other} does not say what is done after an outage")
        if self._file.cell.model_fields_set - {"name", "capacity"}:
            reason = "of [cell] the name and the current of 1C alone are carried over, the rest as amperes and volts"
            self._note(("cell",), reason)

    # -- steps -----------------------------------------------------------------------------------------------------

    def _list(self, steps: tuple[Named, ...], path: KeyPath) -> tuple[Step, ...]:
        return tuple(found for index, step in enumerate(steps) for found in self._step(step, (*path, index)))

    def _step(self, step: Named, path: KeyPath) -> tuple[Step, ...]:
        match step:
            case RepeatStep():
                return self._loop(step, path)
            case ForStep():
                return tuple(found for body in step.do for found in self._list(body, (*path, "do")))
            case EndStep() if len(path) == 2:
                return ()
            case _ if isinstance(step, Single):
                self._refuse_others(step, path)
                return self._singles.steps(step, path)
        verb = next((verb for verb, table in CLASSES.items() if type(step) is table), "step")
        if isinstance(step, _OF_PEOPLE_AND_RIGS) and "cv" not in step.model_fields_set:
            self._dropped(path, f"{self._other} has no `{verb}`", "See that the rig or a person does it.")
        else:
            reason = f"{self._other} has no `{verb}`, and without it this is another experiment"
            self._remarks.impossible(self._source.key(path), reason, "Export a copy that does without it.")
        return ()

    def _refuse_others(self, step: Named, path: KeyPath) -> None:
        """Note the keys of a step that change its meaning and are not looked at here."""
        for key in sorted(step.model_fields_set - _UNDERSTOOD):
            reason = f"{self._other} has nothing like `{key}` of a step"
            self._remarks.impossible(self._source.key((*path, key)), reason, "Export a copy that does without it.")

    def _loop(self, step: RepeatStep, path: KeyPath) -> tuple[Step, ...]:
        for index in range(len(step.at)):
            place = self._source.value((*path, "at", index))
            reason = f"{self._other} has no steps for certain cycles alone"
            self._remarks.impossible(place, reason, "Write the cycles before and after as loops of their own.")
        self._refuse_others(step, path)
        for key in sorted(step.model_fields_set & _OF_TELLING):
            self._note((*path, key), f"{self._other} has no `{key}` of a loop")
        if "limits" in step.model_fields_set:
            self._dropped((*path, "limits"), f"{self._other} has no limits of single steps")
        body = self._list(step.do, (*path, "do"))
        if not body or (step.part is not None and step.repeat == 1):
            return body
        place = self._source.key(path)
        counts = step.counts == "cycle"
        return (Loop(name=step.name or "", passes=step.repeat, body=body, counts=counts, place=place),)

    def _dropped(self, path: KeyPath, reason: str, remedy: str = "") -> None:
        self._remarks.dropped(self._source.key(path), reason, remedy)

    def _note(self, path: KeyPath, reason: str) -> None:
        self._remarks.note(self._source.key(path), reason)
