"""What a homeserver's refusal means.

| status, errcode | meaning |
| --- | --- |
| 429 | wait: the larger of the header and the body; the limit is the account's |
| 401; locked, suspended, deactivated; the server's own limits; redirects; no Matrix | account |
| 400 `M_UNKNOWN` "Invalid stream token" | the position in `/sync` is worth nothing |
| 403 `M_FORBIDDEN` in a room | never, nor anything else for that room |
| 413, unknown 4xx | perhaps in a simpler form |
| `M_NOT_JSON`, `M_UNRECOGNIZED`, `M_NOT_FOUND` | never |
| 5xx, 408, what cannot be read | perhaps done; again under the same transaction id |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sigil.errors import (
    AccountRefused,
    ChannelError,
    MarkupRefused,
    SendFailed,
    SendRefused,
)
from sigil.http.retry_after import read_retry_after

PROXY_REST_S = 120.0
"""How long the account rests after a 429 that no homeserver wrote: a proxy limits by address."""
_LONGEST_TEXT = 300

_ACCOUNT = frozenset(
    {
        "M_USER_LOCKED",
        "M_USER_SUSPENDED",
        "M_USER_DEACTIVATED",
        "M_USER_LIMIT_EXCEEDED",
        "M_RESOURCE_LIMIT_EXCEEDED",
        "M_CONSENT_NOT_GIVEN",
    }
)
_NEVER = frozenset({"M_NOT_JSON", "M_UNRECOGNIZED", "M_NOT_FOUND"})


class StreamTokenInvalid(ChannelError):
    """The server does not know the position in `/sync` any more."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a server answered instead of doing something. `errcode` is empty where no homeserver
    wrote it; `retry_after` is in seconds."""

    status: int
    errcode: str
    text: str
    soft_logout: bool = False
    retry_after: float | None = None

    @property
    def lost_token(self) -> bool:
        """Whether a new login helps. A locked account is also signed out softly; it does not."""
        return self.status == 401 and self.errcode in {"M_UNKNOWN_TOKEN", "M_MISSING_TOKEN"}

    def __str__(self) -> str:
        return " ".join(part for part in (str(self.status), self.errcode, self.text) if part)


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Reads an answer that is no success, whoever wrote it."""
    found = parse_object(body) or {}
    errcode, text = found.get("errcode"), found.get("error")
    waits = [read_retry_after(headers.get("retry-after")), _read_milliseconds(found)]
    return Refusal(
        status,
        errcode if isinstance(errcode, str) else "",
        text[:_LONGEST_TEXT] if isinstance(text, str) else "",
        soft_logout=found.get("soft_logout") is True,
        retry_after=max((each for each in waits if each is not None), default=None),
    )


def parse_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in a body, if that is what it is."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def make_error(refusal: Refusal, account: str, *, room: bool = False) -> ChannelError:
    """The error that a refusal means. `account` is the configured entry, for the hint; `room` says
    that the request was for a room."""
    said, status, errcode = f"the homeserver answered {refusal}.", refusal.status, refusal.errcode
    if status == 429:
        rest = refusal.retry_after
        if rest is None and not errcode:
            rest = PROXY_REST_S
        return SendFailed(said, retry_after=rest, rests_account=True)
    if status >= 500 or status == 408:
        return SendFailed(said, retry_after=refusal.retry_after, outcome_unknown=True)
    if (account_hint := _find_hint(refusal, account)) is not None:
        return AccountRefused(said, hint=account_hint)
    if errcode == "M_UNKNOWN" and "stream token" in refusal.text:
        return StreamTokenInvalid(said)
    if status == 403 and errcode == "M_FORBIDDEN":
        return SendRefused(
            said, closes_chat=room, hint="Invite the account again." if room else None
        )
    if errcode in _NEVER:
        return SendRefused(said)
    return MarkupRefused(said)


def _find_hint(refusal: Refusal, account: str) -> str | None:
    """What somebody must do before anything can be sent; None if it is not the account's fault."""
    if refusal.errcode in _ACCOUNT:
        return "See to the account at its homeserver; the token can stay."
    if refusal.status == 401:
        return f"Put a valid token into channels.{account}.access_token, or a password."
    if refusal.status < 400:
        return (
            f"Redirects are not followed: set channels.{account}.homeserver to the final address."
        )
    if refusal.status == 404 and not refusal.errcode:
        return (
            f"There is no homeserver at channels.{account}.homeserver; its right address may be "
            "in https://SERVER/.well-known/matrix/client."
        )
    return None


def _read_milliseconds(found: Mapping[str, Any]) -> float | None:
    value = found.get("retry_after_ms")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return min(max(0.0, value / 1000), 1e9)
