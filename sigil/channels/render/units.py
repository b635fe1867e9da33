"""How platforms count, and where a text may be cut."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sigil.channels.base import TextUnit

# How far back a cut looks for the start of a visible character. A longer one is torn apart.
_LONGEST_CLUSTER = 64
_ZWNJ, _ZWJ = "\u200c", "\u200d"
_EXTENDING = frozenset({"Mn", "Me", "Mc"})
# Thai and Lao vowels and Japanese sound marks that belong to the character before them.
_TRAILING_LETTERS = frozenset("\u0e33\u0eb3\uff9e\uff9f")


def measure(text: str, unit: TextUnit) -> int:
    """The length of `text` as the platform counts it."""
    if unit == "utf16":
        return len(text.encode("utf-16-le", "surrogatepass")) // 2
    if unit == "bytes":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text)


def count_fitting(text: str, room: int, unit: TextUnit) -> int:
    """How many code points from the start of `text` take at most `room` units."""
    start = text[: max(room, 0)]
    if unit == "utf16":
        encoded = start.encode("utf-16-le", "surrogatepass")[: 2 * room]
        return len(encoded.decode("utf-16-le", "ignore"))
    if unit == "bytes":
        return len(start.encode("utf-8", "replace")[:room].decode("utf-8", "ignore"))
    return len(start)


def find_word_end(text: str, room: int) -> int:
    """Where to cut `text`, which is longer than `room` code points: there at the latest, if
    possible at a space in the second half of the room."""
    for at in range(room, room // 2, -1):
        if text[at].isspace():
            return at
    return find_cluster_start(text, room)


def find_cluster_start(text: str, at: int) -> int:
    """The nearest position at or before `at` that does not tear a visible character apart."""
    for place in range(at, max(at - _LONGEST_CLUSTER, 0), -1):
        if not is_inside_cluster(text, place):
            return place
    return at


def is_inside_cluster(text: str, at: int) -> bool:
    """Whether the code points on both sides of `at` show as one character (the common cases of
    Unicode's grapheme clusters, UAX #29)."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if after < "\u0300":
        return False
    if after in (_ZWJ, _ZWNJ) or before == _ZWJ or unicodedata.category(after) in _EXTENDING:
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return True  # a skin tone, or a tag of a flag
    if after in _TRAILING_LETTERS or _joins_hangul(before, after):
        return True
    if _is_flag_half(before) and _is_flag_half(after):
        halves = 0
        while halves < at and _is_flag_half(text[at - 1 - halves]):
            halves += 1
        return halves % 2 == 1
    return False


def _is_flag_half(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _joins_hangul(before: str, after: str) -> bool:
    if "\u1100" <= before <= "\u115f":
        return "\u1100" <= after <= "\u11a7" or "\uac00" <= after <= "\ud7a3"
    is_vowel = "\u1160" <= before <= "\u11a7" or "\uac00" <= before <= "\ud7a3"
    if is_vowel and "\u1160" <= after <= "\u11a7":
        return not "\uac00" <= before <= "\ud7a3" or (ord(before) - 0xAC00) % 28 == 0
    return (is_vowel or "\u11a8" <= before <= "\u11ff") and "\u11a8" <= after <= "\u11ff"


def measure_width(text: str) -> int:
    """How many columns `text` takes in a font of equal widths."""
    return sum(
        0
        if unicodedata.category(char) in _EXTENDING or char in (_ZWJ, _ZWNJ)
        else 2
        if unicodedata.east_asian_width(char) in "WF"
        else 1
        for char in text
    )
