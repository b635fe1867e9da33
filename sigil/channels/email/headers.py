"""Headers of a mail as text, whatever bytes they were made of.

The standard library's parsed headers (`policy.default`) raise on malformed values, and some take
them minutes. So headers are read raw, bounded, and decoded here.
"""

from __future__ import annotations

import codecs
import re
from email.header import decode_header
from email.message import Message

MOST_HEADERS = 500
LONGEST_HEADER = 16 * 1024

_FOLD = re.compile(r"[\r\n]+[ \t]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_MESSAGE_ID = re.compile(r"<([!-;=?-~]{1,250})>")
_ENCODED = re.compile(r"=\?[^?\s]{1,60}\?[bqBQ]\?")
# Text encodings by name only: some of them take forever, and none is used in mail.
_REFUSED_CODECS = frozenset({"punycode", "idna", "unicode-escape", "raw-unicode-escape"})


class Headers:
    """The headers of one part, first to last."""

    def __init__(self, part: Message) -> None:
        self._items = [
            (name.lower(), _clean_raw(str(value)))
            for name, value in list(part.raw_items())[:MOST_HEADERS]
        ]

    def get(self, name: str) -> str | None:
        """The topmost value, unfolded and not decoded."""
        return next((value for known, value in self._items if known == name), None)

    def get_all(self, name: str) -> list[str]:
        """All values, topmost first."""
        return [value for known, value in self._items if known == name]

    def has_prefix(self, prefix: str) -> bool:
        """Whether a header's name begins so."""
        return any(known.startswith(prefix) for known, _ in self._items)

    def get_text(self, name: str) -> str:
        """The topmost value for people; empty if there is none."""
        return decode_words(self.get(name) or "")


def _clean_raw(value: str) -> str:
    raw = value[:LONGEST_HEADER].encode("utf-8", "surrogateescape")
    return _FOLD.sub(" ", raw.decode("utf-8", "replace")).strip()


def decode_words(value: str) -> str:
    """A header's value with its encoded words (RFC 2047) decoded, in one line."""
    text = value
    if _ENCODED.search(value):
        try:
            parts = decode_header(value)
        except Exception:  # noqa: BLE001  # it raises what its decoders raise
            parts = []
        text = "".join(_decode_part(part, charset) for part, charset in parts) or value
    return " ".join(_CONTROL.sub(" ", text).split())


def _decode_part(part: str | bytes, charset: str | None) -> str:
    return part if isinstance(part, str) else decode_bytes(part, charset)


def decode_bytes(data: bytes, charset: str | None) -> str:
    """Text in a charset that may be missing, unknown or wrong. Never fails."""
    for name in (charset, "utf-8"):
        if name is None:
            continue
        try:
            if codecs.lookup(name).name in _REFUSED_CODECS:
                continue
            return data.decode(name)
        except (LookupError, ValueError):  # also a null byte in the name
            continue
    return data.decode("cp1252", "replace")


def read_message_ids(value: str | None) -> list[str]:
    """The ids in a header like References, without brackets, each once."""
    return list(dict.fromkeys(_MESSAGE_ID.findall(value or "")))
