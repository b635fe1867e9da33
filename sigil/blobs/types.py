"""What a file is. What a platform says of it is the sender's word; whether it is a picture or a
PDF, its first bytes say."""

from __future__ import annotations

import re

from sigil.blobs.base import UNKNOWN_TYPE, clean_type

PDF = "application/pdf"
HEAD = 1024
"""So many bytes are enough."""

# Types that are decided by the first bytes alone.
_BY_BYTES = re.compile(r"image/|application/pdf\Z")
_MAGIC = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"....ftyp(?:hei[cx]|hev[cx]|mif1|msf1)", re.DOTALL), "image/heic"),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s{0,64}%PDF-"), PDF),
)


def find_type(head: bytes, claimed: str) -> str:
    """The media type of a file, by its first bytes and by what is claimed of it."""
    for pattern, found in _MAGIC:
        if pattern.match(head):
            return found
    claimed = clean_type(claimed)
    return UNKNOWN_TYPE if _BY_BYTES.match(claimed) else claimed
