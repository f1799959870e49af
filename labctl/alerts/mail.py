"""Alerts as mail: SMTP (RFC 5321) over TLS, or STARTTLS that is insisted on; a connection for each message."""

from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import formatdate, make_msgid
from pathlib import Path

import aiosmtplib

from labctl.alerts.channel import Undelivered, reason, trust
from labctl.alerts.digest import Message
from labctl.alerts.words import Sender, subject, text
from labctl.clock import host_unix
from labctl.secret import reveal
from labctl.settings import MailConfig

_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class Mail:
    """A mail server that takes our messages.

    Args:
        folder: of config.toml, where relative paths begin.
    """

    name = "mail"

    def __init__(self, config: MailConfig, folder: Path) -> None:
        self._config = config
        self._folder = folder

    async def send(self, sender: Sender, message: Message) -> None:
        """Deliver to every recipient; raises LabctlError where one of them is refused, too."""
        config = self._config
        password = "" if config.password is None else reveal(config.password, self._folder)
        client = aiosmtplib.SMTP(
            hostname=config.host,
            port=config.port or _PORTS[config.security],
            local_hostname=config.sender.rpartition("@")[2],  # else a resolver is asked, and waited for
            use_tls=config.security == "tls",
            start_tls=config.security == "starttls",
            tls_context=None if config.security == "none" else trust(config.ca, self._folder),
        )
        try:
            await client.connect()
            if config.user:
                await client.login(config.user, password)
            refused, _ = await client.send_message(self._written(sender, message))
            await client.quit()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise self._undelivered(reason(error, password)) from None
        finally:
            client.close()
        if refused:
            raise self._undelivered(f"it refuses {', '.join(sorted(refused))}; the others have it")

    def _written(self, sender: Sender, message: Message) -> EmailMessage:
        mail = EmailMessage(policy=WIRE)
        mail["From"] = self._config.sender
        mail["To"] = ", ".join(self._config.to)
        mail["Subject"] = subject(sender, message)
        mail["Date"] = formatdate(host_unix())
        mail["Message-ID"] = make_msgid(domain=self._config.sender.rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"  # no absence note is sent back (RFC 3834)
        mail.set_content(text(sender, message))
        return mail

    def _undelivered(self, why: str) -> Undelivered:
        return Undelivered(
            f"The mail server {self._config.host} did not take an alert: {why}.",
            "Look at [alerts.mail] in config.toml; `labctl alerts test` tries it.",
        )
