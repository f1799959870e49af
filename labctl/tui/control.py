"""Every command of the dashboard on its rung of the ladder: what makes safe is immediate, what drives is confirmed.

Immediate: pause, pause all. A reason: acknowledge. A dialog whose default is Cancel: resume, skip, stop, start. A typed
word: whatever concerns several stations and is not safe by itself, and the reset of an emergency stop.
"""

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from textual.app import App

from labctl.api import Confirmed, Word
from labctl.client import Lab
from labctl.plot.raster import Mode
from labctl.tui.dialogs import Ask, Field
from labctl.tui.orders import Orders
from labctl.tui.sight import Seen, Sight
from labctl.tui.words import RUNNING, SAID

TWICE = 2.0
"""Host seconds within which a second F12 is an emergency stop."""
READ_ONLY = "Read-only: press c to take control, with a reason."
NO_ALARM = "There is no alarm to acknowledge."

REASON = Field("reason", "why (it is recorded with your name)")


class Emergency:
    """What became of the emergency stop: asked for, then what each station confirmed."""

    def __init__(self) -> None:
        self.asked = False
        self.confirmed: Confirmed | None = None


class Control:
    """Gives commands in the name of the person at the screen.

    Args:
        reason: why this person takes control; None: read-only.

    Attributes:
        selected: the station that keys act on.
        mode: what plots are drawn in.
    """

    def __init__(self, app: App[None], lab: Lab, sight: Sight, orders: Orders, reason: str | None, mode: Mode) -> None:
        self.lab = lab
        self.sight = sight
        self.orders = orders
        self.reason = reason
        self.mode = mode
        self.selected: str | None = None
        self.emergency = Emergency()
        self._app = app
        self._pressed = float("-inf")

    @property
    def seen(self) -> Seen | None:
        """The selected station."""
        return self.sight.station(self.selected) if self.selected in self.sight.names else None

    def choose(self, names: list[str]) -> None:
        """Select one of these stations, the first where another one was selected; none where there are none."""
        if self.selected not in names:
            self.selected = names[0] if names else None

    def step(self, by: int) -> None:
        """Select the next or previous station."""
        names = self.sight.names
        if self.selected in names:
            self.selected = names[(names.index(self.selected) + by) % len(names)]

    # -- who may -----------------------------------------------------------------------------------------------------

    def take(self) -> None:
        """Ask for the reason of taking control, or give control back."""
        if self.reason is not None:
            self.reason = None
            return
        self._run(self._take())

    async def _take(self) -> None:
        says = ["Commands are recorded with your name and this reason."]
        answer = await self._ask("Take control?", says, "Take control", REASON)
        if answer is not None:
            self.reason = answer["reason"].strip()

    def may(self) -> bool:
        """Whether commands may be given here; where not, it is said."""
        if self.reason is None:
            self.orders.hint(READ_ONLY)
        return self.reason is not None

    def _target(self) -> Seen | None:
        """Return the station that is to be commanded; say why there is none."""
        if not self.may():
            return None
        if self.seen is None:
            self.orders.hint("There is no station here.")
        return self.seen

    # -- one station -------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Pause at once: the circuit is opened, the pressure frozen."""
        if (seen := self._target()) is not None:
            name, why = seen.name, self.reason or ""
            self._send(f"pause {name}", lambda: self.lab.pause(name, why), self._shows(name, {Word.PAUSED}))

    def resume(self) -> None:
        """Go on, after a dialog: the circuit is closed again."""
        says = "The circuit is closed again and the step goes on where it was."
        self._confirm("Resume", says, self.lab.resume, RUNNING)

    def skip(self) -> None:
        """End the present step, after a dialog."""
        says = "The present step ends here and the next one begins. This cannot be taken back."
        self._confirm("Skip the step of", says, self.lab.skip, None)

    def stop(self) -> None:
        """End the run, after a dialog."""
        says = "The run ends: circuit open, pressure frozen. It cannot be resumed; a new run has to be started."
        ended = {Word.IDLE, Word.READY, Word.DONE, Word.ALARM}
        self._confirm("Stop the run on", says, self.lab.stop, ended)

    def _confirm(
        self, do: str, says: str, send: Callable[[str, str], Awaitable[None]], then: set[Word] | frozenset[Word] | None
    ) -> None:
        if (seen := self._target()) is None:
            return

        async def flow() -> None:
            if await self._ask(f"{do} {seen.name}?", [*facts(seen), says], do.split(" ")[0]) is not None:
                shown = None if then is None else self._shows(seen.name, then)
                await self.orders.give(f"{do.lower()} {seen.name}", lambda: send(seen.name, self.reason or ""), shown)

        self._run(flow())

    def note(self) -> None:
        """Write a note into the run's events."""
        if (seen := self._target()) is None:
            return

        async def flow() -> None:
            says = ["The note is stored with the run, with your name and the time."]
            answer = await self._ask(f"Note to the run on {seen.name}", says, "Write", Field("text", "what you saw"))
            if answer is not None:
                text = answer["text"]
                await self.orders.give(f"note to {seen.name}", lambda: self.lab.note(seen.name, text), None)

        self._run(flow())

    def answer(self) -> None:
        """Answer the prompt that the run waits for."""
        seen = self._target()
        asked = None if seen is None or seen.state is None else seen.state.asked
        if seen is None or asked is None:
            if seen is not None:
                self.orders.hint(f"{seen.name} asks nothing now.")
            return
        allowed = f"Allowed: {', '.join(asked.answers)}." if asked.answers else "Any text is an answer."

        async def flow() -> None:
            says = [asked.text, f"The cell is at {asked.output} meanwhile. {allowed}"]
            given = await self._ask(f"{seen.name} asks", says, "Answer", Field("answer", "your answer"))
            if given is not None:
                text = given["answer"].strip()
                await self.orders.give(f"answer {seen.name}", lambda: self.lab.answer(seen.name, text), None)

        self._run(flow())

    def start(self, station: str, file: Path, inputs: dict[str, str]) -> None:
        """Queue a protocol that a dialog has checked and confirmed."""
        why = self.reason or ""
        self._send(
            f"start {file.name} on {station}",
            lambda: self.lab.start(file, station=station, inputs=inputs, reason=why),
            None,
        )

    # -- alarms ------------------------------------------------------------------------------------------------------

    def acknowledge(self, station: str | None, alarms: tuple[str, ...]) -> None:
        """Acknowledge alarms of one station, with a reason."""
        if not self.may():
            return
        if station is None:
            self.orders.hint(NO_ALARM)
            return

        async def flow() -> None:
            says = ["A latched trip is released by this: the station may start again. Look at the cell first."]
            answer = await self._ask(f"Acknowledge {len(alarms)} of {station}?", says, "Acknowledge", REASON)
            if answer is not None:
                why = answer["reason"]
                await self.orders.give(
                    f"acknowledge {station}", lambda: self.lab.acknowledge(station, alarms, why), None
                )

        self._run(flow())

    def acknowledge_all(self) -> None:
        """Acknowledge every alarm, with a reason and a typed word: it releases every latched station."""
        if not self.may():
            return
        open_alarms = [alarm for alarm in self.sight.alarms() if alarm.acknowledged_by is None]
        if not open_alarms:
            self.orders.hint(NO_ALARM)
            return
        stations = sorted({alarm.station for alarm in open_alarms})

        async def flow() -> None:
            says = [f"Stations: {', '.join(stations)}. Latched trips are released: these stations may start again."]
            word = Field("word", "type: all", "all")
            answer = await self._ask(f"Acknowledge all {len(open_alarms)} alarms?", says, "Acknowledge", REASON, word)
            if answer is None:
                return
            for station in stations:
                mine = tuple(alarm.id for alarm in open_alarms if alarm.station == station)
                send = partial(self.lab.acknowledge, station, mine, answer["reason"])
                await self.orders.give(f"acknowledge {station}", send, None)

        self._run(flow())

    # -- all stations ------------------------------------------------------------------------------------------------

    def press_emergency(self) -> bool:
        """Pause all stations, or at the second press within two seconds stop them; return whether it is a stop.

        It needs no control: the safe reaction is open to everybody who can see the screen.
        """
        now = self.sight.now
        second, self._pressed = now - self._pressed <= TWICE, now
        why = self.reason or "F12"
        if not second:
            self._send("pause all stations", lambda: self.lab.pause_all(why), None)
            return False
        self.emergency = Emergency()
        self.emergency.asked = True
        self._run(self._stop_all(why, self.emergency))
        return True

    async def _stop_all(self, why: str, emergency: Emergency) -> None:
        async def send() -> None:
            emergency.confirmed = await self.lab.estop(why)

        await self.orders.give("EMERGENCY STOP of all stations", send, None)

    def reset(self) -> None:
        """Release the emergency stop, after a typed word."""
        if not self.may():
            return

        async def flow() -> None:
            says = [
                "Nothing starts by itself, but every station may be started again.",
                "Look at the cells and rigs first; somebody may have their hands there.",
            ]
            word = Field("word", "type: reset", "reset")
            if await self._ask("Reset the emergency stop?", says, "Reset", word) is not None:
                why = self.reason or ""
                await self.orders.give("reset of the emergency stop", lambda: self.lab.reset(why), None)

        self._run(flow())

    # -- how ---------------------------------------------------------------------------------------------------------

    def _shows(self, name: str, words: set[Word] | frozenset[Word]) -> Callable[[], bool]:
        return lambda: self.sight.station(name).word in words

    def _send(self, what: str, send: Callable[[], Awaitable[object]], seen: Callable[[], bool] | None) -> None:
        self._run(self.orders.give(what, send, seen))

    def _run(self, work: Coroutine[Any, Any, object]) -> None:
        self._app.run_worker(work, exit_on_error=True)

    async def _ask(self, title: str, says: list[str], act: str, *fields: Field) -> dict[str, str] | None:
        return await self._app.push_screen_wait(Ask(title, says, act, fields))


def facts(seen: Seen) -> list[str]:
    """Return what a dialog says of a station: its state, cell, run, step and cycle."""
    run = None if seen.state is None else seen.state.run
    said = f"{seen.name} is {SAID[seen.word].word}."
    if run is None:
        return [f"{said} No run is under way."]
    return [
        f"{said} Cell {run.cell or 'without a name'}, {run.protocol}.",
        f"Step {run.step}/{run.steps} {run.step_name}, cycle {run.cycle}/{run.cycles}.",
    ]
