"""One mail over SMTP, step by step, so that we know after which step a connection was lost."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import aiosmtplib

from sigil.channels.email.errors import Step, class_connection, class_reply
from sigil.errors import AccountRefused, ChannelError, SendFailed

if TYPE_CHECKING:
    from sigil.channels.email.settings import EmailSettings

TIMEOUT_S = 60.0
_PORTS = {"implicit": 465, "starttls": 587, "none": 25}


class TooLarge(Exception):  # the sender writes a smaller one
    """The server takes no mail of this size; `limit` is in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


async def open_connection(settings: EmailSettings, entry: str, attempt: int = 1) -> aiosmtplib.SMTP:
    """Connects and logs in. Raises `ChannelError`: nothing was sent."""
    server = settings.smtp
    assert server is not None
    assert settings.address is not None
    password = settings.password
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port or _PORTS[server.tls],
        # Otherwise the name of this machine is looked up, which may block.
        local_hostname=settings.address.rpartition("@")[2],
        timeout=TIMEOUT_S,
        use_tls=server.tls == "implicit",
        start_tls=server.tls == "starttls",
    )
    try:
        await client.connect()
        if client.is_ehlo_or_helo_needed:
            await client.ehlo()
        # Without encryption a server may offer no login; it then decides what it takes.
        if password is not None and (server.tls != "none" or client.supports_extension("auth")):
            name = settings.username or settings.address
            await client.login(name, password.get_secret_value())
    except aiosmtplib.SMTPResponseException as error:
        client.close()
        raise class_reply(error.code, error.message, "connect", attempt, entry) from error
    except (aiosmtplib.SMTPConnectError, aiosmtplib.SMTPServerDisconnected, OSError) as error:
        client.close()
        raise class_connection(error, entry) from error
    except aiosmtplib.SMTPException as error:
        client.close()
        raise AccountRefused(
            f"the mail server offers no login or encryption as configured ({error}).",
            hint=f"Check channels.{entry}.smtp.tls.",
        ) from error
    return client


async def deliver(
    client: aiosmtplib.SMTP, sender: str, recipient: str, mail: bytes, entry: str, attempt: int
) -> None:
    """Hands one mail to the server. Raises `TooLarge`, and `ChannelError`: its outcome is unknown
    only if the connection was lost while the mail itself was on its way."""
    limit = client.esmtp_extensions.get("size", "")
    if limit.isdigit() and 0 < int(limit) < len(mail):
        raise TooLarge(int(limit))
    step: Step = "sender"
    try:
        await client.mail(sender)
        step = "recipient"
        await client.rcpt(recipient)
        step = "data"
        await client.data(mail)
    except aiosmtplib.SMTPResponseException as error:
        raise class_reply(error.code, error.message, step, attempt, entry) from error
    except (aiosmtplib.SMTPException, OSError) as error:
        raise _class_loss(error, step) from error


def _class_loss(error: Exception, step: Step) -> ChannelError:
    return SendFailed(
        f"the connection to the mail server was lost ({type(error).__name__}).",
        outcome_unknown=step == "data",
    )


async def close_connection(client: aiosmtplib.SMTP) -> None:
    """Says goodbye, if the server still listens. What was sent stays sent."""
    with contextlib.suppress(aiosmtplib.SMTPException, OSError):
        await client.quit(timeout=5)
    client.close()
