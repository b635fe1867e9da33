"""What the answers of mail servers mean (RFC 5321, 4.2; RFC 3463; RFC 5530)."""

from __future__ import annotations

import imaplib
import re
import ssl
from typing import Literal

from sigil.errors import AccountRefused, ChannelError, SendFailed, SendRefused

Step = Literal["connect", "sender", "recipient", "data"]

GREYLIST_PAUSES_S = (300.0, 900.0, 3600.0)
"""How long to wait after the first, second and any later refusal for now."""

_LOGIN = frozenset({530, 534, 535, 538})
_GONE = re.compile(r"^5\.1\.(?:1|2|3|6|10)\b|user unknown|no such user", re.IGNORECASE)
_CODE = re.compile(r"\[([A-Z-]+)\]")
_IMAP_CONFIG = frozenset(
    {"AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED", "CONTACTADMIN"}
)
_IMAP_WAIT = frozenset({"THROTTLED", "OVERQUOTA", "LIMIT", "UNAVAILABLE", "INUSE"})
_LONGEST_SAID = 200


def class_reply(code: int, said: str, step: Step, attempt: int, entry: str) -> ChannelError:
    """The error that a server's reply to one step of sending stands for. `attempt` counts from 1.

    A reply with a code means that the mail was not taken, whenever it comes.
    """
    line = f"the mail server said {code} {_shorten(said)}"
    if code in _LOGIN:
        return AccountRefused(
            line,
            hint=f"Check channels.{entry}.username and password; many providers want an app "
            "password.",
        )
    if 400 <= code < 500:
        # Before a recipient is named, it is not about this mail.
        is_general = step == "connect"
        return SendFailed(line, retry_after=choose_pause(attempt), rests_account=is_general)
    if step == "sender":
        return AccountRefused(
            line, hint=f"The login may not send as channels.{entry}.address. Correct either."
        )
    if step == "connect":
        return AccountRefused(line, hint=f"The server refuses us; check channels.{entry}.smtp.")
    is_gone = step == "recipient" and _GONE.search(said) is not None
    return SendRefused(line, closes_chat=is_gone or (step == "recipient" and code in {551, 553}))


def choose_pause(attempt: int) -> float:
    """Seconds until the next try: servers that greylist take a mail that comes again later."""
    return GREYLIST_PAUSES_S[min(max(attempt, 1), len(GREYLIST_PAUSES_S)) - 1]


def class_connection(error: BaseException, entry: str) -> ChannelError:
    """The error for an SMTP connection that was not made: nothing was sent."""
    cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return AccountRefused(
            f"the mail server's certificate is not valid ({cause.verify_message}).",
            hint=f"Check channels.{entry}.smtp.host, or give SSL_CERT_FILE the authority.",
        )
    return SendFailed(
        f"the mail server cannot be reached ({type(error).__name__}).", rests_account=True
    )


class MailboxBusy(ChannelError):
    """The IMAP server wants to be left alone for a while."""


def class_imap(error: BaseException, entry: str, *, is_login: bool = False) -> ChannelError:
    """The error that a failure of IMAP stands for: `AccountRefused` if somebody must mend the
    account, `MailboxBusy` if only time helps, else one after which to connect again."""
    said = _shorten(str(error))
    codes = set(_CODE.findall(said.upper()))
    if codes & _IMAP_WAIT:
        return MailboxBusy(f"the mail server said {said}")
    if codes & _IMAP_CONFIG or (is_login and not _is_cut(error)):
        return AccountRefused(
            f"the mail server said {said}",
            hint=f"Check channels.{entry}.username and password; many providers want an app "
            "password, and IMAP to be switched on.",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return AccountRefused(
            f"the mail server's certificate is not valid ({error.verify_message}).",
            hint=f"Check channels.{entry}.imap.host, or give SSL_CERT_FILE the authority.",
        )
    return ChannelError(f"the connection to the mailbox was lost ({type(error).__name__}: {said})")


def _is_cut(error: BaseException) -> bool:
    """Whether the connection ended; IMAPClient calls that a failed login too."""
    causes = (error, error.__cause__, error.__context__)
    return any(isinstance(each, (OSError, imaplib.IMAP4.abort)) for each in causes)


def _shorten(said: str) -> str:
    """One line of what a server said, bounded: it is shown to people."""
    if said.startswith(("b'", 'b"')):  # IMAPClient shows the bytes as Python does
        said = said[2:-1]
    return "".join(char if char.isprintable() else " " for char in said)[:_LONGEST_SAID].strip()
