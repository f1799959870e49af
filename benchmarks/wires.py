"""A run over simulated wires, the same exchanges on bare wires, and the same run over memory links.

The run is a step of pressure and a charge on station A1 of config.toml, cycler and load cells polled at 1 s, at the
pace "max": five instruments behind four drivers, one on TCP and four on pseudo-terminals, in a process of their own.

A first run, not timed, writes down every message in order. Bare wires then means: PyVISA and pyserial called straight
and one after the other in one thread, the same messages to the same simulators, each reply awaited. No lab time passes
there, so the simulators compute no physics either; the second bare figure also tells them the time, as the run does.

A run counts from its first record to the commit of its last one, a replay from its first message to its last reply.
"""

import asyncio
import os
import socket
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar, cast
from unittest.mock import patch

import pyvisa
import serial
from pyvisa.resources import MessageBasedResource

from benchmarks.report import Figure, Goal, Report, options, ratio, run
from labctl.clock import host_monotonic
from labctl.config import Config, load
from labctl.engine.operator import DeclaredOperator
from labctl.instrument import SerialWire, VisaWire
from labctl.lab.abilities import abilities
from labctl.lab.experiment import Experiment, Running, conduct
from labctl.lab.laboratory import Pace
from labctl.lab.simulators import Controller, Served
from labctl.link.serial_line import SerialLink
from labctl.link.visa import VisaLink
from labctl.link.worker import BlockingLink
from labctl.protocol import bind
from labctl.protocol import load as load_protocol
from labctl.reading import RunState

CONFIG = Path(__file__).parent.parent / "config.toml"
STATION = "A1"
SEED = 1
ROUNDS = 3
HOURS = 2.0
PROTOCOL = """
schema = "1"
[protocol]
name = "wires"
[cell]
kind = "full"
bore = "10 mm"
positive = {{ active_loading = "14 mg/cm2", diameter = "10 mm" }}
negative = {{ material = "Li", potential = "0 V vs Li" }}
[limits]
voltage     = ["2.4 V", "4.4 V"]
current     = "1 mA"
capacity    = "300 mAh/g"
temperature = ["15 degC", "45 degC"]
[limits.pressure]
negative = ["0 MPa", "4 MPa"]
positive = ["0 MPa", "0.5 MPa"]
[record]
interval = "60 s"
voltage  = "5 mV"
[[step]]
pressure = {{ negative = "2.5 MPa", positive = "0.2 MPa", ramp = "0.1 MPa/s" }}
until    = "stable within 5 % for 60 s"
timeout  = "20 min"
[[step]]
charge = "0.2 mA/cm2"
until  = "time >= {minutes:g} min"
"""
TIME = "time"
"""What stands for an instrument where a message tells the simulators the time."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a run, to an instrument or to the clock of its simulators."""

    to: str
    content: bytes
    answered: bool


Exchange = Callable[[Message], None]


# -- the run ---------------------------------------------------------------------------------------------------------


def seconds_of_run(folder: Path, config: Config, protocol: Path, *, in_memory: bool) -> float:
    """Run the protocol into a new database; return host seconds from its first record to the commit of its last."""
    plan = bind(load_protocol(protocol), abilities(config, STATION))
    pace = Pace(in_memory=in_memory, speed=None, seed=SEED)
    experiment = Experiment(config, CONFIG, STATION, plan, pace, folder / "lab.db", DeclaredOperator())
    moments: list[float] = []

    def started(running: Running) -> None:
        moments.append(host_monotonic())
        close = running.delivery.close

        async def close_and_look_at_the_clock(patience: float = 60.0) -> bool:
            complete = await close(patience)
            moments.append(host_monotonic())
            return complete

        running.delivery.close = close_and_look_at_the_clock  # type: ignore[method-assign]

    outcome = asyncio.run(conduct(experiment, started))
    if outcome.state is not RunState.COMPLETED:
        sys.exit(f"The run did not complete: {outcome.reason}")
    return moments[1] - moments[0]


@contextmanager
def written_down() -> Iterator[list[Message]]:
    """Note every message that goes over a wire while the block runs."""
    tape: list[Message] = []
    follow = Controller.follow

    async def noted_follow(controller: Controller, instant: float) -> None:
        tape.append(Message(TIME, b"%.9f\n" % instant, True))
        await follow(controller, instant)

    with (
        patch.object(Controller, "follow", noted_follow),
        patch.object(VisaLink, "transfer_blocking", noted(VisaLink.transfer_blocking, tape)),
        patch.object(SerialLink, "transfer_blocking", noted(SerialLink.transfer_blocking, tape)),
    ):
        yield tape


AnyLink = TypeVar("AnyLink", bound=BlockingLink)


def noted(
    transfer: Callable[[AnyLink, bytes, bool], bytes], tape: list[Message]
) -> Callable[[AnyLink, bytes, bool], bytes]:
    """Return a transfer that notes its message first."""

    def noted_transfer(link: AnyLink, message: bytes, reply: bool) -> bytes:
        tape.append(Message(link.name.partition(" at ")[0].removeprefix(f"{STATION}/"), message, reply))
        return transfer(link, message, reply)

    return noted_transfer


