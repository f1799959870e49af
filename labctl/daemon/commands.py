"""Commands: taken from the bus, each carried out once, by whoever it concerns, and answered."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from labctl.api import (
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
from labctl.bus.topics import Process, sender
from labctl.clock import host_monotonic
from labctl.daemon.admission import Admission, Sender
from labctl.daemon.answers import answer
from labctl.daemon.audit import concerned, write_down
from labctl.daemon.binding import bound, findings
from labctl.daemon.keeper import Keeper
from labctl.daemon.queue import remove
from labctl.daemon.turn import Bench
from labctl.errors import Finding, InvalidInput, LabctlError, NotNow, RefusedForSafety
from labctl.roles import READ_ONLY

_log = logging.getLogger(__name__)

REMEMBERED = 2.0 * STALE
"""Seconds that a reply to a command is kept, so that it is not carried out again when it comes again: for longer than
it could be carried out, were it sent with a clock that is as far ahead as is allowed.
"""
MOST_AT_ONCE = 32
"""Requests under way; what comes on top is refused, so that nobody can bury the laboratory in questions."""

MOST_ANSWERED = 128
"""Requests that are answered at all, if only with a refusal; more are dropped and counted: a client asks again."""

Data = dict[str, object]
_Key = tuple[str, str]
"""User and id of a request: nobody gets the reply to what somebody else asked."""


class _Answered(NamedTuple):
    at: float
    reply: Reply


class Desk:
    """Takes the requests of one daemon.

    Args:
        database: that questions about the past are answered from.
        cells: folder of the cells' files, for what is known of them now.
        began: monotonic time at which this daemon began, before anybody could hear of it.

    Attributes:
        refused: messages that were no requests.
    """

    def __init__(
        self, bus: Bus, process: Process, keepers: dict[str, Keeper], database: Path, cells: Path, began: float
    ) -> None:
        self.refused = 0
        self._admission = Admission(began)
        self._bus = bus
        self._process = process
        self._keepers = keepers
        self._database = database
        self._cells = cells
        self._replies: OrderedDict[_Key, _Answered] = OrderedDict()
        self._under_way: dict[_Key, asyncio.Task[None]] = {}
        self._binding = asyncio.Lock()
        """Held from the look at a station to what follows from it: binding a plan takes its time in between."""

    async def open(self) -> None:
        """Begin to take requests."""
        await self._bus.subscribe(self._process.commands, self._receive)

    def close(self) -> None:
        """Let go of what is under way."""
        for task in self._under_way.values():
            task.cancel()

    def _receive(self, topic: str, payload: bytes) -> None:
        try:
            who = sender(topic)
            if who is None or len(payload) > PAYLOAD_LIMIT:
                raise ValueError("no topic of a request, or too long")
            request = Request.model_validate_json(payload)
        except (ValidationError, ValueError) as error:
            self.refused += 1
            _log.warning("a request was refused: it is not what docs/bus.md says (%s)", type(error).__name__)
            return
        key = (who[1], request.id)
        if key in self._under_way:
            return  # it is being carried out; its reply comes when it is done
        if len(self._under_way) >= MOST_ANSWERED and request.action.do != "estop":
            self.refused += 1
            return
        task = asyncio.create_task(self._handle(Sender(*who), request), name=f"request {request.action.do}")
        self._under_way[key] = task
        task.add_done_callback(lambda _: self._under_way.pop(key))

    async def _handle(self, who: Sender, request: Request) -> None:
        try:
            reply = self._too_much(who, request) or await self._once(who, request)
            await self._bus.publish(
                self._process.reply(who.user, request.client),
                reply.model_dump_json(by_alias=True, exclude_none=True).encode(),
            )
        except BusDown as error:
            _log.warning("the reply to %s could not be sent: %s", request.action.do, error.sentence)

    def _too_much(self, who: Sender, request: Request) -> Reply | None:
        """Refuse what is too much, without a record of it, for that would be too much as well."""
        try:
            self._admission.check_rate(who, request.action.do)
            if len(self._under_way) > MOST_AT_ONCE and request.action.do != "estop":
                raise RefusedForSafety("The daemon has too many requests under way.", "Ask again in a moment.")
        except RefusedForSafety as error:
            return Reply(id=request.id, error=_refusal(error))
        return None

    async def _once(self, who: Sender, request: Request) -> Reply:
        """Carry out a request and write down that it was; a command that has come before has its reply already."""
        key = (who.user, request.id)
        known = self._replies.get(key)
        if known is not None:
            return known.reply
        keepers = concerned(request, self._keepers)
        reply = await self._reply(who, request)
        if request.action.do not in READ_ONLY:
            self._remember(key, reply)
            write_down(who, request, reply, keepers)
        return reply

    def _remember(self, key: "_Key", reply: Reply) -> None:
        now = host_monotonic()
        self._replies[key] = _Answered(now, reply)
        while next(iter(self._replies.values())).at < now - REMEMBERED:
            self._replies.popitem(last=False)

    async def _reply(self, who: Sender, request: Request) -> Reply:
        action = request.action
        try:
            self._admission.check(who, request)
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
                async with self._binding:
                    return _data(await self._start(start, who))
            case Unqueue(run=run):
                remove((keeper.queue for keeper in self._keepers.values()), run)
                return {}
            case Control(do=do, target=target):
                return self._control(do, self._keeper(target), who, why)
            case Note(target=target, text=text):
                self._keeper(target).running().note(who, text)
                return {}
            case Change() as change:
                async with self._binding:
                    return await self._change(change, who, why)
            case Answer(target=target, answer=text):
                _connected(self._keeper(target)).operator.answer(text)
                return {}
            case Acknowledge(station=station, alarms=alarms):
                return self._acknowledge(self._keeper(station), alarms, who, why)
            case EveryStation(do=do):
                return _data(await self._every(do, who, why))
            case Check() as check:
                able = None if check.station is None else self._keeper(check.station).abilities
                return {"findings": [_finding(each) for each in await findings(check, able)]}
            case History() | Cycles() | Events() | Runs() as question:
                return await asyncio.to_thread(partial(answer, self._database, self._cells, question))

    async def _start(self, start: Start, who: str) -> Started:
        if start.station is not None:
            keeper = self._keeper(start.station)
            entry, position = await keeper.enqueue(start, who)
            return Started(run=entry.run, station=keeper.station, position=position)
        why: list[str] = []
        for keeper in self._keepers.values():
            if not keeper.idle or keeper.bench is None:
                why.append(f"{keeper.station} is not free")
                continue
            try:
                entry, position = await keeper.enqueue(start, who)
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
            return {}
        run = keeper.running()
        match do:
            case "pause":
                run.pause(who, why)
            case "resume":
                keeper.go_on(who)
            case "skip":
                run.skip(who)
            case _:
                run.stop(who, why)
        keeper.changed.set()
        return {}

    async def _change(self, change: Change, who: str, why: str) -> Data:
        keeper = self._keeper(change.target)
        run, turn = keeper.running(), keeper.turn
        assert turn is not None
        start = turn.entry.start
        inputs = {**start.inputs, **change.inputs}
        plan = await bound(start.model_copy(update={"inputs": inputs}), keeper.abilities)
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
        for keeper in self._keepers.values():
            keeper.changed.set()
        return Confirmed(stations=unconfirmed)

    def _pause_all(self, who: str, why: str) -> None:
        for keeper in self._keepers.values():
            if keeper.turn is not None:
                with suppress(NotNow):  # it is paused or ending already
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
