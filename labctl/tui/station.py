"""F2: one station in big numbers, what it is doing and will do, its plots, its limits and its events."""

from collections.abc import Hashable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Digits

from labctl.api import RunStatus
from labctl.literal import literal
from labctl.tui.control import Control
from labctl.tui.gauges import gauges
from labctl.tui.lines import Line, Lines
from labctl.tui.overview import event_lines, rule
from labctl.tui.plot import Plot
from labctl.tui.plots import KINDS, TIME, VOLTAGE
from labctl.tui.quantities import CURRENT, NEGATIVE, POSITIVE, TEMPERATURE
from labctl.tui.quantities import VOLTAGE as V
from labctl.tui.screen import LabScreen
from labctl.tui.shown import UNKNOWN, age, fit, number, span, wrapped
from labctl.tui.sight import Seen
from labctl.tui.top import Part, fitting
from labctl.tui.trace import Trace
from labctl.tui.words import BLIND, SAID

BIG = (("V", V, 6), ("I", CURRENT, 8), ("anode", NEGATIVE, 4), ("cathode", POSITIVE, 4), ("T", TEMPERATURE, 4))
"""Name, quantity, and how many digits there is room for at 80 columns."""
LOW = 30
"""Rows below which nothing is left blank."""
STEPS_BEFORE = 2
"""Lines of the plan that are shown above the present one."""
PLAN = {"done": ("✓", "dim"), "now": ("▶", "charge"), "next": (" ", "plain")}


class Station(LabScreen):
    """One station, read from two metres away."""

    PLACE = "station"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.show('overview')", "Back", id="back"),
        Binding("enter", "answer", "Answer", id="answer"),
        Binding("1", "kind('V-t')", "V-t", id="plot-voltage", show=False),
        Binding("2", "kind('V-Q')", "V-Q", id="plot-capacity", show=False),
        Binding("4", "kind('capacity')", "Capacity and CE against cycle", id="plot-cycles", show=False),
        Binding("5", "kind('p-t')", "p-t", id="plot-pressure", show=False),
    ]
    AUTO_FOCUS = "#plot"

    def __init__(self, control: Control) -> None:
        super().__init__(control)
        self._kind = "V-t"

    def body(self) -> ComposeResult:
        """Lay out state, numbers, plots, plan, gauges and events."""
        yield Lines(id="state")
        with Horizontal(id="big"):
            for number, _ in enumerate(BIG):
                with Vertical(classes=f"number number-{number}"):
                    yield Lines(classes="label")
                    yield Digits("")
        yield Lines(id="kinds")
        yield Plot(TIME, VOLTAGE, mode=self.control.mode, id="plot")
        yield Plot(TIME, VOLTAGE, mode=self.control.mode, id="second-plot")
        with Horizontal(id="below"):
            yield Lines(id="plan")
            with Vertical(id="right"):
                yield Lines(id="gauges")
                yield Lines(id="limits")
                yield Lines(id="events")

    def on_mount(self) -> None:
        """Find the plots."""
        plots = [self.query_one("#plot", Plot), self.query_one("#second-plot", Plot)]
        plots[1].display = False
        self._trace = Trace(self.control.lab, plots, lambda: self.control.sight.now)

    def repaint_body(self, _: list[Seen]) -> None:
        """Show the selected station."""
        seen = self.control.seen
        if seen is None:
            self.query_one("#state", Lines).show([((" There is no station.", "dim"),)])
            return
        width = self.size.width
        self.set_class(self.size.height < LOW, "-low")
        self.query_one("#state", Lines).show(state_lines(seen, width))
        for index in range(len(BIG)):
            self._big(index, seen)
        self.query_one("#kinds", Lines).show([self._kinds(seen)])
        plan = self.query_one("#plan", Lines)
        plan.show(plan_lines(seen, plan.size.width, plan.size.height))
        side = self.query_one("#gauges", Lines)
        side.show(gauges(seen, side.size.width))
        limits = self.query_one("#limits", Lines)
        limits.show(limit_lines(seen, limits.size.width))
        events = self.query_one("#events", Lines)
        newest = self.control.sight.events(seen.name, max(0, events.size.height - 1))
        lines = [line for each in newest for line in event_lines(each, events.size.width)]
        events.show([rule("Events", events.size.width), *lines][: events.size.height])

    @property
    def plotted(self) -> Hashable:
        """What is wanted in the plot: of which station, which kind, zoomed where to."""
        return super().plotted, self._kind, self._trace.span

    def on_plot_zoomed(self, message: Plot.Zoomed) -> None:
        """Ask for what is shown now in its full detail."""
        self._trace.span = message.span
        self.feed()

    async def plot(self) -> None:
        """Feed the chosen plot."""
        await self._trace.look(self.control.seen, KINDS[self._kind])

    def _big(self, index: int, seen: Seen) -> None:
        name, quantity, width = BIG[index]
        box = self.query_one(f".number-{index}")
        box.display = quantity.is_measured(seen)
        reading = quantity.reading(seen)
        label = f"{name} {quantity.unit}"
        if reading.value is None or reading.old is not None:
            text = "---"
            label += "" if reading.old is None else f" {age(reading.old)} old"
        else:
            text = number(reading.value / quantity.scale, quantity.decimals, width, sign=quantity.sign)
            label = f"! {label}" if reading.beyond else label
        box.query_one(Digits).update(text)
        box.set_class(reading.beyond, "-fault")
        style = "fault" if reading.beyond else "warn" if reading.old is not None else "dim"
        box.query_one(Lines).show([((label, style),)])

    def _kinds(self, seen: Seen) -> Line:
        keys = (("1", "V-t", "V-t"), ("2", "V-Q", "V-Q"), ("4", "capacity", "capacity, CE"), ("5", "p-t", "p-t"))
        pieces = [(" ", "plain")]
        for key, kind, name in keys:
            pieces += [(f" {key} {name} ", "cursor" if kind == self._kind else "dim"), (" ", "plain")]
        said = f"  {self._trace.said}" if self._trace.said else ""
        return (*pieces, ("  z zoom  0 whole  c cursor", "dim"), (said, "dim"))

    # -- keys --------------------------------------------------------------------------------------------------------

    def action_kind(self, kind: str) -> None:
        """Plot something else."""
        self._kind = kind
        self.feed()

    def action_answer(self) -> None:
        """Answer what the run asks."""
        self.control.answer()