# -- the same on bare wires ------------------------------------------------------------------------------------------


def seconds_of_replay(config: Config, tape: list[Message]) -> float:
    """Send the messages one after the other, each reply awaited; return host seconds."""
    with ExitStack() as stack:
        served = stack.enter_context(simulators())
        exchange = {
            name: stack.enter_context(bare_wire(config, name, address)) for name, address in served.instruments.items()
        }
        if any(message.to == TIME for message in tape):
            assert served.control is not None
            exchange[TIME] = stack.enter_context(bare_clock(served.control))
        begin = host_monotonic()
        for message in tape:
            exchange[message.to](message)
        return host_monotonic() - begin


@contextmanager
def simulators() -> Iterator[Served]:
    """Serve the station in a process of its own."""
    command = [sys.executable, "-m", "labctl", "--config", str(CONFIG), "sim", "--station", STATION]
    with subprocess.Popen(
        [*command, "--seed", str(SEED), "--json", "--while-stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        yield Served.model_validate_json(process.stdout.readline())


@contextmanager
def bare_wire(config: Config, instrument: str, address: str) -> Iterator[Exchange]:
    wire = config.drivers[STATION, instrument][0].wire
    if isinstance(wire, VisaWire):
        with bare_visa(wire, address) as exchange:
            yield exchange
    else:
        with bare_serial(wire, address) as exchange:
            yield exchange


@contextmanager
def bare_visa(wire: VisaWire, address: str) -> Iterator[Exchange]:
    resource = cast("MessageBasedResource", pyvisa.ResourceManager("@py").open_resource(address))
    resource.timeout = wire.timeout * 1000
    resource.read_termination = wire.framing.terminator.decode("ascii")

    def exchange(message: Message) -> None:
        resource.write_raw(message.content)
        if message.answered:
            resource.read_raw()

    yield exchange
    resource.close()


@contextmanager
def bare_serial(wire: SerialWire, address: str) -> Iterator[Exchange]:
    with serial.Serial(address, wire.baudrate, timeout=wire.timeout) as port:

        def exchange(message: Message) -> None:
            port.write(message.content)
            received = bytearray()
            while message.answered and wire.framing.take(received) is None:
                piece = port.read(max(1, port.in_waiting))
                if not piece:
                    sys.exit(f"No reply to {message} on the bare wire.")
                received += piece

        yield exchange


@contextmanager
def bare_clock(control: str) -> Iterator[Exchange]:
    host, _, port = control.rpartition(":")
    with socket.create_connection((host, int(port))) as line, line.makefile("rb") as replies:
        zero = float(replies.readline())

        def exchange(message: Message) -> None:
            line.sendall(b"%.9f\n" % (zero + float(message.content)))
            replies.readline()

        yield exchange


# -- the measurement -------------------------------------------------------------------------------------------------


def measure(arguments: Namespace) -> Report:
    with TemporaryDirectory() as scratch:
        os.environ["LABCTL_DATA"] = scratch
        folder, config = Path(scratch), load(CONFIG)
        protocol = folder / "protocol.toml"
        protocol.write_text(PROTOCOL.format(minutes=60 * arguments.hours))
        with written_down() as tape:
            seconds_of_run(folder, config, protocol, in_memory=False)
        plain = [message for message in tape if message.to != TIME]
        seconds: dict[str, list[float]] = {"wires": [], "bare": [], "memory": [], "told": []}
        for _ in range(arguments.rounds):
            seconds["wires"].append(seconds_of_run(folder, config, protocol, in_memory=False))
            seconds["bare"].append(seconds_of_replay(config, plain))
            seconds["memory"].append(seconds_of_run(folder, config, protocol, in_memory=True))
            seconds["told"].append(seconds_of_replay(config, tape))
    over_wires = Figure("run over wires", "s", seconds["wires"])
    bare = Figure("bare wires", "s", seconds["bare"])
    told = Figure("bare wires, and the time told", "s", seconds["told"])
    memory = Figure("run over memory links", "s", seconds["memory"])
    return Report(
        "wires",
        [
            Figure("exchanges with instruments", "", [len(plain)]),
            Figure("times that the time was told", "", [len(tape) - len(plain)]),
            over_wires,
            bare,
            told,
            memory,
            ratio("run over wires / bare wires, and the time told", over_wires, told),
        ],
        [
            Goal(ratio("run over wires / bare wires", over_wires, bare), "at most", 3.0),
            Goal(ratio("run over memory links / run over wires", memory, over_wires), "at most", round(1 / 3, 3)),
        ],
    )


if __name__ == "__main__":
    parser = options("A run over wires, bare wires, and memory links.", ROUNDS)
    parser.add_argument("--hours", type=float, default=HOURS, help=f"of charging, in lab time ({HOURS:g})")
    run(parser, measure)
