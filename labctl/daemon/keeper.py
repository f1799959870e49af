"""The keeper of one station: connected, polled, guarded and recorded for as long as the daemon lives, run or none."""

import asyncio
import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from math import inf

from labctl.api import Start
from labctl.clock import LabClock, VirtualClock, host_sleep, host_unix
from labctl.daemon.ask import BusOperator
from labctl.daemon.binding import bound
from labctl.daemon.continuing import predecessor
from labctl.daemon.queue import Entry, Queue
from labctl.daemon.turn import Bench, Laboratory, Turn, begin_turn, go_on, header_at
from labctl.engine.guard import Trip
from labctl.engine.run import Outcome, Run
from labctl.engine.station import Station
from labctl.engine.watch import Watch
from labctl.errors import LabctlError, NotNow, RefusedForSafety, first_of
from labctl.lab.abilities import abilities
from labctl.lab.assemble import Assembly
from labctl.lab.calibrated import correct, refuse_uncalibrated
from labctl.lab.consent import refuse_without_consent
from labctl.lab.guarded import Outcome as Left
from labctl.lab.guarded import Report, StationReport
from labctl.lab.laboratory import Pace, all_simulated, in_lab_time, open_laboratory
from labctl.lab.recording import Sink, begin
from labctl.plan import Limits, StationAbilities
from labctl.program import ProgrammableCycler
from labctl.reading import Event, Record, RunState, Severity
from labctl.record.datapath import Delivery, Interrupted

_log = logging.getLogger(__name__)

FIRST_RETRY, LONGEST_RETRY = 1.0, 30.0
"""Seconds of host time until a station whose instruments do not answer is tried again."""
WARNING = "warning"
"""What an alarm is about for which a run is paused."""
OUTAGE = "outage"
"""What an alarm is about when a run was found whose process had died."""
ACTION = {Left.SAFE: "made safe by the guard", Left.UNCONFIRMED: "not made safe: go there"}
PATIENCE_AT_THE_END = 5.0
"""Seconds that the daemon's end waits for the recorder; what is not stored then waits in the journal."""


