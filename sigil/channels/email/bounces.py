"""What other servers report about mail that we sent (RFC 3464)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message

from sigil.channels.base import Report
from sigil.channels.email.headers import Headers, read_message_ids
from sigil.channels.email.machines import is_own_id
from sigil.channels.email.mail import parse_message

_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^<>\s]{1,250}>)", re.IGNORECASE | re.MULTILINE)
_MOST_PARTS, _LONGEST_REASON = 20, 300


@dataclass(frozen=True, slots=True)
class Bounce:
    """A report about one of our mails, under its Message-ID in brackets. `report` is None while
    the other server still tries, and `key` if the mail is none of ours."""

    key: str | None
    report: Report | None


def is_report(headers: Headers) -> bool:
    """Whether the mail is a report, which is never answered."""
    return (headers.get("content-type") or "").lower().startswith("multipart/report")


def read_bounce(raw: bytes, address: str) -> Bounce:
    """What a report says. Raises `Unreadable`."""
    message = parse_message(raw)
    parts = message.get_payload()
    listed = (
        [each for each in parts if isinstance(each, Message)] if isinstance(parts, list) else []
    )
    report: Report | None = None
    candidates: list[str] = []
    for part in listed[:_MOST_PARTS]:
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            report = _read_status(part) or report
        elif kind in {"message/rfc822", "text/rfc822-headers", "message/rfc822-headers"}:
            found = _MESSAGE_ID.search(part.as_bytes()[:65_536])
            candidates += read_message_ids(found[1].decode("ascii", "replace")) if found else []
    headers = Headers(message)
    candidates += read_message_ids(headers.get("in-reply-to"))
    candidates += reversed(read_message_ids(headers.get("references")))
    own = next((each for each in candidates if is_own_id(each, address)), None)
    return Bounce(None if own is None else f"<{own}>", report)


def _read_status(part: Message) -> Report | None:
    blocks = part.get_payload()
    if not isinstance(blocks, list):
        return None
    for block in blocks[:_MOST_PARTS]:
        if not isinstance(block, Message):
            continue
        fields = Headers(block)
        action = (fields.get("action") or "").strip().lower()
        if action == "delivered":
            return Report("delivered")
        if action == "failed":
            said = fields.get_text("diagnostic-code") or fields.get_text("status")
            said = said.partition(";")[2].strip() or said
            return Report("failed", said[:_LONGEST_REASON] or None)
    return None
