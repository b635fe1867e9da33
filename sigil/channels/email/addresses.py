"""Who wrote a mail, by its From header: exactly one address, or nobody.

General parsers find an address in nearly anything, and disagree about which one. What two programs
read differently can be used to pose as somebody, so everything but the plain forms is refused:

    ana@a.org      Ana <ana@a.org>      "Ana, of A" <ana@a.org>      ana@a.org (Ana)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sigil.channels.email.headers import Headers, decode_words
from sigil.messages.exchange import MAX_NAME_BYTES

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = rf"{_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9](?:[A-Za-z0-9.-]{{0,251}}[A-Za-z0-9])?"
ADDRESS = re.compile(_ADDRESS)
_BARE = re.compile(rf"({_ADDRESS})\s*(?:\([^()\\]*\))?")
_NAMED = re.compile(rf'\s*("(?:[^"\\]|\\.)*"|[^"<>(),;:@\\]*)\s*<\s*({_ADDRESS})\s*>')
_LONGEST = 254  # RFC 5321, 4.5.3.1.3
_LONGEST_HEADER = 998  # RFC 5322, 2.1.1; patterns take quadratic time for spaces that do not end


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a mail. `address` is in lower case; `name` is for people and proves nothing."""

    address: str
    name: str | None

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def read_author(headers: Headers) -> Author | None:
    """The one author of a mail, or None."""
    values = headers.get_all("from")
    if len(values) != 1 or len(values[0]) > _LONGEST_HEADER:
        return None
    value = values[0]
    bare = _BARE.fullmatch(value)
    if bare is not None:
        return _make_author(bare[1], "")
    named = _NAMED.fullmatch(value)
    return None if named is None else _make_author(named[2], named[1])


def _make_author(address: str, name: str) -> Author | None:
    if len(address) > _LONGEST or ".." in address.rpartition("@")[2]:
        return None
    return Author(address.lower(), _read_name(name))


def _read_name(raw: str) -> str | None:
    name = decode_words(raw.strip().strip('"').replace("\\", ""))
    # A name that looks like an address can only mislead.
    if not name or "@" in name:
        return None
    return name.encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore")
