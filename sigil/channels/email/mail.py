"""From the bytes of a mail to what is in it. Pure, and made for hostile bytes."""

from __future__ import annotations

import email
import hashlib
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.policy import Policy, compat32
from typing import Any

from sigil.channels.base import MediaKind
from sigil.channels.email.addresses import Author, read_author
from sigil.channels.email.headers import (
    LONGEST_HEADER,
    MOST_HEADERS,
    Headers,
    decode_bytes,
    decode_words,
    read_message_ids,
)
from sigil.channels.email.html_text import read_html
from sigil.channels.email.quotes import split_quote

MOST_PARTS, MOST_DEPTH = 200, 20
MOST_PARSED_PARTS, MOST_LINE_ENDS = 2_000, 2_000_000
"""A mail with more takes the parser minutes, or memory by the gigabyte. A mail of 30 MB has less
than half as many line ends."""
LONGEST_TEXT = 60_000
"""In bytes of UTF-8; the rest of a longer mail is cut."""
LONGEST_QUOTE = 2_000
MOST_IDS = 50

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_NAME = re.compile(r"[\x00-\x1f\x7f/\\]+")
_SIGNATURES = frozenset({"application/pgp-signature", "application/pkcs7-signature"})
_SIGNATURES |= {"application/x-pkcs7-signature"}
_REPLY = re.compile(r"^(?:(?:re|aw|sv|fwd?|wg|antw)\s*(?:\[\d+\])?:\s*)+", re.IGNORECASE)


class Unreadable(Exception):  # about one mail, never about the mailbox
    """The mail cannot be parsed at all."""


@dataclass(frozen=True, slots=True)
class File:
    """A file in a mail."""

    name: str
    mime_type: str
    data: bytes

    @property
    def kind(self) -> MediaKind:
        kinds: dict[str, MediaKind] = {"image": "image", "audio": "audio", "video": "video"}
        return kinds.get(self.mime_type.partition("/")[0], "file")


@dataclass(frozen=True, slots=True)
class Mail:
    """What is in a mail. `message_id` is the Message-ID, or derives from the headers; `ancestors`
    are the ids of the mails before it, the oldest first."""

    headers: Headers
    message_id: str
    author: Author | None
    subject: str
    ancestors: tuple[str, ...]
    parent: str | None
    text: str
    quote: str
    files: tuple[File, ...]


def read_mail(raw: bytes) -> Mail:
    """Reads a mail; takes time, so call it in a thread. Raises `Unreadable`."""
    try:
        return _read(parse_message(raw), raw)
    except Unreadable:
        raise
    except Exception as error:  # the library raises anything on bytes that were made for it
        raise Unreadable(type(error).__name__) from error


def parse_message(raw: bytes) -> Message:
    """The parts of a mail. Raises `Unreadable`."""
    if raw.count(b"\n") + raw.count(b"\r") > MOST_LINE_ENDS:
        raise Unreadable("too many lines")
    parts = itertools.count(1)

    def make_part(policy: Policy[Any] = compat32) -> Message:
        if next(parts) > MOST_PARSED_PARTS:
            raise Unreadable("too many parts")
        return _Part(policy)

    try:
        return email.message_from_bytes(raw, make_part, policy=compat32)
    except Unreadable:
        raise
    except Exception as error:  # the library raises anything on bytes that were made for it
        raise Unreadable(type(error).__name__) from error


class _Part(Message):
    """A part whose headers are bounded before the library reads their parameters, for which it
    takes quadratic time."""

    def set_raw(self, name: str, value: str) -> None:
        """The parser calls this for each header."""
        if len(self) < MOST_HEADERS:
            super().set_raw(name, value[:LONGEST_HEADER])


