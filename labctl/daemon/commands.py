"""Commands: taken from the bus, each carried out once, by whoever it concerns, and answered."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from labctl.api import (
    READ_ONLY,
    STALE,
    Acknowledge,
    Answer,
    Change,
    Check,
    Confirmed,
    Control,
    Cycles,
    Events,
    EveryStation,
    History,
    Message,
    Note,
    Refusal,
    Reply,
    Request,
    Runs,
    Start,
    Started,
    Unqueue,
)
from labctl.bus.base import Bus, BusDown
from labctl.bus.codec import PAYLOAD_LIMIT
from labctl.bus.topics import Process
from labctl.clock import host_unix
from labctl.daemon.answers import answer
from labctl.daemon.binding import bound, findings
from labctl.daemon.keeper import Keeper
from labctl.daemon.queue import remove
from labctl.daemon.turn import Bench
from labctl.errors import Finding, InvalidInput, LabctlError, NotNow, RefusedForSafety

_log = logging.getLogger(__name__)

REMEMBERED = 1000
"""Replies that are kept, so that a request that comes again is answered and not carried out again."""
MOST_AT_ONCE = 32
"""Requests under way; what comes on top is refused, so that nobody can bury the laboratory in questions."""

Data = dict[str, object]


class Desk:
    """Takes the requests of one daemon.

    Args:
        database: that questions about the past are answered from.
        cells: folder of the cells' files, for what is known of them now.

    Attributes:
        refused: messages that were no requests.
    """

    def __init__(self, bus: Bus, process: Process, keepers: dict[str, Keeper], database: Path, cells: Path) -> None:
        self.refused = 0
        self._bus = bus
        self._process = process
        self._keepers = keepers
        self._database = database
        self._cells = cells
        self._replies: OrderedDict[str, Reply | None] = OrderedDict()
        self._under_way: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to take requests."""
        await self._bus.subscribe(self._process.commands, self._receive)

    def close(self) -> None:
        """Let go of what is under way."""
        for task in self._under_way:
            task.cancel()

    def _receive(self, _topic: str, payload: bytes) -> None:
        try:
            if len(payload) > PAYLOAD_LIMIT:
                raise ValueError("too long")
            request = Request.model_validate_json(payload)
        except (ValidationError, ValueError) as error:
            self.refused += 1
            _log.warning("a request was refused: it is not what docs/bus.md says (%s)", type(error).__name__)
            return
        if request.id in self._replies and self._replies[request.id] is None:
            return  # it is being carried out; its reply comes when it is done
        task = asyncio.create_task(self._handle(request), name=f"request {request.action.do}")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _handle(self, request: Request) -> None:
        reply = self._replies.get(request.id)
        if reply is None:
            self._replies[request.id] = None
            reply = await self._reply(request)
            self._replies[request.id] = reply
            while len(self._replies) > REMEMBERED:
                self._replies.popitem(last=False)
        try:
            await self._bus.publish(
                self._process.reply(request.client), reply.model_dump_json(by_alias=True, exclude_none=True).encode()
            )
        except BusDown as error:
            _log.warning("the reply to %s could not be sent: %s", request.action.do, error.sentence)

    async def _reply(self, request: Request) -> Reply:
        action = request.action
        try:
            if len(self._under_way) > MOST_AT_ONCE:
                raise RefusedForSafety("The daemon has too many requests under way.", "Ask again in a moment.")
            if action.do not in READ_ONLY:
                _refuse_stale(request)
                _log.info("%s by %s: %s", action.do, request.user, request.reason or "no reason given")
            return Reply(id=request.id, data=await self._carry_out(request))
        except LabctlError as error:
            return Reply(id=request.id, error=_refusal(error))
        except Exception:  # noqa: BLE001 - whoever asks must learn that it failed, and the daemon must live
            _log.exception("request %s", action.do)
            sentence = "The daemon failed in carrying this out; its log says why."
            return Reply(id=request.id, error=Refusal(sentence=sentence, remedy="See `labctl status`."))

    # -- what each action does -----------------------------------------------------------------------------------------

    async def _carry_out(self, request: Request) -> Data:
        who, why = request.user, request.reason
        match request.action:
            case Start() as start:
                return _data(self._start(start, who))
            case Unqueue(run=run):
                remove((keeper.queue for keeper in self._keepers.values()), run)
                return {}
            case Control(do=do, target=target):
                return self._control(do, self._keeper(target), who, why)
            case Note(target=target, text=text):
                self._keeper(target).running().note(who, text)
                return {}
            case Change() as change:
                return self._change(change, who, why)
            case Answer(target=target, answer=text):
                keeper = self._keeper(target)
                _connected(keeper).operator.answer(text)
                keeper.note("command", f"{who} answered: {text}", user=who, action="answer")
                return {}
            case Acknowledge(station=station, alarms=alarms):
                return self._acknowledge(self._keeper(station), alarms, who, why)
            case EveryStation(do=do):
                return _data(await self._every(do, who, why))
            case Check() as check:
                able = None if check.station is None else self._keeper(check.station).abilities
                return {"findings": [_finding(each) for each in findings(check, able)]}
            case History() | Cycles() | Events() | Runs() as question:
                return await asyncio.to_thread(partial(answer, self._database, self._cells, question))

    def _start(self, start: Start, who: str) -> Started:
        if start.station is not None:
            keeper = self._keeper(start.station)
            entry, position = keeper.enqueue(start, who)
            return Started(run=entry.run, station=keeper.station, position=position)
        why: list[str] = []
        for keeper in self._keepers.values():
            if keeper.turn is not None or len(keeper.queue) or keeper.bench is None:
                why.append(f"{keeper.station} is not free")
                continue
            try:
                entry, position = keeper.enqueue(start, who)
            except LabctlError as error:
                why.append(f"{keeper.station}: {error.sentence.splitlines()[0]}")
                continue
            return Started(run=entry.run, station=keeper.station, position=position)
        raise RefusedForSafety(
            f"No station can start this now: {'; '.join(why)}.", "Name one with --station to queue it there."
        )

    def _control(self, do: str, keeper: Keeper, who: str, why: str) -> Data:
        if do == "resume" and (keeper.turn is None or not keeper.turn.run.paused):
            if not keeper.release():
                raise NotNow(f"Nothing is paused or held at station {keeper.station}.", "See `labctl status`.")
            keeper.note("command", f"{who} released the queue.", user=who, reason=why, action=do)
            return {}
        run = keeper.running()
        match do:
            case "pause":
                run.pause(who, why)
            case "resume":
                run.resume(who)
            case "skip":
                run.skip(who)
            case _:
                run.stop(who, why)
        keeper.changed.set()
        return {}

    def _change(self, change: Change, who: str, why: str) -> Data:
        keeper = self._keeper(change.target)
        run, turn = keeper.running(), keeper.turn
        assert turn is not None
        start = turn.entry.start
        inputs = {**start.inputs, **change.inputs}
        plan = bound(start.model_copy(update={"inputs": inputs}), keeper.abilities)
        run.revise(plan, who, why)
        turn.plan = plan
        turn.entry = turn.entry.model_copy(update={"start": start.model_copy(update={"inputs": inputs})})
        keeper.queue.revise(turn.entry)
        return {"inputs": dict(plan.inputs)}

    def _acknowledge(self, keeper: Keeper, alarms: tuple[str, ...], who: str, why: str) -> Data:
        done = keeper.laboratory.alarms.acknowledge(keeper.station, alarms, who, why)
        for alarm in done:
            keeper.note("alarm.acknowledged", f"{who}: {why} ({alarm.sentence})", user=who, reason=why, alarm=alarm.id)
        keeper.unlatched()
        return {"acknowledged": [alarm.id for alarm in done]}

    async def _every(self, do: str, who: str, why: str) -> Confirmed:
        unconfirmed: dict[str, list[str]] = {name: [] for name in self._keepers}
        match do:
            case "pause_all":
                self._pause_all(who, why)
            case "estop":
                unconfirmed = await make_all_safe(self._keepers.values(), who, why)
            case _:
                for keeper in self._keepers.values():
                    keeper.reset()
        for keeper in self._keepers.values():  # afterwards: no record may come before a cell
            keeper.note("command", f"{who}: {do}", user=who, reason=why, action=do)
            keeper.changed.set()
        return Confirmed(stations=unconfirmed)

    def _pause_all(self, who: str, why: str) -> None:
        for keeper in self._keepers.values():
            if keeper.turn is not None and not keeper.turn.run.paused:
                with suppress(NotNow):  # it is ending already
                    keeper.turn.run.pause(who, why)

    # -- whom it concerns ----------------------------------------------------------------------------------------------

    def _keeper(self, target: str) -> Keeper:
        """Return the keeper of a station, named itself or by the run that is under way there."""
        if target in self._keepers:
            return self._keepers[target]
        turns = [(keeper, keeper.turn) for keeper in self._keepers.values()]
        running = [keeper for keeper, turn in turns if turn is not None and turn.entry.run.startswith(target)]
        if len(running) != 1:
            names = ", ".join(self._keepers)
            raise RefusedForSafety(
                f'There is no station and no run under way called "{target}".', f"Stations here: {names}."
            )
        return running[0]


