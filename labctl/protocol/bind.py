"""Binds a protocol to a cell and a station: the tree of the plan, or everything that cannot run, all at once."""

import difflib
import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from labctl.errors import Finding, ProtocolError
from labctl.plan import (
    All,
    Branch,
    Condition,
    ConstantCurrent,
    ForEach,
    Hook,
    Loop,
    Node,
    Outage,
    OutagePolicy,
    Plan,
    RecordRule,
    StationAbilities,
    Step,
)
from labctl.protocol import cycles, ends, limits, model
from labctl.protocol.basis import Basis
from labctl.protocol.ends import Context
from labctl.protocol.findings import Findings, humane
from labctl.protocol.hash import protocol_hash
from labctl.protocol.labels import Scope
from labctl.protocol.load import LoadedCell, Protocol, fill, in_order
from labctl.protocol.scale import Scale, bind_cell, check_cell, merge
from labctl.protocol.source import KeyPath
from labctl.protocol.steps import bind_step, record_rule
from labctl.protocol.verbs import At, EndStep, ForStep, IfStep, Named, RepeatStep


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
        body=_Tree(protocol, Basis(scale, station, run_limits, findings)).body,
        inputs=protocol.inputs,
        unknown=file.protocol.unknown,
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
        names = Counter(step.name for _, step in cycles.walk(steps, ("step",)) if step.name is not None)
        self.body = self._list(steps, Scope(names), ("step",))

    def _list(self, steps: tuple[Named, ...], scope: Scope, path: KeyPath) -> tuple[Node, ...]:
        scopes = scope.each(steps)
        nodes = tuple(self._node(step, scopes[index], (*path, index)) for index, step in enumerate(steps))
        for index, step in enumerate(steps[:-1]):
            if isinstance(step, EndStep):
                reason = "this step can never be reached: the protocol ends before it"
                self._findings.refuse(
                    (*path, index + 1), "unreachable", reason, "Remove it, or put the end in an `if`."
                )
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
        return replace(bound, record=_over(bound.record, self._record))

    def _loop(self, step: RepeatStep, scope: Scope, path: KeyPath) -> Loop:
        number = next(self._nodes)
        counts = path in self._counting
        if step.counts and not counts:
            reason = "a loop inside a hook counts no cycles"
            self._findings.refuse((*path, "counts"), "cycles", reason, "Leave counts out.")
        body = self._list(step.do, scope, (*path, "do"))
        hooks = tuple(self._hook(hook, body, scope, (*path, "at", i)) for i, hook in enumerate(step.at))
        name = step.name or f"repeat {step.repeat}"
        return Loop(number, name, step.repeat, counts, body, hooks, self._findings.line(path))

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
        name = step.name or f"for {', '.join(step.values)}"
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
        up = [n.action for n in nodes if isinstance(n, Step) and _drives(n, +1)]
        lowest = min((a.voltage for a in up if isinstance(a, ConstantCurrent)), default=None)
        for index, node in enumerate(nodes):
            if lowest is not None and isinstance(node, Step) and _drives(node, -1):
                action = node.action
                if isinstance(action, ConstantCurrent) and action.voltage >= lowest:
                    here, there = humane(action.voltage, "V"), humane(lowest, "V")
                    reason = f"this discharge stops at {here}, but a charge beside it already at {there}"
                    self._findings.refuse((*path, index), "wrong-way", reason, "Check whether they are swapped.")


def _drives(step: Step, sign: int) -> bool:
    return isinstance(step.action, ConstantCurrent) and step.action.current * sign > 0


def _over(own: RecordRule, run: RecordRule) -> RecordRule:
    """Let a step's own record rule take the place of the run's, key by key."""
    keys = RecordRule.__dataclass_fields__
    return RecordRule(**{k: getattr(run, k) if getattr(own, k) is None else getattr(own, k) for k in keys})
