"""Binds a protocol to a cell and a station: the tree of the plan, or everything that cannot run, all at once."""

import difflib
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from labctl.errors import Finding, ProtocolError
from labctl.plan import (
    All,
    Branch,
    Condition,
    ConstantCurrent,
    ConstantPower,
    ConstantResistance,
    ForEach,
    Hook,
    Loop,
    MeasuredCurrent,
    Node,
    Outage,
    OutagePolicy,
    Plan,
    RecordRule,
    StationAbilities,
    Step,
    direction,
    rates_of,
)
from labctl.protocol import cycles, ends, limits, model
from labctl.protocol.basis import Basis
from labctl.protocol.counted import complete_before
from labctl.protocol.ends import Context
from labctl.protocol.findings import Findings, humane
from labctl.protocol.hash import protocol_hash
from labctl.protocol.labels import Scope
from labctl.protocol.load import LoadedCell, Protocol, fill, in_order
from labctl.protocol.part import FILE
from labctl.protocol.scale import Scale, bind_cell, check_cell, merge, out_of_place
from labctl.protocol.source import KeyPath
from labctl.protocol.steps import bind_step, record_rule
from labctl.protocol.verbs import At, EndStep, ForStep, GotoStep, IfStep, Lasting, Named, RepeatStep


def bind(
    protocol: Protocol,
    station: StationAbilities,
    cell: LoadedCell | None = None,
    settings: Mapping[str, str] | None = None,
) -> Plan:
    """Return the plan of a protocol on a station; raises ProtocolError with every finding.

    `cell` fills and overrides the protocol's own [cell]; `settings` set its inputs.
    """
    bound, findings = examine(fill(protocol.source, settings) if settings else protocol, station, cell)
    if findings:
        raise ProtocolError(in_order(findings))
    return bound


def examine(protocol: Protocol, station: StationAbilities, cell: LoadedCell | None) -> tuple[Plan, list[Finding]]:
    """Bind a protocol and note everything that keeps it from running; the plan is one only where that is nothing."""
    file, findings = protocol.file, Findings(protocol.source)
    of_cell = Findings(cell.source) if cell else findings
    whole_cell = merge(file.cell, cell.file.cell if cell else None)
    with findings.at(("cell",)):
        check_cell(whole_cell)
    for path, refused in out_of_place(whole_cell):
        with (of_cell if cell and cell.source.says(path) else findings).at(path):
            raise refused
    bound_cell = bind_cell(whole_cell)
    if cell:
        bound_cell = replace(bound_cell, name=cell.name)
    scale = Scale(bound_cell)
    run_limits = limits.of_run(file.limits, (cell.file.limits, of_cell) if cell else None, station, scale, findings)
    plan = Plan(
        name=file.protocol.name,
        title=file.protocol.title,
        text=protocol.source.text,
        hash=protocol_hash(file),
        cell=bound_cell,
        limits=run_limits,
        body=_Tree(protocol, Basis(scale, station, run_limits, findings, file.attached)).body,
        inputs=protocol.inputs,
        unknown=protocol.unknown,
        outage=_outage(file.outage),
    )
    return plan, findings.all if of_cell is findings else findings.all + of_cell.all


def _outage(said: model.Outage) -> Outage:
    policy = OutagePolicy(said.policy)
    return Outage(policy) if said.max_gap is None else Outage(policy, float(said.max_gap))


