"""One channel of the cycler as its wire sees it: commands, program memory, and the ring of records."""

import math
from collections import deque
from collections.abc import Callable, Iterator

from drivers.simulated_cycler.analyser import Analyser
from drivers.simulated_cycler.arguments import Refusal, numbers
from drivers.simulated_cycler.driver import CHANNELS, FIRMWARE, MODEL, VENDOR, SimulatedCycler
from drivers.simulated_cycler.execution import CURRENT_RESOLUTION, VOLTAGE_RESOLUTION, Execution
from drivers.simulated_cycler.language import (
    HIGHEST,
    LEAST_CURRENT,
    LOWEST,
    MOST_CURRENT,
    MOST_LINES,
    LanguageError,
    parse,
)
from drivers.simulated_cycler.records import PAGE, Entry, page
from drivers.simulated_cycler.wire import TERMINATOR, framed, unframed
from labctl.program import ProgramState
from labctl.sim.bench import Bench
from labctl.sim.cell import Open, VoltageSource

RING = 20_000
"""Records that a channel has room for."""
SERIAL, ANOTHER = "SC16-0001", "SC16-0002"
BUSY = (ProgramState.RUNNING, ProgramState.PAUSED)
LONGEST_LINE = 4096


class Simulator:
    """One channel, whose leads go to the bench's cell; a mainframe serves several of them at one address."""

    def __init__(self, bench: Bench, port: str, options: SimulatedCycler.Options) -> None:
        self.channel = options.channel
        self._bench = bench
        self._serial = SERIAL
        self._trouble = bench.trouble(port)
        self._voltage = self._trouble.quantity(lambda: bench.cell.voltage)
        self._current = self._trouble.quantity(lambda: bench.cell.current, drifts=False)
        self._analyser = Analyser(bench, port, self._trouble)
        self._buffer = bytearray()
        self._window: tuple[float, float, float] | None = None
        self._lines: list[str] = []
        self._token = ""
        self._execution: Execution | None = None
        self._ring: deque[Entry] = deque(maxlen=RING)
        self._commands: dict[str, Callable[[str], str]] = {
            "IDN?": self._identify,
            "WINDOW": self._set_window,
            "DRIVE": self._drive,
            "REST": self._rest,
            "OFF": self._off,
            "READ?": self._read,
            "FREQUENCIES": self._analyser.store,
            "SPECTRUM": self._begin_spectrum,
            "SPECTRUM?": self._analyser.report,
            "ERASE": self._erase,
            "LINE": self._store,
            "LINE?": self._recall,
            "START": self._start,
            "STATUS?": self._status,
            "RECORDS?": self._records,
            "PAUSE": self._pause,
            "CONTINUE": self._go_on,
            "SKIP": self._skip,
            "STOP": self._stop,
        }
        bench.attach(self)

    # -- wire ------------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> bytes:
        """Take bytes of the one client of this channel alone, and answer every whole line."""
        self._buffer += data
        return b"".join(self.answer(request) for _, request in self.requests(self._buffer))

    def reset_line(self) -> None:
        """Forget half a line."""
        self._buffer.clear()

    def restart(self, *, other: bool = False) -> None:
        """Come back from a power cut, after which it knows nothing; `other`: with another serial number."""
        self._serial = ANOTHER if other else SERIAL
        self._buffer.clear()
        self._window, self._execution, self._token = None, None, ""
        self._analyser.forget()
        self._lines.clear()
        self._ring.clear()
        self._bench.cell.drive(Open())

    def requests(self, buffer: bytearray) -> Iterator[tuple[int | None, bytes]]:
        """Take whole lines from a client's buffer, each with the channel that it begins with."""
        while (end := buffer.find(TERMINATOR)) >= 0:
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            channel = line.split(b" ", 1)[0]
            yield (int(channel) if channel.isdigit() and len(channel) < 3 else None), line
        if len(buffer) > LONGEST_LINE:
            buffer.clear()

    def answer(self, request: bytes) -> bytes:
        """Answer a line with one line: the channel, the command, and what it says of itself, or ERROR and why."""
        try:
            channel, _, rest = unframed(request).partition(" ")
        except ValueError as error:
            return framed(f"0 ERROR {error}")
        command, _, arguments = rest.partition(" ")
        if channel != str(self.channel):
            return framed(f"{channel[:2]} ERROR there is no such channel among the {CHANNELS}, or nothing behind it")
        if command not in self._commands:
            return framed(f"{channel} ERROR there is no such command")
        if not command.endswith("?"):
            self._analyser.end(f"by {command}")
        try:
            return framed(f"{channel} {command} {self._commands[command](arguments)}".rstrip())
        except Refusal as refusal:
            return framed(f"{channel} ERROR {refusal}")

    # -- time ------------------------------------------------------------------------------------------------------

    def next_event(self) -> float:
        """Return the lab time of the next event of program or spectrum."""
        program = math.inf if self._execution is None else self._execution.next_event()
        return min(program, self._analyser.next_event())

    def advance_to(self, time: float) -> None:
        """Execute program and spectrum, whoever is connected."""
        if self._execution is not None:
            self._execution.advance_to(time)
        self._analyser.advance_to(time)

    # -- commands of a host ----------------------------------------------------------------------------------------

    def _identify(self, _: str) -> str:
        return f"{VENDOR},{MODEL},{self._serial},{FIRMWARE}"

    def _set_window(self, arguments: str) -> str:
        low, high, current = numbers(arguments, 3)
        if not LOWEST <= low < high <= HIGHEST or not 0.0 < current <= MOST_CURRENT:
            raise Refusal(f"a window lies within {LOWEST:g} V to {HIGHEST:g} V and {MOST_CURRENT:g} A")
        self._window = (low, high, current)
        return arguments

    def _drive(self, arguments: str) -> str:
        current, voltage = numbers(arguments, 2)
        low, high, most = self._commandable()
        if not low <= voltage <= high or not LEAST_CURRENT <= abs(current) <= most:
            raise Refusal(f"outside the window of {low:g} V to {high:g} V and {LEAST_CURRENT:g} A to {most:g} A")
        self._bench.cell.drive(VoltageSource(voltage, abs(current)))
        return arguments

    def _rest(self, _: str) -> str:
        self._commandable()
        self._bench.cell.drive(Open())
        return ""

    def _off(self, _: str) -> str:
        if self._state in BUSY:
            self._running(*BUSY).stop()
        self._bench.cell.drive(Open())
        return ""

    def _begin_spectrum(self, arguments: str) -> str:
        return self._analyser.begin(arguments, self._commandable())

    def _read(self, _: str) -> str:
        voltage = _converted(self._voltage(), VOLTAGE_RESOLUTION)
        current = _converted(self._current(), CURRENT_RESOLUTION)
        if self._trouble.wrong_unit:
            voltage, current = 1e3 * voltage, 1e3 * current
        how = {"current": "CC", "voltage": "CV", None: "OFF"}[self._bench.cell.limiting]
        return f"{how} {voltage:.5f} {current:.8f}"

    def _commandable(self) -> tuple[float, float, float]:
        """Return the window; the host commands while no program does, and none has tripped."""
        if self._state in BUSY:
            raise Refusal("a program is being executed; STOP it first")
        if self._execution is not None and self._state is ProgramState.TRIPPED:
            raise Refusal(f"tripped: {self._execution.reason}; ERASE first")
        if self._window is None:
            raise Refusal("no WINDOW was set")
        return self._window

    # -- programs --------------------------------------------------------------------------------------------------

    @property
    def _state(self) -> ProgramState:
        return ProgramState.NONE if self._execution is None else self._execution.state

    def _erase(self, _: str) -> str:
        if self._state in BUSY:
            raise Refusal("a program is being executed; STOP it first")
        self._execution, self._token = None, ""
        self._lines.clear()
        self._ring.clear()
        return ""

    def _store(self, arguments: str) -> str:
        number, _, text = arguments.partition(" ")
        if self._state is not ProgramState.NONE:
            raise Refusal("the program in memory is not changed; ERASE it first")
        if number != str(len(self._lines) + 1) or len(self._lines) == MOST_LINES:
            raise Refusal(f"the next line is number {len(self._lines) + 1} of at most {MOST_LINES}")
        self._lines.append(text)
        return number

    def _recall(self, arguments: str) -> str:
        if not arguments.isdecimal() or not 1 <= int(arguments) <= len(self._lines):
            raise Refusal(f"there are {len(self._lines)} lines")
        return f"{arguments} {self._lines[int(arguments) - 1]}"

    def _start(self, token: str) -> str:
        if self._state is not ProgramState.NONE:
            raise Refusal("a program is executed once; ERASE it and upload again")
        if not token or " " in token:
            raise Refusal("a token is one word")
        try:
            listing = parse("\n".join(self._lines))
        except LanguageError as error:
            raise Refusal(str(error)) from None
        self._token = token
        self._execution = Execution(listing, self._bench.cell, self._ring.append)
        return token

    def _status(self, _: str) -> str:
        execution = self._execution
        if execution is None:
            return "none - 0 0 0 0"
        oldest = self._ring[0].number if self._ring else 0
        words = (execution.records & 0xFFFF, execution.records >> 16, oldest & 0xFFFF, oldest >> 16)
        return f"{execution.state} {self._token} {' '.join(map(str, words))} {execution.reason}".rstrip()

    def _records(self, arguments: str) -> str:
        """Return the records behind a number, whose low and high word are the arguments."""
        low, _, high = arguments.partition(" ")
        if not low.isdecimal() or not high.isdecimal():
            raise Refusal("give the low and the high word of a number")
        after = int(low) + (int(high) << 16)
        if not self._ring:
            return page(())
        oldest = self._ring[0].number
        if after < oldest - 1:
            raise Refusal(f"records up to number {oldest - 1} have been overwritten")
        return page([self._ring[k] for k in range(after - oldest + 1, min(after - oldest + 1 + PAGE, len(self._ring)))])

    def _pause(self, _: str) -> str:
        execution = self._running(*BUSY)
        if execution.state is ProgramState.RUNNING:
            execution.pause()
        return ""

    def _go_on(self, _: str) -> str:
        execution = self._running(*BUSY)
        if execution.state is ProgramState.PAUSED:
            execution.go_on()
        return ""

    def _skip(self, _: str) -> str:
        self._running(ProgramState.RUNNING).skip()
        return ""

    def _stop(self, _: str) -> str:
        if self._state in BUSY:
            self._running(*BUSY).stop()
        return ""

    def _running(self, *states: ProgramState) -> Execution:
        execution = self._execution
        if execution is None or execution.state not in states:
            raise Refusal(f"the program is {self._state}, not {' or '.join(states)}")
        return execution


def _converted(value: float, resolution: float) -> float:
    """Digitise; what is no finite number stays what it is."""
    return round(value / resolution) * resolution if math.isfinite(value) else value
