"""The embedded broker: iotcore on 127.0.0.1, with credentials that only this user can read.

iotcore runs rumqttd in a child process that ends with its parent. It keeps nothing across a restart; the journal and
the recorder's watermark do not ask it to.
"""

import asyncio
import logging
import secrets
import socket
from pathlib import Path

import iotcore
import orjson

from labctl.bus.address import Address
from labctl.bus.codec import PAYLOAD_LIMIT
from labctl.clock import host_sleep, host_sleep_blocking
from labctl.errors import StorageError
from labctl.private import write_private

_log = logging.getLogger(__name__)

HOST = "127.0.0.1"
_ATTEMPTS = 5
_PAUSE = 0.1
_SUPERVISION_PERIOD = 0.2
_OVERHEAD = 1024
"""Topic and framing of a packet, on top of its payload."""

_CONFIGURATION = """\
id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v4.1]
name = "labctl"
listen = "{host}:{port}"
next_connection_delay_ms = 1
[v4.1.connections]
connection_timeout_ms = 60000
max_payload_size = {payload}
max_inflight_count = 100
dynamic_filters = true
[v4.1.connections.auth]
{username} = "{password}"
"""


class Broker:
    """One embedded broker, whose runtime file `broker.json` in `directory` tells its users where it is.

    Port and credentials belong to the directory: started again there, its users find it where it was.

    Args:
        directory: for the runtime file and the broker's own configuration, both readable by this user alone.
        port: None takes the one it had, or a free one.
    """

    def __init__(self, directory: Path, port: int | None = None) -> None:
        self._directory = directory
        known = Address.read(self.runtime_file) if self.runtime_file.exists() else None
        self._port = port if port is not None or known is None else known.port
        self._port_is_fixed = port is not None
        self._password = (known.password if known else None) or secrets.token_urlsafe(24)
        self._broker: iotcore.Broker | None = None

    @property
    def runtime_file(self) -> Path:
        """Address and credentials, for `Address.read`; it outlives the broker."""
        return self._directory / "broker.json"

    def start(self) -> Address:
        """Start and return the address; blocks until the broker listens. Raises StorageError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        for attempts_left in reversed(range(_ATTEMPTS)):
            may_move = not self._port_is_fixed and attempts_left == 0
            port = _free_port() if self._port is None or may_move else self._port
            try:
                return self._start_on(port)
            except (OSError, RuntimeError) as error:
                failure = error
            host_sleep_blocking(_PAUSE)  # a broker that was killed with its parent may still hold the port
        raise StorageError(
            f"The embedded broker did not start on {HOST}:{port}: {failure}.",
            "Choose another port, or configure the address of a broker that runs already.",
        )

    async def serve(self) -> None:
        """Start it again, on the same port, whenever it has died; stop it when cancelled.

        A broker that cannot be started is tried again: the journals keep what is measured meanwhile.
        """
        try:
            while True:
                if self._broker is None or not self._broker.is_running:
                    await self._start_in_thread()
                await host_sleep(_SUPERVISION_PERIOD)
        finally:
            self.stop()

    def stop(self) -> None:
        """Stop the broker."""
        if self._broker is not None:
            self._broker.stop()
            self._broker = None

    async def _start_in_thread(self) -> None:
        starting = asyncio.create_task(asyncio.to_thread(self.start))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait([starting])  # or it would start a broker that nobody stops
            raise
        except StorageError as error:
            _log.warning("%s", error.sentence)

    def _start_on(self, port: int) -> Address:
        address = Address(HOST, port, "labctl", self._password)
        configuration = self._directory / "broker.toml"
        text = _CONFIGURATION.format(
            host=HOST, port=port, payload=PAYLOAD_LIMIT + _OVERHEAD, username="labctl", password=self._password
        )
        write_private(configuration, text.encode())
        broker = iotcore.Broker(config_path=str(configuration))
        if self._broker is not None:
            self._broker.stop()
        broker.start()
        self._broker, self._port, self._port_is_fixed = broker, port, True
        write_private(self.runtime_file, orjson.dumps(address.to_json()))
        return address


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
