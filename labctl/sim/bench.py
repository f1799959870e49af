"""The bench: one cell in one rig in one thermostat, and the simulated instruments around it, all at one lab time.

A simulated instrument is a byte-level state machine over the bench: the host advances the bench to the lab time of
the exchange, then hands the bytes over. Nothing here sleeps, reads a clock or draws from a shared random generator.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Protocol, Self, runtime_checkable

from pydantic import Discriminator, Tag

from labctl.fields import Parameters
from labctl.sim.cell import Cell
from labctl.sim.presets import CellChoice
from labctl.sim.rig import Press, PressParameters, Rig, RigParameters, ScrewRig, Side
from labctl.sim.room import Room, RoomParameters
from labctl.sim.schedule import HAPPENS_TO, Scheduled
from labctl.sim.sensor import Sensor
from labctl.sim.trouble import Mishaps, Trouble

COUPLING_PERIOD = 10.0
"""Seconds between the instants at which pressure and temperature act back on the cell, and force on creep.

They are multiples of the period in lab time, so that it does not matter in which pieces a bench is advanced. While
neither rig nor room can change, as under a press at ambient temperature, there are none.
"""

PORTS = {
    "cycler": "cell",
    "thermostat": "bath",
    "pressure_rig.negative": "screw",
    "pressure_rig.positive": "far screw",
    "hand_tool.negative": "hand negative",
    "hand_tool.positive": "hand positive",
    "gas_regulator.negative": "gas negative",
    "gas_regulator.positive": "gas positive",
}
"""What a simulated instrument is attached to; a load cell is attached to its side."""


def port_of(instrument: str) -> str:
    """Return what an instrument of a station ("cycler", "load_cell.negative") is attached to."""
    return PORTS.get(instrument, instrument.partition(".")[2])


def screw_side(port: str) -> Side:
    """Return the side of the cell that the screw at a port presses on."""
    return "positive" if port == PORTS["pressure_rig.positive"] else "negative"


class Part(Protocol):
    """Something on the bench that changes by itself: a servo on its way, a watchdog about to bite, a bath heating."""

    def next_event(self) -> float:
        """Lab time of its next discontinuity (inf: none); the bench stops there so that physics stays exact."""

    def advance_to(self, time: float) -> None:
        """Bring it to a lab time, never beyond its next event; the same instant twice changes nothing."""


class SimulatedInstrument(Protocol):
    """The instrument as its wire sees it. Constructed as `Simulator(bench, port, options)`.

    `port` names what it is attached to ("cell", "negative", "positive", "bath", and the screw of the negative side,
    "screw", or of the other one, "far screw"); `options` is the driver's
    validated Options. It may call `bench.attach(part)` for what moves by itself, and measures through
    `bench.trouble(port)`, so that faults act on what it feels.
    """

    def receive(self, data: bytes) -> bytes:
        """Take bytes that came over the wire, at the bench's present time, and return what goes back (maybe nothing).

        Bytes may come in any pieces: incomplete commands are kept for the next call.
        """

    def reset_line(self) -> None:
        """Forget a half-received command: a client has (re)connected."""

    def restart(self, *, other: bool = False) -> None:
        """Lose power and get it back; `other`: from now on it is another one of its kind, with its own identity."""


@runtime_checkable
class ChannelSimulator(SimulatedInstrument, Protocol):
    """One channel of an instrument that has several behind one address; each request names its channel.

    Attributes:
        channel: its number, as requests name it.
    """

    channel: int

    def requests(self, buffer: bytearray) -> Iterable[tuple[int | None, bytes]]:
        """Take the whole requests from the front of a client's buffer, each with the channel it names (None: none)."""

    def answer(self, request: bytes) -> bytes:
        """Answer one request at the bench's present time, also one that names another channel or none."""


SimulatorFactory = Any


def _rig_kind(parameters: object) -> object:
    return parameters.get("kind", "screw") if isinstance(parameters, dict) else getattr(parameters, "kind", None)


class BenchParameters(Parameters):
    """What a station's simulation consists of; `[station.X.simulation]` of config.toml. A rig is a screw or a press."""

    cell: CellChoice = CellChoice()
    rig: Annotated[
        Annotated[RigParameters, Tag("screw")] | Annotated[PressParameters, Tag("press")],
        Discriminator(
            _rig_kind,
            custom_error_type="rig_kind",
            custom_error_message='a simulated rig is of kind "screw" (the default) or "press"',
        ),
    ] = RigParameters()
    room: RoomParameters = RoomParameters()


