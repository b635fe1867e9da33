"""Whether a mailbox works, for `sigil channel test`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sigil.channels.base import Check
from sigil.channels.email.errors import class_imap
from sigil.channels.email.mailbox import Mailbox
from sigil.channels.email.smtp import close_connection, open_connection
from sigil.errors import ChannelError

if TYPE_CHECKING:
    from sigil.channels.email.settings import EmailSettings


async def check_account(settings: EmailSettings, entry: str) -> list[Check]:
    """Logs in on both servers. Changes nothing there, and sends nothing."""
    return [
        *await asyncio.to_thread(_check_imap, settings, entry),
        await _check_smtp(settings, entry),
        _check_trust(settings, entry),
    ]


def _check_imap(settings: EmailSettings, entry: str) -> list[Check]:
    mailbox = Mailbox(settings)
    is_login = False
    try:
        mailbox.connect()
        is_login = True
        mailbox.log_in()
        is_login = False
        mailbox.select()
        sent = settings.sent_folder or mailbox.find_sent_folder()
        if settings.sent_folder is not None:
            mailbox.select(settings.sent_folder)
    except Exception as error:  # noqa: BLE001  # IMAPClient passes on what its parsers raise
        found = class_imap(error, entry, is_login=is_login)
        hint = found.hint or f"Check channels.{entry}.imap: host, port and tls."
        return [Check(f"IMAP: {found.message.rstrip('.')}", ok=False, hint=hint)]
    finally:
        mailbox.close()
    news = "tells of new mail" if mailbox.has_idle else "is asked for new mail every minute"
    checks = [Check(f"IMAP: logged in; the server {news}", ok=True)]
    if settings.sent_folder is None and sent is not None:
        hint = f"If what is sent over SMTP appears in it, set channels.{entry}.sent_folder."
        checks.append(Check(f"IMAP: there is a folder of sent mails, {sent!r}", ok=True, hint=hint))
    return checks


async def _check_smtp(settings: EmailSettings, entry: str) -> Check:
    try:
        client = await open_connection(settings, entry)
    except ChannelError as error:
        hint = error.hint or f"Check channels.{entry}.smtp: host, port and tls."
        return Check(f"SMTP: {error.message.rstrip('.')}", ok=False, hint=hint)
    await close_connection(client)
    return Check("SMTP: logged in", ok=True)


def _check_trust(settings: EmailSettings, entry: str) -> Check:
    if settings.authserv_id is None:
        return Check(
            "authserv_id is not set, so no sender can prove who they are and nothing is answered",
            ok=False,
            hint=f"Set channels.{entry}.authserv_id to the first word of the "
            "Authentication-Results header in a mail that arrived.",
        )
    return Check(f"senders are trusted by what {settings.authserv_id} found", ok=True)