def _read(message: Message, raw: bytes) -> Mail:
    headers = Headers(message)
    body = _Body()
    body.add(message, 0)
    written, quoted = split_quote(_clean(body.join_text()))
    parents = read_message_ids(headers.get("in-reply-to"))
    ancestors = read_message_ids(headers.get("references")) or parents
    if len(ancestors) > MOST_IDS:  # the root and the newest
        ancestors = [ancestors[0], *ancestors[1 - MOST_IDS :]]
    return Mail(
        headers=headers,
        message_id=_read_own_id(headers, raw),
        author=read_author(headers),
        subject=headers.get_text("subject")[:300],
        ancestors=tuple(ancestors),
        parent=parents[0] if parents else (ancestors[-1] if ancestors else None),
        text=cut_bytes(written, LONGEST_TEXT),
        quote=quoted[:LONGEST_QUOTE],
        files=tuple(body.files),
    )


def _read_own_id(headers: Headers, raw: bytes) -> str:
    found = read_message_ids(headers.get("message-id"))
    if found and found[0].isprintable() and len(found[0].encode()) <= 250:
        return found[0]
    head = re.split(rb"\r?\n\r?\n", raw[:65_536], maxsplit=1)[0]
    return f"sha256-{hashlib.sha256(head).hexdigest()}"


def strip_reply_marks(subject: str) -> str:
    """The subject without `Re:` and its kin."""
    return _REPLY.sub("", subject).strip()


def cut_bytes(text: str, limit: int) -> str:
    """The text, or as much of it as `limit` bytes hold, with a word that it was cut."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode()
    return data[:limit].decode("utf-8", "ignore") + "\n\n[The rest of this mail was cut.]"


def _clean(text: str) -> str:
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


class _Body:
    """Collects texts and files from nested parts, in their order."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.files: list[File] = []
        self._parts = 0

    def join_text(self) -> str:
        return "\n\n".join(text for text in self.texts if text.strip())

    def add(self, part: Message, depth: int) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS or depth > MOST_DEPTH:
            return
        kind = part.get_content_type()
        if kind == "message/rfc822":
            self.files.append(_read_forwarded(part))
        elif part.is_multipart():
            self._add_parts(part, kind, depth)
        elif kind in _SIGNATURES:
            return
        elif kind in {"text/plain", "text/html"} and not _is_file(part):
            text = decode_bytes(_read_payload(part), part.get_content_charset())
            self.texts.append(read_html(text) if kind == "text/html" else text)
        else:
            self.files.append(File(_read_name(part), kind, _read_payload(part)))

    def _add_parts(self, part: Message, kind: str, depth: int) -> None:
        if kind != "multipart/alternative":
            for each in _list_parts(part):
                self.add(each, depth + 1)
            return
        # The first form that has words; plain text comes first by custom (RFC 2046, 5.1.4).
        before = len(self.texts)
        for each in sorted(
            _list_parts(part), key=lambda one: one.get_content_type() != "text/plain"
        ):
            is_text = each.get_content_type() in {"text/plain", "text/html"}
            if is_text and any(text.strip() for text in self.texts[before:]):
                continue
            self.add(each, depth + 1)


def _list_parts(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    if isinstance(payload, list):
        for each in payload:
            if isinstance(each, Message):
                yield each


def _is_file(part: Message) -> bool:
    disposition = Headers(part).get("content-disposition") or ""
    return disposition.lower().startswith("attachment") or part.get_filename() is not None


def _read_payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _read_name(part: Message) -> str:
    """The file's name, of whichever form (RFC 2231, or encoded words); never a path."""
    name = _NAME.sub("_", decode_words(part.get_filename() or "")).strip(" .")
    name = name.encode("utf-8", "replace")[-200:].decode("utf-8", "ignore")
    return name or "file"


def _read_forwarded(part: Message) -> File:
    inner = next(_list_parts(part), None)
    data = b"" if inner is None else inner.as_bytes()
    subject = "" if inner is None else Headers(inner).get_text("subject")
    name = _NAME.sub("_", subject)[:60].strip(" .") or "message"
    return File(f"{name}.eml", "message/rfc822", data)
