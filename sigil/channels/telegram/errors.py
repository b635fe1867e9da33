"""What the Bot API's refusals mean.

| answer | meaning |
| --- | --- |
| 429 with `parameters.retry_after` | wait so long; the limit is nearly always the chat's |
| 429 without it | a proxy in front of the API limits this address: the account rests |
| `parameters.migrate_to_chat_id` | the chat has another id |
| 401; 404; a redirect | the token or `base_url` is wrong: the account |
| 409 | another program polls, or a webhook is set |
| 403, the bot was thrown out, or the chat is gone | never, nor anything else for that chat |
| 400 of the rows in `_NEVER` | never |
| any other 400, markup that cannot be read first of all | perhaps in a simpler form |
| 413 | the file is too large |
| 5xx, 408, what cannot be read | perhaps done |

The texts are those of https://github.com/tdlib/telegram-bot-api; there are no other codes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from sigil.errors import (
    AccountRefused,
    ChannelError,
    ChatMoved,
    MarkupRefused,
    MediaRefused,
    SendFailed,
    SendRefused,
)

PROXY_REST_S = 180.0
"""How long the account rests after a 429 that Telegram did not write, in seconds."""
_LONGEST_TEXT = 300
_TOKEN = re.compile(r"/bot[^/\s]+")

_CLOSED = re.compile(
    r"blocked by the user|user is deactivated|bot was kicked|is not a member|chat was deleted"
    r"|can't initiate conversation|bots can't send messages to bots",
    re.IGNORECASE,
)
_NEVER = re.compile(
    r"message thread not found|TOPIC_(?:DELETED|CLOSED)|message is too long|text is empty"
    r"|chat not found|PEER_ID_INVALID|not enough rights|have no rights|CHAT_WRITE_FORBIDDEN"
    r"|CHAT_RESTRICTED|need administrator rights",
    re.IGNORECASE,
)
_FILE = re.compile(r"file is too big|wrong file_id", re.IGNORECASE)
_NOT_THERE = re.compile(r"message to edit not found|message can't be edited|MESSAGE_ID_INVALID")
_NO_CHANGE = re.compile(r"message is not modified")
_NO_REPLY = re.compile(
    r"message to be replied not found|replied message not found|quote text not found"
    r"|reply message not found|QUOTE_TEXT_INVALID",
    re.IGNORECASE,
)


class PollRefused(SendFailed):
    """Another program asks for this bot's updates, or they go to a webhook."""


class EditRefused(SendRefused):
    """The message that was to be edited is not there any more, or is not ours."""


class ReplyRefused(MarkupRefused):
    """The message that was to be replied to is not there any more."""


class NothingChanged(SendRefused):
    """The message has this text already."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer without a result. `text` is Telegram's description, or empty."""

    status: int
    text: str = ""
    retry_after: float | None = None
    moved_to: str | None = None
    is_telegrams: bool = True

    def __str__(self) -> str:
        return f"{self.status} {self.text}".strip()


def read_answer(status: int, body: bytes) -> Any:
    """The result of a call. Raises the error that a refusal means."""
    found = _parse_object(body)
    if found is not None and found.get("ok") is True and "result" in found and status == 200:
        return found["result"]
    raise make_error(_read_refusal(status, found))


def make_error(refusal: Refusal) -> ChannelError:
    """The error that a refusal means."""
    said, status, text = f"Telegram answered {refusal}.", refusal.status, refusal.text
    if status == 429:
        if refusal.retry_after is None:
            return SendFailed(said, retry_after=PROXY_REST_S, rests_account=True)
        return SendFailed(said, retry_after=refusal.retry_after)
    if refusal.moved_to is not None:
        return ChatMoved(said, refusal.moved_to)
    if status in (401, 404) or 300 <= status < 400:
        return AccountRefused(said, hint=_find_hint(refusal))
    if status == 409:
        return PollRefused(said, hint="Stop the other program, or give it a bot of its own.")
    if status >= 500 or status < 300 or status == 408:
        return SendFailed(said, outcome_unknown=True, retry_after=refusal.retry_after)
    if status == 413:
        return MediaRefused(said)
    if not refusal.is_telegrams:  # a proxy's page says nothing about our message
        return AccountRefused(said, hint=_find_hint(refusal))
    if status == 403:
        return SendRefused(said, closes_chat=_CLOSED.search(text) is not None)
    return _make_error_400(said, text)


def _make_error_400(said: str, text: str) -> ChannelError:
    if _NO_CHANGE.search(text):
        return NothingChanged(said)
    if _NO_REPLY.search(text):
        return ReplyRefused(said)
    if _NOT_THERE.search(text):
        return EditRefused(said)
    if _FILE.search(text):
        return MediaRefused(said)
    if _CLOSED.search(text):
        return SendRefused(said, closes_chat=True)
    if _NEVER.search(text):
        return SendRefused(said)
    return MarkupRefused(said)


def _find_hint(refusal: Refusal) -> str:
    if refusal.status == 401 or (refusal.status == 404 and refusal.is_telegrams):
        return "Put the token that @BotFather shows into the channel's `token`."
    return "Check the channel's `base_url`: this is no answer of a Bot API server."


def hide_token(text: str) -> str:
    """The text without the token that stands in every address; a proxy may repeat addresses."""
    return _TOKEN.sub("/bot[token]", text)


def _read_refusal(status: int, found: dict[str, Any] | None) -> Refusal:
    if found is None or found.get("ok") is not False:
        # Not of the API: what came is not repeated, since anybody may have written it.
        return Refusal(status, is_telegrams=False)
    text, parameters = found.get("description"), found.get("parameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    wait, moved_to = parameters.get("retry_after"), parameters.get("migrate_to_chat_id")
    code = found.get("error_code")
    return Refusal(
        code if type(code) is int and status == 200 else status,
        hide_token(text[:_LONGEST_TEXT]).rstrip(".") if isinstance(text, str) else "",
        retry_after=float(wait) if isinstance(wait, (int, float)) and wait >= 0 else None,
        moved_to=str(moved_to) if type(moved_to) is int else None,
    )


def _parse_object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