class _Tree:
    """Binds the steps of one protocol and numbers them in the order of the file."""

    def __init__(self, protocol: Protocol, basis: Basis) -> None:
        steps = protocol.file.step
        self._basis = basis
        self._findings = basis.findings
        self._steps = itertools.count(1)
        self._nodes = itertools.count(1)
        self._counting = cycles.counting(steps, basis.findings)
        self._record = record_rule(protocol.file.record, basis, ())
        every = [step for _, step in cycles.walk(steps, ("step",))]
        self._targets = frozenset(label for step in every for label in _labels(step))
        self._run_limits = basis.limits
        self._paths: dict[int, KeyPath] = {}
        self.body = self._list(steps, Scope(frozenset(step.name for step in every if step.name)), ("step",))
        self._refuse_rates_without_cycles()

    def _list(self, steps: tuple[Named, ...], scope: Scope, path: KeyPath) -> tuple[Node, ...]:
        scopes = scope.each(steps)
        nodes = tuple(self._node(step, scopes[index], (*path, index)) for index, step in enumerate(steps))
        for index, (step, after) in enumerate(itertools.pairwise(steps), 1):
            if isinstance(step, EndStep | GotoStep) and after.name not in self._targets:
                verb = "end" if isinstance(step, EndStep) else "goto"
                why = "the protocol ends before it" if verb == "end" else "the step before it always jumps"
                reason, remedy = f"this step can never be reached: {why}", f"Remove it, or put the {verb} in an `if`."
                self._findings.refuse((*path, index), "unreachable", reason, remedy)
        self._check_window(nodes, path)
        return nodes

    def _node(self, step: Named, scope: Scope, path: KeyPath) -> Node:
        match step:
            case RepeatStep():
                return self._loop(step, scope.inside_loop(), path)
            case ForStep():
                return self._for_each(step, scope.inside_loop(), path)
            case IfStep():
                return self._branch(step, scope, path)
        bound = bind_step(step, next(self._steps), self._basis, scope, path)
        self._paths[bound.id] = path
        around = None if self._basis.limits is self._run_limits else self._basis.limits
        name = step.name or self._unnamed(bound.name)
        return replace(bound, name=name, record=_over(bound.record, self._record), limits=bound.limits or around)

    def _unnamed(self, shown: str) -> str:
        """Return what a node without a name is called: never as a node to which something jumps."""
        return f"{shown} (unnamed)" if shown in self._targets else shown

    @contextmanager
    def _within(self, loop: RepeatStep, path: KeyPath) -> Iterator[None]:
        """Bind what is in a loop under its own limits and record rules, too."""
        outer = self._basis, self._record
        narrower = limits.of_step(outer[0].limits, loop.limits, outer[0].scale, self._findings, (*path, "limits"))
        self._record = _over(record_rule(loop.record, self._basis, path), self._record)
        self._basis = replace(self._basis, limits=narrower or self._basis.limits)
        yield
        self._basis, self._record = outer

    def _loop(self, step: RepeatStep, scope: Scope, path: KeyPath) -> Loop:
        number = next(self._nodes)
        counts = path in self._counting
        if step.counts == "cycle" and not counts:
            reason = "a loop inside a hook counts no cycles"
            self._findings.refuse((*path, "counts"), "cycles", reason, "Leave counts out.")
        if step.part is not None and step.part.endswith(FILE):
            scope = scope.inside_file()
        with self._within(step, path):
            body = self._list(step.do, scope, (*path, "do"))
            hooks = tuple(self._hook(hook, body, scope, (*path, "at", i)) for i, hook in enumerate(step.at))
        name = step.name or self._unnamed(step.part or f"repeat {step.repeat}")
        if not counts:
            self._refuse_names_of_cycles(step, path)
        line, first = self._findings.line(path), step.starts == "discharge"
        return Loop(number, name, step.repeat, counts, body, hooks, line, step.tag or "", first)

    def _refuse_names_of_cycles(self, step: RepeatStep, path: KeyPath) -> None:
        for key in sorted(step.model_fields_set & {"tag", "starts"}):
            reason = f'"{key}" speaks of cycles, and the passes of this loop are none'
            self._findings.refuse((*path, key), "cycles", reason, 'Write counts = "cycle", or leave it out.')

    def _refuse_rates_without_cycles(self) -> None:
        """Refuse a rate by the capacity of a cycle where none can be complete yet."""
        for step, complete in complete_before(self.body):
            rate = next(rates_of(step), None)
            if rate is not None and complete == 0.0:
                key = step.verb if isinstance(step.action, MeasuredCurrent) else "until"
                reason = f'"{rate.text}" is told by a cycle, and none can be complete when this step first begins'
                remedy = "Put it behind the loop of that cycle, or in an `if` on its number in a loop."
                self._findings.refuse((*self._paths[step.id], key), "cycles", reason, remedy)

    def _hook(self, hook: At, body: tuple[Node, ...], scope: Scope, path: KeyPath) -> Hook:
        known = [known for node in body if isinstance(node, Step) for known in (node.verb, node.name)]
        if hook.after not in known:
            near = difflib.get_close_matches(hook.after, known, n=1)
            hint = f' (did you mean "{near[0]}"?)' if near else ""
            reason = f'no step of this loop is called "{hook.after}" or has that verb{hint}'
            self._findings.refuse((*path, "after"), "label", reason, "Name a step that stands directly in the loop.")
        return Hook(hook.cycles.named, hook.cycles.every, hook.after, self._list(hook.do, scope, (*path, "do")))

    def _for_each(self, step: ForStep, scope: Scope, path: KeyPath) -> ForEach:
        number = next(self._nodes)
        combinations = itertools.product(*step.values.values())
        labels = tuple(", ".join(f"{k} = {v}" for k, v in zip(step.values, c, strict=True)) for c in combinations)
        bodies = tuple(self._list(body, scope, (*path, "do")) for body in step.do)
        name = step.name or self._unnamed(f"for {', '.join(step.values)}")
        return ForEach(number, name, labels, bodies, self._findings.line(path))

    def _branch(self, step: IfStep, scope: Scope, path: KeyPath) -> Branch:
        number = next(self._nodes)
        condition: Condition = All(())
        with self._findings.at((*path, "if")):
            condition = ends.bind(step.when.tree, Context("if", self._basis.station, self._basis.scale))
        body = self._list(step.do, scope, (*path, "do"))
        otherwise = self._list(step.otherwise, scope, (*path, "else")) if step.otherwise else ()
        return Branch(number, condition, step.when.text, body, otherwise, step.once, self._findings.line(path))

    def _check_window(self, nodes: tuple[Node, ...], path: KeyPath) -> None:
        """Refuse a charge that stops where a discharge beside it stops, or below: they are swapped."""
        lowest = min((stop for n in nodes if (stop := _stop(n, +1)) is not None), default=None)
        for index, node in enumerate(nodes):
            stop = _stop(node, -1)
            if lowest is not None and stop is not None and stop >= lowest:
                here, there = humane(stop, "V"), humane(lowest, "V")
                reason = f"this discharge stops at {here}, but a charge beside it already at {there}"
                self._findings.refuse((*path, index), "wrong-way", reason, "Check whether they are swapped.")


def _labels(step: Named) -> Iterator[str]:
    """Yield where a step may jump to."""
    if isinstance(step, GotoStep):
        yield step.goto
    if isinstance(step, Lasting):
        follows = [ending.then for ending in step.until] + ([step.timeout.then] if step.timeout else [])
        yield from (follow.label for follow in follows if follow.label)


def _stop(node: Node, way: int) -> float | None:
    """Return the voltage at which a step stops that only charges (+1), or only discharges (-1); None for any other."""
    if not isinstance(node, Step) or direction(node.action) != way:
        return None
    match node.action:
        case (
            ConstantCurrent(voltage=stop)
            | MeasuredCurrent(voltage=stop)
            | ConstantPower(voltage=stop)
            | ConstantResistance(voltage=stop)
        ):
            return stop
    return None


def _over(own: RecordRule, run: RecordRule) -> RecordRule:
    """Let a step's own record rule take the place of the run's, key by key."""
    keys = RecordRule.__dataclass_fields__
    return RecordRule(**{k: getattr(run, k) if getattr(own, k) is None else getattr(own, k) for k in keys})
