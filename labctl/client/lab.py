"""The client: what the laboratory says, and one method for each thing that it can be asked to do."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from getpass import getuser
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from labctl.api import (
    Acknowledged,
    Action,
    Bucketed,
    Changed,
    Checked,
    Confirmed,
    CyclePage,
    EventPage,
    Message,
    RunPage,
    Started,
)
from labctl.bus.base import Bus
from labctl.bus.codec import explain
from labctl.client.requests import START_IT, NoDaemon, Requests
from labctl.client.view import View
from labctl.errors import CommandRefused, Finding, LabctlError, Place, ProtocolError
from labctl.roles import Role
from labctl.textfile import Unreadable, read_text

PATIENCE = 10.0
"""Host seconds in which a reply must come."""
PATIENCE_TO_BE_SAFE = 60.0
"""The same where all instruments are brought to their safe state and read back before the reply."""

M = TypeVar("M", bound=Message)
_ACTION: TypeAdapter[Action] = TypeAdapter(Action, config=ConfigDict(defer_build=True))


class Lab(View):
    """A laboratory: its state in the attributes of `View`, its commands as methods.

    A target is a station ("A1"), or the run there by (the beginning of) its UUID. With several daemons on one site,
    "host/A1" says whose. A method returns when the daemon has taken the command up; what becomes of it is seen in the
    station's state. It raises:

    - CommandRefused: the daemon did not do it, in its own words, or the request was none.
    - Unanswered: no reply in time; whether it was carried out is not known.
    - NoDaemon, BusDown: there is nobody to ask; nothing was sent.

    Args:
        bus: that somebody serves.
        user: in whose name commands are given; None is who is logged in.
        role: of that user at the broker; one without users lets everybody do everything.
        folders: in which protocols are looked for that a protocol runs by name.
    """

    def __init__(
        self,
        bus: Bus,
        site: str,
        *,
        user: str | None = None,
        role: Role = "admin",
        folders: tuple[Path, ...] = (),
    ) -> None:
        super().__init__(bus, site)
        self.folders = folders
        self.user = user or getuser()
        self._requests = Requests(bus, site, self.user, role, self._refuse)

    async def subscribe(self) -> None:
        """Begin to listen; what is retained arrives at once."""
        await self._requests.subscribe()
        await super().subscribe()

    async def unsubscribe(self) -> None:
        """Listen no more."""
        await super().unsubscribe()
        await self._requests.unsubscribe()

    # -- runs and queues ---------------------------------------------------------------------------------------------

    async def start(
        self,
        file: Path,
        *,
        station: str | None = None,
        cell: Path | None = None,
        inputs: Mapping[str, str] | None = None,
        continue_run: str | None = None,
        campaign: str | None = None,
        consent: str = "",
        reason: str = "",
    ) -> Started:
        """Queue a protocol at a station, or at the first free one that can run it; its files are read here.

        Args:
            consent: who takes it upon themselves, and why, that only software protects the cell; needed where so.
        """
        host, plain = self._only_host() if station is None else self._route(station)
        origin = await asyncio.to_thread(_origin, file, self.folders)
        action = {"do": "start", **self._files(file, cell), "inputs": dict(inputs or {}), "campaign": campaign}
        named = {"station": None if station is None else plain, "continue_run": continue_run, "consent": consent}
        action["origin"] = origin
        return await self._ask(host, {**action, **named}, Started, reason)

    async def unqueue(self, run: str, reason: str = "") -> None:
        """Take a waiting run out of its queue."""
        await self._command("unqueue", run, reason, key="run")

    async def pause(self, target: str, reason: str = "") -> None:
        """Open the circuit and freeze the pressure until somebody resumes."""
        await self._command("pause", target, reason)

    async def resume(self, target: str, reason: str = "") -> None:
        """Go on with what was paused."""
        await self._command("resume", target, reason)

    async def skip(self, target: str, reason: str = "") -> None:
        """End the present step and go on with the next one."""
        await self._command("skip", target, reason)

    async def stop(self, target: str, reason: str = "") -> None:
        """End the run; its station goes to its safe state."""
        await self._command("stop", target, reason)

    async def note(self, target: str, text: str) -> None:
        """Write a note into a running run's events."""
        await self._command("note", target, "", text=text)

    async def change(self, target: str, inputs: Mapping[str, str], reason: str = "") -> Changed:
        """Revise inputs of a running plan, from its next step on; return all that hold then."""
        host, plain = self._route(target)
        return await self._ask(host, {"do": "change", "target": plain, "inputs": dict(inputs)}, Changed, reason)

    async def answer(self, target: str, answer: str) -> None:
        """Answer the prompt that a run waits for."""
        await self._command("answer", target, "", answer=answer)

    async def acknowledge(self, station: str, alarms: Sequence[str] = (), reason: str = "") -> Acknowledged:
        """Acknowledge alarms of a station, all where none is named; a latched trip is released by that."""
        host, plain = self._route(station)
        action = {"do": "acknowledge", "station": plain, "alarms": tuple(alarms)}
        return await self._ask(host, action, Acknowledged, reason)

    # -- all stations ------------------------------------------------------------------------------------------------

    async def pause_all(self, reason: str = "") -> Confirmed:
        """Pause all stations."""
        return await self._everywhere("pause_all", reason)

    async def estop(self, reason: str = "") -> Confirmed:
        """Stop all stations and make them safe, latched until a reset. No safety function: use the hardware first."""
        return await self._everywhere("estop", reason)

    async def reset(self, reason: str = "") -> Confirmed:
        """Release what `estop` has latched."""
        return await self._everywhere("reset", reason)

    # -- questions ---------------------------------------------------------------------------------------------------

    async def check(
        self,
        file: Path,
        *,
        station: str | None = None,
        cell: Path | None = None,
        inputs: Mapping[str, str] | None = None,
    ) -> Checked:
        """Check a protocol against a station; nothing is started."""
        host, plain = self._only_host() if station is None else self._route(station)
        named = {"station": None if station is None else plain, "inputs": dict(inputs or {})}
        return await self._ask(host, {"do": "check", **self._files(file, cell), **named}, Checked)

    async def history(
        self,
        run: str,
        columns: Sequence[str],
        *,
        x: Literal["test_time_second", "step_time_second", "cycle_count"] = "test_time_second",
        start: float | None = None,
        end: float | None = None,
        buckets: int = 400,
    ) -> Bucketed:
        """Return the extremes of columns in buckets over `x`, for a plot of a run that is stored."""
        host, plain = self._route(run)
        action = {"do": "history", "run": plain, "columns": list(columns), "x": x}
        return await self._ask(host, {**action, "start": start, "end": end, "buckets": buckets}, Bucketed)

    async def cycles(self, run: str, after: int = -1, limit: int = 500) -> CyclePage:
        """Return one page of a run's cycles: those behind cycle number `after`."""
        host, plain = self._route(run)
        return await self._ask(host, {"do": "cycles", "run": plain, "after": after, "limit": limit}, CyclePage)

    async def past_events(self, run: str | None = None, limit: int = 100) -> EventPage:
        """Return the newest stored events of a run, or of all runs."""
        host, plain = self._only_host() if run is None else self._route(run)
        return await self._ask(host, {"do": "events", "run": None if run is None else plain, "limit": limit}, EventPage)

    async def runs(self, limit: int = 50) -> RunPage:
        """Return the newest stored runs."""
        host, _ = self._only_host()
        return await self._ask(host, {"do": "runs", "limit": limit}, RunPage)

    # -- to whom and how ---------------------------------------------------------------------------------------------

    def _files(self, file: Path, cell: Path | None) -> dict[str, object]:
        """Return what is sent of a protocol and of a cell's file."""
        files: dict[str, object] = {"file": str(file), "protocol": _protocol(file, self.folders)}
        return files if cell is None else {**files, "cell_file": str(cell), "cell": _text(cell)}

    async def _command(self, do: str, target: str, reason: str, *, key: str = "target", **more: object) -> None:
        host, plain = self._route(target)
        await self._tell_daemon(host, {"do": do, key: plain, **more}, reason, PATIENCE)

    async def _ask(self, host: str, action: Mapping[str, object], answer: type[M], reason: str = "") -> M:
        data = await self._tell_daemon(host, action, reason, PATIENCE)
        return _read(answer, data, host)

    async def _tell_daemon(
        self, host: str, action: Mapping[str, object], reason: str, patience: float
    ) -> dict[str, Any]:
        try:
            checked = _ACTION.validate_python(action)
            return await self._requests.ask(host, checked, reason, patience)
        except ValidationError as error:
            raise CommandRefused(
                f"This {action['do']} cannot be sent: {explain(error)}.", "Correct it and try again.", 2
            ) from None

    async def _everywhere(self, do: str, reason: str) -> Confirmed:
        """Tell all daemons at the same time; what one of them does not confirm stands under its host's name."""
        if not self.hosts:
            raise self._nobody()

        async def tell(host: str) -> dict[str, list[str]] | LabctlError:
            if host not in self.hosts:
                return NoDaemon(f"The daemon on {host} is not alive: its stations were not reached.", START_IT)
            try:
                return _read(
                    Confirmed, await self._tell_daemon(host, {"do": do}, reason, PATIENCE_TO_BE_SAFE), host
                ).stations
            except LabctlError as error:
                return error

        hosts = sorted(self.daemons)
        answers = dict(zip(hosts, await asyncio.gather(*map(tell, hosts)), strict=True))
        if len(hosts) == 1 and isinstance(answer := answers[hosts[0]], LabctlError):
            raise answer
        confirmed: dict[str, list[str]] = {}
        for host, answer in answers.items():
            if isinstance(answer, LabctlError):
                confirmed[host] = [str(answer)]
            else:
                confirmed |= {self._names.get((host, name), name): said for name, said in answer.items()}
        return Confirmed(stations=confirmed)

    def _route(self, target: str) -> tuple[str, str]:
        """Return the host of the daemon that has a target, and the target as that daemon calls it."""
        host, slash, plain = target.partition("/")
        if slash and host in self.daemons:
            return self._connected(host, plain), plain
        owners = self.owners(target)
        if len(owners) > 1:
            raise CommandRefused(
                f'Several daemons have "{target}": {", ".join(owners)}.', f"Say whose: {owners[0]}/{target}.", 2
            )
        return (self._connected(owners[0], target) if owners else self._only_host(target)[0]), target

    def _connected(self, host: str, target: str) -> str:
        if host not in self.hosts:
            raise NoDaemon(f'The daemon on {host}, which has "{target}", is not alive.', START_IT)
        return host

    def _only_host(self, target: str = "STATION") -> tuple[str, str]:
        """Return the only daemon there is."""
        if not self.hosts:
            raise self._nobody()
        if len(self.hosts) > 1:
            raise CommandRefused(
                f"Site {self.site} has several daemons ({', '.join(self.hosts)}), and none of them is named here.",
                f"Say which one: {self.hosts[0]}/{target}.",
                2,
            )
        return self.hosts[0], ""

    def _nobody(self) -> NoDaemon:
        return NoDaemon(f"No daemon of site {self.site} is alive. {self.trouble}".rstrip(), START_IT)


def _read(answer: type[M], data: dict[str, Any], host: str) -> M:
    try:
        return answer.model_validate(data)
    except ValidationError as error:
        raise LabctlError(
            f"The daemon on {host} answered what this version does not understand: {explain(error)}.",
            "Use the same version of labctl here and there.",
        ) from None


def _protocol(path: Path, folders: tuple[Path, ...]) -> str:
    """Return the text of a protocol with the files that it names; the daemon says what else is wrong with it."""
    from labctl.protocol.attached import attach  # takes a moment that a command about a station need not wait
    from labctl.protocol.source import parse

    text = _text(path)
    try:
        source = parse(str(path), text, ProtocolError)
    except ProtocolError:
        return text
    return attach(source, path.parent, lambda: folders).text


def _origin(path: Path, folders: tuple[Path, ...]) -> dict[str, object]:
    """Return where a protocol came from."""
    from labctl.protocol.provenance import provenance_of

    return asdict(provenance_of(path, folders))


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except Unreadable as error:
        place = Place(str(path), error.line, 1)
        raise ProtocolError((Finding("file", place, error.reason, error.remedy),)) from None
