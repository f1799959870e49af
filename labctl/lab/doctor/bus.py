"""Whether the broker answers and carries a message back, and which daemon speaks on it."""

import asyncio
import uuid
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from labctl import __version__
from labctl.api import LabState
from labctl.bus.address import Address
from labctl.bus.client import MqttBus
from labctl.bus.tls import expiry
from labctl.bus.topics import echo, every_process_state
from labctl.clock import host_monotonic, host_sleep, host_unix
from labctl.config import Config
from labctl.errors import LabctlError, StorageError
from labctl.filelock import is_locked
from labctl.lab.doctor.check import Check, error, fine, warning
from labctl.lab.locks import daemon_lock

PATIENCE = 5.0
"""Seconds that a broker has for a connection and a round trip."""
FEWEST_DAYS = 60.0
"""Days that a certificate should still be good for; `labctl site init` renews one that is not."""
RETAINED_PATIENCE = 0.5
"""Seconds after a round trip within which a retained state of a daemon has come."""


def daemon_runs(folder: Path) -> bool:
    """Whether a living daemon owns the laboratory with this data folder."""
    return is_locked(daemon_lock(folder))


async def bus(config: Config) -> list[Check]:
    """Connect, send a message to ourselves, and listen for daemons."""
    folder = config.storage.folder
    owned = daemon_runs(folder)
    embedded = config.bus.embedded
    file = folder / "run" / "broker" / "broker.json"
    if embedded and not owned:
        return [
            fine("broker", "embedded: a daemon or a run starts one when it needs it"),
            warning("daemon", "none is running", "labctl daemon, or systemctl start labctl"),
        ]
    try:
        address = Address.read(file) if embedded else Address.of(config.bus, config.folder)
        client = MqttBus(address)
    except LabctlError as refusal:
        return [error("broker", refusal.sentence, refusal.remedy)]
    return await _ask(client, address, config.lab.site, str(file) if embedded else "[bus] in config.toml", owned=owned)


async def _ask(client: MqttBus, address: Address, site: str, where: str, *, owned: bool) -> list[Check]:
    mine = echo(site, address.username or "anybody", uuid.uuid4().hex[:8])
    back = asyncio.Event()
    daemons: dict[str, LabState] = {}

    def hear(_: str, payload: bytes) -> None:
        with suppress(ValidationError):  # recorders have states, too, of another kind
            state = LabState.model_validate_json(payload)
            daemons[state.host] = state

    serving = asyncio.create_task(client.serve(), name="bus")
    try:
        await client.subscribe(every_process_state(site), hear)
        await client.subscribe(mine, lambda topic, payload: back.set())
        async with asyncio.timeout(PATIENCE):
            await client.connected()
            begin = host_monotonic()
            await client.publish(mine, b"{}")
            await back.wait()
        took = host_monotonic() - begin
        await _retained(daemons)
    except (TimeoutError, StorageError):
        remedy = f"Check that it runs, and address, user and password: {where}."
        return [error("broker", client.trouble or f"{address} carries no message back", remedy)]
    finally:
        serving.cancel()
        await asyncio.wait([serving])
    said = [fine("broker", f"{address} carries a message back in {took * 1e3:.1f} ms")]
    return said + await asyncio.to_thread(_certificate, address) + _daemons(daemons, owned=owned)


def _certificate(address: Address) -> list[Check]:
    """Say how long the broker's certificate is good; nobody gets in on the day after."""
    try:
        until = expiry(address, PATIENCE)
    except OSError as failure:
        return [warning("certificate", f"{address} did not show its own again: {failure}", "Run the doctor again.")]
    if until is None:
        return []
    days = (until - host_unix()) / 86400.0
    found = f"that of {address} is good for {days:.0f} days"
    if days < FEWEST_DAYS:
        remedy = "On its machine: labctl site init with the same folder, then systemctl reload mosquitto."
        return [warning("certificate", found, remedy)]
    return [fine("certificate", found)]


async def _retained(daemons: dict[str, LabState]) -> None:
    """Wait for the retained state of a daemon, which comes right after the subscription where there is one."""
    deadline = host_monotonic() + RETAINED_PATIENCE
    while not daemons and host_monotonic() < deadline:
        await host_sleep(0.01)


def _daemons(daemons: dict[str, LabState], *, owned: bool) -> list[Check]:
    if not daemons:
        if owned:
            return [error("daemon", "one holds this laboratory, but says nothing on the bus", "Look at its log.")]
        return [warning("daemon", "none is running", "labctl daemon, or systemctl start labctl")]
    return [_daemon(state) for state in daemons.values()]


def _daemon(state: LabState) -> Check:
    found = f"{state.version} on {state.host}, process {state.pid}, stations {', '.join(state.stations)}"
    if state.version != __version__:
        return warning("daemon", f"{found}; this is {__version__}", "Restart it: systemctl restart labctl")
    if state.recorder:
        return error("daemon", f"{found}; its recorder: {state.recorder}", "See database and disk below.")
    return fine("daemon", found)