async def make_all_safe(keepers: Iterable[Keeper], who: str, why: str) -> dict[str, list[str]]:
    """Make every station safe, all at once; return what each did not confirm."""
    every = list(keepers)
    unconfirmed = await asyncio.gather(*(keeper.make_safe(who, why) for keeper in every))
    return {keeper.station: said for keeper, said in zip(every, unconfirmed, strict=True)}


def _connected(keeper: Keeper) -> Bench:
    if keeper.bench is None:
        raise RefusedForSafety(f"Station {keeper.station} is not connected: {keeper.trouble}")
    return keeper.bench


def _refuse_stale(request: Request) -> None:
    age = host_unix() - request.sent_unix_second
    if not -STALE <= age <= STALE:
        raise RefusedForSafety(
            f"This command is {abs(age):.0f} s {'old' if age > 0 else 'from the future'}, and so not carried out.",
            "Give it again; if it comes again, the clocks of the two machines differ: set them by NTP.",
        )


def _refusal(error: LabctlError) -> Refusal:
    found = tuple(_finding(each) for each in error.findings) if isinstance(error, InvalidInput) else ()
    return Refusal(sentence=error.sentence, remedy=error.remedy, exit_code=error.exit_code, findings=found)


def _finding(finding: Finding) -> dict[str, object]:
    place = finding.place
    return {
        "code": finding.code,
        "severity": finding.severity,
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "reason": finding.reason,
        "remedy": finding.remedy,
        "text": str(finding),
    }


def _data(message: Message) -> Data:
    return message.model_dump(mode="json")
