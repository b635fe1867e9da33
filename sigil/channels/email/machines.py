"""What must never be answered: other machines, and ourselves. Two machines that answer each other
send thousands of mails."""

from __future__ import annotations

import re
from collections.abc import Collection

from sigil.channels.email.addresses import Author
from sigil.channels.email.headers import Headers, read_message_ids

_NO_REPLY = re.compile(r"(?:no-?_?reply|do-?_?not-?_?reply|mailer-daemon|postmaster)(?:[-+._].*)?")
_BULK = frozenset({"bulk", "list", "junk"})


def is_own(headers: Headers, author: Author | None, address: str) -> bool:
    """Whether the mail is a copy of one that we sent."""
    if author is not None and author.address == address:
        return True
    return any(is_own_id(each, address) for each in read_message_ids(headers.get("message-id")))


def make_message_id(chunk_id: str, address: str) -> str:
    """The Message-ID of a chunk, without brackets: the same for every try."""
    local = re.sub(r"[^A-Za-z0-9._-]", "-", chunk_id)
    return f"sigil.{local}@{address.rpartition('@')[2]}"


def is_own_id(message_id: str, address: str) -> bool:
    """Whether `make_message_id` made it for this address's domain."""
    domain = address.rpartition("@")[2]
    return message_id.startswith("sigil.") and message_id.lower().endswith(f"@{domain}")


def find_machine(headers: Headers, author: Author, answered: Collection[str]) -> str | None:
    """Why the mail looks like a machine's (RFC 3834), or None. `answered` are addresses that are
    taken for people all the same."""
    if author.address in answered:
        return None
    automatic = (headers.get("auto-submitted") or "no").partition(";")[0].strip().lower()
    if automatic != "no":
        return "Auto-Submitted"
    if (headers.get("precedence") or "").strip().lower() in _BULK:
        return "Precedence"
    if headers.has_prefix("list-"):
        return "a mailing list"
    if headers.get("x-auto-response-suppress") is not None:
        return "X-Auto-Response-Suppress"
    if any(value.replace(" ", "") == "<>" for value in headers.get_all("return-path")):
        return "no return path"
    if _NO_REPLY.fullmatch(author.address.partition("@")[0]):
        return "an address that takes no replies"
    return None