def state_lines(seen: Seen, width: int) -> list[Line]:
    """Return the station's state, what runs there, and why it waits or what it asks."""
    said = SAID[seen.word]
    run = None if seen.state is None else seen.state.run
    head = [(f" {literal(seen.name)} ", "title"), (f" {said.glyph} {said.word} ", said.style)]
    lines: list[Line] = []
    if run is None:
        queued = 0 if seen.state is None else len(seen.state.queue)
        lines.append((*head, (f"  no run{f', {queued} queued' if queued else ''}", "dim")))
    else:
        used = sum(len(text) for text, _ in head)
        lines.append(
            (
                *head,
                (
                    fit("  " + " · ".join(filter(None, (run.cell, run.protocol, run.title))), max(0, width - used)),
                    "strong",
                ),
            )
        )
        lines.append(((fit(f" {doing(run, width - 1, live=seen.word not in BLIND)}", width), "plain"),))
    if seen.why:
        lines += [
            ((f" {line}", said.style if said.style != "plain" else "warn"),) for line in wrapped(seen.why, width - 2)
        ]
    asked = None if seen.state is None or seen.word in BLIND else seen.state.asked
    if asked is not None:
        allowed = f"  [{' / '.join(asked.answers)}]" if asked.answers else ""
        lines += [
            ((f" {line}", "warn"),) for line in wrapped(f"ASKS: {asked.text}{allowed}   Enter answers", width - 2)
        ]
    return lines


def doing(run: RunStatus, width: int, *, live: bool) -> str:
    """Write what the run is doing: step, time in it, cycle, charge, what comes next, how long it still takes.

    What does not fit is left out, first what stands in the plan as well.
    """
    step, cycle = f"step {run.step}/{run.steps} {run.step_name}", f"cycle {run.cycle}/{run.cycles}"
    if not live:
        return f"{step}, {cycle} when it was last heard"
    parts: list[Part] = [(0, f"{step}  {span(run.step_time_second)}", "plain")]
    if run.cycles:
        parts.append((2, cycle, "plain"))
    if run.specific_mah_per_gram is not None:
        parts.append((3, f"Q {run.specific_mah_per_gram:.1f} mAh/g", "plain"))
    elif run.capacity_ah is not None:
        parts.append((3, f"Q {run.capacity_ah * 1e3:.4f} mAh", "plain"))
    where = "" if run.where == "host" else "  in the instrument"
    parts += [(4, f"next: {run.next_step or UNKNOWN}", "plain"), (1, f"left {span(run.left_second)}{where}", "plain")]
    return "   ".join(text for _, text, _ in fitting(parts, width, gap=3))


def plan_lines(seen: Seen, width: int, height: int) -> list[Line]:
    """Return the plan around the present step: done, now, next, readable without colour."""
    run = None if seen.state is None else seen.state.run
    if run is None or height < 2:
        return [rule("Plan", width)]
    now = next((i for i, line in enumerate(run.plan) if line.state == "now"), 0)
    first = max(0, min(now - STEPS_BEFORE, len(run.plan) - (height - 1)))
    lines = []
    for each in run.plan[first : first + height - 1]:
        glyph, style = PLAN[each.state]
        lines.append(((fit(f" {glyph} {'  ' * each.depth}{each.text}", width), style),))
    return [rule("Plan", width), *lines]


def limit_lines(seen: Seen, width: int) -> list[Line]:
    """Return the limits that hold now; one that is broken stands out."""
    parts: list[str] = []
    broken = False
    for name, quantity, _ in BIG:
        reading = quantity.reading(seen)
        if reading.low is None and reading.high is None:
            continue
        low, high = ("" if end is None else f"{end / quantity.scale:g}" for end in (reading.low, reading.high))
        parts.append(f"{name} {low}..{high} {quantity.unit}{' !' if reading.beyond else ''}   ")
        broken = broken or reading.beyond
    lines = [""]
    for part in ["Limits  ", *parts] if parts else []:
        if len(lines[-1]) + len(part) > width + 3:
            lines.append("        ")
        lines[-1] += part
    return [((line, "fault" if broken else "dim"),) for line in lines if line]