class Bench:
    """A cell, its rig and its room.

    Attributes:
        time: lab time in seconds that everything on the bench has reached.
        seed: decides noise and scatter; the same seed is the same bench.

    Args:
        faults: what goes wrong, and when.
    """

    def __init__(self, seed: int, cell: Cell, rig: Rig, room: Room, faults: Sequence[Scheduled] = ()) -> None:
        self.time = 0.0
        self.seed = seed
        self.cell = cell
        self.rig = rig
        self.room = room
        self._parts: list[Part] = []
        self._troubles: dict[str, Trouble] = {}
        self._couple()
        self._schedule(faults)

    @classmethod
    def of(cls, parameters: BenchParameters, seed: int, faults: Sequence[Scheduled] = ()) -> Self:
        """Assemble a bench at lab time zero: fresh discharged cell, loose screw, everything at ambient temperature.

        Raises:
            UnfitScript: there is nothing in this rig to which a fault could happen.
        """
        cell = Cell(parameters.cell.parameters())
        rig: Rig
        if isinstance(parameters.rig, PressParameters):
            rig = Press(parameters.rig)
        else:
            rig = ScrewRig(parameters.rig, seed, cell.growth)
        return cls(seed, cell, rig, Room(parameters.room), faults)

    def attach(self, part: Part) -> None:
        """Let a part take part in the passing of time; at one instant parts act in the order of attachment."""
        self._parts.append(part)

    def _schedule(self, faults: Sequence[Scheduled]) -> None:
        """Let faults happen before any other part acts: at one instant, instruments see what has happened."""
        mishaps = [fault for fault in faults if fault.kind in HAPPENS_TO]
        parts: list[Part] = [Mishaps(mishaps, self.cell, self.rig, self.room)] if mishaps else []
        for instrument in {fault.instrument: None for fault in faults if fault.kind not in HAPPENS_TO}:
            own = [fault for fault in faults if fault.instrument == instrument]
            self._troubles[port_of(instrument)] = trouble = Trouble(own, lambda: self.time)
            parts.append(trouble)
        for part in parts:
            self.attach(part)
            part.advance_to(self.time)

    def trouble(self, port: str) -> Trouble:
        """Return what is wrong with the instrument that is attached to a port: nothing, where no script says so."""
        return self._troubles.get(port) or Trouble((), lambda: self.time)

    def sensor(
        self,
        name: str,
        *,
        offset: float = 0.0,
        gain_error: float = 0.0,
        drift_per_day: float = 0.0,
        noise: float = 0.0,
        now: Callable[[], float] | None = None,
    ) -> Sensor:
        """Make a sensor with these errors, in the unit of what it reads; see Sensor."""
        return Sensor(
            now or (lambda: self.time),
            self.seed,
            name,
            offset=offset,
            gain_error=gain_error,
            drift_per_day=drift_per_day,
            noise=noise,
        )

    def advance_to(self, time: float) -> None:
        """Bring everything to a lab time (s), stopping at each event of a part and at each coupling instant."""
        if time < self.time:
            raise ValueError(f"lab time runs forward: the bench is at {self.time!r} s and was asked for {time!r} s")
        while self.time < time:
            coupling = self._next_coupling()
            instant = min(time, coupling)
            for part in self._parts:
                instant = min(instant, part.next_event())
            # A part whose event is due now acts without time passing.
            instant = max(instant, self.time)
            self.cell.advance_to(instant)
            self.room.advance_to(instant)
            self.rig.advance_to(instant)
            self.time = instant
            for part in self._parts:
                part.advance_to(instant)
                if part.next_event() <= instant:
                    raise RuntimeError(f"{part!r} stands still at its event of {instant!r} s: time could never pass it")
            if instant == coupling:
                self._couple()

    def _next_coupling(self) -> float:
        if self.rig.still and self.room.still:
            return math.inf
        return (math.floor(self.time / COUPLING_PERIOD) + 1) * COUPLING_PERIOD

    def _couple(self) -> None:
        self.rig.settle()
        self.cell.set_conditions(
            negative_pressure=self.rig.force("negative") / self.rig.area,
            positive_pressure=self.rig.force("positive") / self.rig.area,
            temperature=self.room.cell,
        )