class Keeper:
    """Keeps one station.

    Attributes:
        bench: None while the station is not connected; `trouble` says why.
        turn: the run that is under way.
        last: the run before it, and how it ended.
        held: why the first entry of the queue may not start by itself; empty while it may.
        rows: records taken since the daemon began.
        unsafe: whether it was left, and its safe state not confirmed.
        changed: set when there is something to say of the station before the next regular word.
    """

    def __init__(self, laboratory: Laboratory, station: str) -> None:
        self.laboratory = laboratory
        self.station = station
        self.queue = Queue(laboratory.folder / "queue" / f"{station}.json")
        self.abilities: StationAbilities = abilities(laboratory.config, station)
        self.simulated = laboratory.pace.in_memory or all_simulated(laboratory.config, station)
        self.bench: Bench | None = None
        self.trouble = "It has not been connected yet."
        self.was_tried = False
        self.turn: Turn | None = None
        self.last: tuple[Entry, Outcome] | None = None
        self.held = "it was there when the daemon started" if self.queue else ""
        self.rows = 0
        self.unsafe = False
        self.changed = asyncio.Event()
        self._interrupted: Interrupted | None = None
        self._guarded: tuple[Report, StationReport] | None = None
        self._unrecorded: list[Event] = []
        self._polls = -1
        self._news = asyncio.Event()
        self._closing: set[asyncio.Task[bool]] = set()
        laboratory.path.on_disk.append(self._heed_disk)

    def inherit(self, interrupted: Interrupted | None, *, begun: bool) -> bool:
        """Take over what was under way here when the process before this one died.

        Args:
            interrupted: which run that was; None: none that can be gone on with.
            begun: whether anything is known of the run whose turn it was; else no instrument has heard of it.

        Returns:
            Whether the run will be gone on with; else it is lost, and an alarm says so, or waits for a person.
        """
        entry = self.queue.current
        if entry is not None and interrupted is not None and interrupted.run == entry.run:
            self._interrupted = interrupted
            return True
        if entry is not None and begun:
            self._lost(entry, "the daemon died while it was under way")
        elif entry is not None:
            self._return(entry)
        return False

    def _return(self, entry: Entry) -> None:
        """Put a run back that had its turn and has not begun; a person starts it."""
        self.held = "the daemon died before it had begun"
        self.queue.put_back()
        self._sound("run", f"{entry.protocol} waits: {self.held}.", "waits at the head of the queue", latched=False)
        self.laboratory.alarms.clear(self.station, "run")

    def _lost(self, entry: Entry, why: str) -> None:
        sentence = f"{entry.protocol} ({entry.run}) is lost: {why}."
        self._sound("run", sentence, "made safe whenever the station is connected", latched=True)
        self.queue.done()

    def take_up_guarded(self, report: Report, station: StationReport) -> None:
        """Tell what a guard did here when the process before this one failed, and record it when that is possible."""
        if station.outcome in ACTION:
            sentence, left = f"{report.why} {station.sentence}", station.outcome
            self._sound("guard", sentence, ACTION[left], latched=left is Left.UNCONFIRMED)
            self.laboratory.alarms.clear(self.station, "guard")  # it has done what it could
            self._guarded = report, station

    # -- life --------------------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Connect, and connect again, until cancelled; then make the station safe."""
        try:
            await self._live_for_ever()
        finally:
            if self._closing:
                await asyncio.wait(self._closing, timeout=PATIENCE_AT_THE_END)
            for closing in self._closing:
                closing.cancel()

    async def _live_for_ever(self) -> None:
        pause = FIRST_RETRY
        while True:
            try:
                await self._live()
            except* LabctlError as errors:
                self.trouble = first_of(errors).sentence
                _log.error("station %s: %s", self.station, self.trouble)
            except* Exception as errors:  # noqa: BLE001 - one station's bug must not cost the others their guard
                self.trouble = "The program itself failed; the log says why."
                _log.exception("station %s", self.station, exc_info=errors)
                self._sound("program", self.trouble, "made safe", latched=True)
            me = asyncio.current_task()
            if me is not None and me.cancelling():  # an error that came with the cancellation has covered it
                raise asyncio.CancelledError
            self.was_tried = True
            pause = FIRST_RETRY if self.bench is not None else min(2 * pause, LONGEST_RETRY)
            self.bench = None
            await host_sleep(pause)

    async def _live(self) -> None:
        lab = self.laboratory
        pace = lab.pace if self.simulated else Pace(in_memory=False)  # nobody hurries a real instrument
        async with open_laboratory(lab.config, lab.config_path, self.station, pace, lab.pool) as (assembly, clock):
            self._expect_program(assembly)
            await in_lab_time(clock, assembly.station.connect())
            self.unsafe = False
            operator = BusOperator(clock, simulated=assembly.simulated)
            self.bench = bench = Bench(assembly, clock, self.abilities, operator)
            watch = str(uuid.uuid4())
            delivery = lab.path.begin(watch, self.station, simulated=assembly.simulated)
            bench.watch_sink = self._recording(Sink(delivery, clock))
            about = header_at(lab, bench, watch, "daemon")
            correct(assembly.station, about.instruments)
            begin(bench.watch_sink, about)
            self._record_guarded(bench)
            for event in self._unrecorded:
                bench.watch_sink(event)
            self._unrecorded.clear()
            self.trouble = ""
            self.changed.set()
            try:
                async with asyncio.TaskGroup() as group:
                    assembly.station.start(group)
                    await self._work(bench)
            finally:
                assembly.station.stop()
                try:
                    await self._leave_safe(assembly.station, clock)
                finally:
                    end = {"state": RunState.STOPPED.value, "reason": "the watch ended"}
                    bench.watch_sink(Event("run.ended", clock.unix(), clock.now(), "The watch ended.", data=end))
                    self._close_when_stored(delivery)

    async def _leave_safe(self, station: Station, clock: LabClock) -> None:
        """Make a station safe that nobody keeps from now on, and remember where it does not confirm that."""
        self.unsafe = True

        async def act() -> None:
            self.unsafe = bool(await station.make_safe(heaters_off=True))

        await in_lab_time(clock, act())

    def _record_guarded(self, bench: Bench) -> None:
        if self._guarded is None:
            return
        (report, station), self._guarded = self._guarded, None
        data = report.model_dump(mode="json", exclude={"stations"}) | station.model_dump(mode="json")
        clock, said = bench.clock, f"{report.why} {station.sentence}"
        bench.watch_sink(Event("guard.acted", clock.unix(), clock.now(), said, Severity.ALARM, data=data))

    def _expect_program(self, assembly: Assembly) -> None:
        """Tell the cycler before it is connected which program it is to leave alone."""
        cycler = assembly.station.instruments.cycler
        if self._interrupted is None or not isinstance(cycler, ProgrammableCycler):
            return
        following = self._interrupted.position.following
        if following is not None:
            cycler.expect_program(following.token)

    async def _work(self, bench: Bench) -> None:
        """Go on with what was under way; then watch, and run what is queued."""
        if self._interrupted is not None:
            await self._go_on(bench, self._interrupted)
        while True:
            bench.watch = watch = self._watch(bench)
            try:
                while (entry := self._next()) is None:
                    await self._news.wait()
                    self._news.clear()
            finally:
                await watch.stop()
                bench.watch = None
            try:
                turn = await begin_turn(self.laboratory, bench, entry, self._recording)
            except LabctlError as error:
                self.queue.done()
                self._sound("start", f"{entry.protocol} did not start: {error.sentence}", "not started", latched=True)
            else:
                await self._conduct(bench, turn)

    async def _go_on(self, bench: Bench, interrupted: Interrupted) -> None:
        entry, self._interrupted = self.queue.current, None
        assert entry is not None
        try:
            alarm = self.laboratory.alarms.latched(self.station)
            against = () if alarm is None else (f"an alarm stands: {alarm.sentence}",)
            turn = await go_on(self.laboratory, bench, entry, interrupted, self._recording, against)
        except LabctlError as error:
            self._close_when_stored(self.laboratory.path.lose(interrupted))
            await in_lab_time(bench.clock, bench.assembly.station.make_safe(heaters_off=True))
            self._lost(entry, error.sentence)
        else:
            await self._conduct(bench, turn)

    def _watch(self, bench: Bench) -> Watch:
        if isinstance(bench.clock, VirtualClock):
            bench.clock.speed = 1.0  # nobody is helped by hours of idleness in a second
        station, limits = bench.assembly.station, station_limits(self.abilities)
        watch = Watch(station, limits, bench.watch_sink, self._tripped, began=0.0)
        watch.start()
        return watch

    def _next(self) -> Entry | None:
        """Return the entry that may start now, taken out of the queue."""
        lab = self.laboratory
        if self.queue.stopped or self.held or self.queue.first is None or lab.alarms.latched(self.station):
            return None
        return None if lab.path.disk_trouble else self.queue.take()

    async def _conduct(self, bench: Bench, turn: Turn) -> None:
        """Execute a run to its named end."""
        self.turn = turn
        self.changed.set()
        if isinstance(bench.clock, VirtualClock):
            bench.clock.speed = self.laboratory.pace.speed
        if self.queue.stopped:  # while the run was being begun
            turn.run.stop("labctl", "everything was stopped")
        try:
            await turn.run.execute()
        finally:
            if (outcome := turn.run.outcome) is not None:  # also where its safe state could not be reached
                self.last = (turn.entry, outcome)
                self._after(turn.entry, outcome)
            self.turn = None
            self.queue.done()
            self.changed.set()
            self._close_when_stored(turn.delivery)

    def _after(self, entry: Entry, outcome: Outcome) -> None:
        """Decide whether the next entry may start by itself: only on the same cell, after a run that completed."""
        following = self.queue.first
        ordered = outcome.state in (RunState.COMPLETED, RunState.STOPPED)
        if not ordered and self.laboratory.alarms.latched(self.station) is None:  # a trip of the guard is one already
            sentence = f"{entry.protocol} ended {outcome.state.value}: {outcome.reason}"
            self._sound("run", sentence, "circuit opened, pressure frozen", latched=True)
        if following is None:
            self.held = ""
        elif outcome.state is not RunState.COMPLETED:
            self.held = f"the run before it ended {outcome.state.value}"
        elif following.cell != entry.cell:
            self.held = f'another cell is due: "{following.cell}" after "{entry.cell}"'
        else:
            self.held = ""

    # -- records -----------------------------------------------------------------------------------------------------

    def _close_when_stored(self, delivery: Delivery) -> None:
        """Let a delivery go when the database has all of it, however long that takes."""
        closing = asyncio.create_task(delivery.close(inf), name=f"closing {delivery.run}")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _recording(self, sink: Sink) -> Callable[[Record], None]:
        def record(record: Record) -> None:
            self.rows += 1
            sink(record)
            if isinstance(record, Event):
                self._heard(record)

        return record

    def _heard(self, event: Event) -> None:
        """Raise or clear the alarms that an event of a run stands for."""
        alarms = self.laboratory.alarms
        match event.kind:
            case "guard.tripped":
                quantity = str(event.data.get("quantity", "limit"))
                self._sound(quantity, event.message, "circuit opened, pressure frozen", latched=True)
            case "instrument.unsafe":
                self._sound("safe state", event.message, "tried again and again", latched=True)
            case "run.found":
                waits = "who" in event.data
                action = "circuit open, pressure frozen" if waits else "gone on"
                alarms.sound(self.station, OUTAGE, event.message, Severity.WARNING, action, latched=False)
                if not waits:
                    alarms.clear(self.station, OUTAGE)
            case "guard.warned":
                paused = self.turn is not None
                action = "paused: circuit open, pressure frozen" if paused else "watched on"
                alarms.sound(self.station, WARNING, event.message, Severity.WARNING, action, latched=False)
                if not paused:
                    alarms.clear(self.station, WARNING)
                self.changed.set()
            case "run.resumed" | "run.ended":
                alarms.clear(self.station, OUTAGE)
                alarms.clear(self.station, WARNING)

    def _heed_disk(self, trouble: str) -> None:
        """Pause what runs while the disk takes nothing, and let it go on when it does."""
        if trouble:
            self._sound("disk", trouble, "paused: circuit opened, pressure frozen", latched=False)
        else:
            self.laboratory.alarms.clear(self.station, "disk")
        if self.turn is not None:
            self.turn.run.heed_disk(trouble)
        self._wake()

    def _tripped(self, trip: Trip) -> None:
        self._sound(trip.quantity, trip.sentence, "circuit opened, pressure frozen", latched=True)

    def _sound(self, quantity: str, sentence: str, action: str, *, latched: bool) -> None:
        self.laboratory.alarms.sound(self.station, quantity, sentence, Severity.ALARM, action, latched=latched)
        self.changed.set()

    def progressed(self) -> bool:
        """Whether anything was polled since the last call; a station that is being connected has its own time-outs."""
        before, self._polls = self._polls, self.bench.assembly.station.polls if self.bench is not None else -1
        return self.bench is None or self._polls != before

    def notice_instruments(self) -> None:
        """Raise an alarm for every instrument that does not answer, and clear it when it answers again."""
        if self.bench is None and not self.was_tried:
            return
        failing = self.bench.assembly.station.failing if self.bench is not None else {"station": self.trouble}
        alarms = self.laboratory.alarms
        for name, sentence in failing.items():
            alarms.sound(self.station, name, sentence, Severity.WARNING, "tried again", latched=False)
        names = {*(name for name, _, _ in self.laboratory.config.station(self.station).instruments()), "station"}
        for name in names - failing.keys():
            alarms.clear(self.station, name)

    # -- what people ask for -----------------------------------------------------------------------------------------

    async def enqueue(self, start: Start, user: str) -> tuple[Entry, int]:
        """Queue a run that this station can do; return it with its position, 0 where it starts now.

        Raises:
            ProtocolError: it cannot run here, with every finding.
            RefusedForSafety: an alarm stands that somebody must acknowledge first, or after an emergency stop; or only
                software protects the cell, or a calibration is missing, and nobody has consented.
        """
        plan = await bound(start, self.abilities)
        refuse_without_consent(self.abilities, start.consent)
        if self.bench is not None:  # else it is found out when its turn has come
            refuse_uncalibrated(header_at(self.laboratory, self.bench, "", user), plan, start.consent)
        predecessor(self.laboratory.database, start.continue_run, plan)
        self._refuse_while_stopped()
        run, now = str(uuid.uuid4()), host_unix()
        entry = Entry(run=run, user=user, protocol=plan.name, cell=plan.cell.name, queued_unix_second=now, start=start)
        idle = self.idle
        if idle:  # whoever starts it at an idle station means this cell, now
            lost = self.bench is None and self.was_tried
            self.held = "the station did not answer when it was asked for" if lost else ""
        self.queue.add(entry)
        self._wake()
        return entry, len(self.queue) - (idle and not self.held and self.bench is not None)

    @property
    def idle(self) -> bool:
        """Whether nothing runs here, begins or waits."""
        return not self.queue and self.queue.current is None and self.turn is None

    def release(self) -> bool:
        """Let the first entry of the queue start; return whether one was held."""
        self._refuse_while_stopped()
        held, self.held = bool(self.held and self.queue), ""
        self._wake()
        return held

    def unlatched(self) -> None:
        """Go on after an acknowledgement."""
        if self.bench is not None and self.bench.watch is not None:
            self.bench.watch.rearm()
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self.changed.set()

    def go_on(self, user: str) -> None:
        """Let a paused run go on.

        Raises:
            RefusedForSafety: an alarm stands that somebody must acknowledge first.
        """
        run = self.running()
        self._refuse_while_stopped()
        run.resume(user)

    def running(self) -> Run:
        """Return the run that is under way; raises RefusedForSafety where there is none."""
        if self.turn is None:
            raise RefusedForSafety(f"Nothing runs at station {self.station}.", "See `labctl status`.")
        return self.turn.run

    def note(self, event_kind: str, message: str, **data: object) -> None:
        """Record what somebody did in the watch, or in the next one where the station is not connected."""
        if self.bench is None:
            self._unrecorded.append(Event(event_kind, host_unix(), 0.0, message, data=data))
            return
        clock = self.bench.clock
        event = Event(event_kind, clock.unix(), clock.now(), message, data=data)
        self.bench.watch_sink(event)

    async def make_safe(self, user: str, reason: str) -> list[str]:
        """Stop what runs and bring every instrument to its safe state; return what did not confirm it.

        Nothing starts here any more until a `reset`; that is kept on disk, but only when the cell is safe.
        """
        self.queue.stopped = True
        try:
            return await self._make_safe(user, reason)
        finally:
            self.queue.stop(stopped=True)

    async def _make_safe(self, user: str, reason: str) -> list[str]:
        if self.bench is None:
            return [f"{self.station} is not connected: {self.trouble}"]
        if self.turn is not None:
            run = self.turn.run
            with suppress(NotNow):  # it is ending already
                run.stop(user, reason)
            while run.outcome is None:
                await host_sleep(0.02)
        station, clock = self.bench.assembly.station, self.bench.clock
        unconfirmed: list[str] = []

        async def safe() -> None:
            unconfirmed.extend(await station.make_safe(heaters_off=True))

        await in_lab_time(clock, safe())
        return unconfirmed

    def reset(self) -> None:
        """Allow runs again after an emergency stop; what waits in the queue waits for a person."""
        self.queue.stop(stopped=False)
        self.held = "the laboratory was stopped" if self.queue else ""
        self._wake()

    def _refuse_while_stopped(self) -> None:
        if self.queue.stopped:
            raise RefusedForSafety(
                f"Station {self.station} was stopped in an emergency.", "Find the cause, then `labctl reset`."
            )
        alarm = self.laboratory.alarms.latched(self.station)
        if alarm is not None:
            raise RefusedForSafety(
                f"Station {self.station} stands in alarm: {alarm.sentence}",
                f'Find the cause, then `labctl ack {self.station} --reason "…"`.',
            )


def station_limits(able: StationAbilities) -> Limits:
    """Return what holds while nothing runs: the station's own limits."""
    return Limits(
        voltage=able.voltage_limit,
        current=able.current_limit if able.current_limit is not None else inf,
        capacity=inf,
        temperature=able.temperature_limit,
        pressure_negative=able.pressure_negative_limit,
        pressure_positive=able.pressure_positive_limit,
        torque=able.torque,
        rates=able.rates,
        margins=able.margins,
        disagreement=able.disagreement,
        debounce=able.debounce,
    )
