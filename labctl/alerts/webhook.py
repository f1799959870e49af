"""Alerts to a webhook: one HTTPS POST of JSON for each message; of the answer only the status is read."""

import logging
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from labctl.alerts.channel import Undelivered, reason, trust
from labctl.alerts.digest import Message
from labctl.alerts.words import Sender, as_json
from labctl.clock import host_unix
from labctl.loopback import is_loopback
from labctl.secret import reveal
from labctl.settings import WebhookConfig

logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every address, and an address may be a secret


class Webhook:
    """A server that takes our messages.

    Args:
        folder: of config.toml, where relative paths begin.
        patience: seconds for the connection with its TLS, and for every part of an answer.
    """

    name = "webhook"

    def __init__(self, config: WebhookConfig, folder: Path, patience: float = 10.0) -> None:
        self._config = config
        self._folder = folder
        self._patience = patience

    async def send(self, sender: Sender, message: Message) -> None:
        """Deliver; raises LabctlError where the answer is not a status of success. No redirection is followed."""
        config = self._config
        url = config.url if "://" in config.url else reveal(config.url, self._folder)
        host = _host(url)
        token = "" if config.token is None else reveal(config.token, self._folder)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        body = as_json(sender, message, host_unix())
        try:
            async with (
                httpx.AsyncClient(verify=trust(config.ca, self._folder), timeout=self._patience) as client,
                client.stream("POST", url, content=body, headers=headers) as answer,
            ):
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise _undelivered(host, reason(error, url, token)) from None
        if not 200 <= status < 300:
            raise _undelivered(host, f"it answered with status {status}")


def _host(url: str) -> str:
    """Return the host of an address that may be used; the address itself is in no sentence: it may be a secret."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port  # which is read, and may be none, only now
    except ValueError:
        raise _undelivered("that [alerts.webhook] names", "its address is none") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise _undelivered(host or "that [alerts.webhook] names", "its address must begin with https://")
    return host


def _undelivered(host: str, why: str) -> Undelivered:
    return Undelivered(
        f"The webhook at {host} did not take an alert: {why}.",
        "Look at [alerts.webhook] in config.toml; `labctl alerts test` tries it.",
    )
