"""Cuts CommonMark into parts that a platform takes.

A part ends between paragraphs where it can, else between lines, else between words. A code
fence that is cut is closed and opened again, so that each part renders on its own.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MIN_LIMIT = 64
_FENCE_START = re.compile(r"[ \t]{0,3}(?:```|~~~)")
_CONTAINER = re.compile(r"[ \t>]*")
_ZWJ = "\u200d"


def split(text: str, limit: int) -> list[str]:
    """Cuts `text` into parts of at most `limit` characters; nothing but white space is lost.

    Text within the limit comes back as it is, so there is always one part at least. An info
    string that would take over a quarter of a part is shortened. Raises `ValueError` for a
    limit below `MIN_LIMIT`, where fences could not be repeated.
    """
    if limit < MIN_LIMIT:
        raise ValueError(f"limit is {limit}; at least {MIN_LIMIT} is needed")
    if len(text) <= limit:
        return [text]
    parts = _Parts(limit)
    for block in _blocks(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), limit):
        if isinstance(block, _Fence):
            _add_fence(parts, block)
        else:
            _add_line(parts, block)
    parts.flush()
    return parts.done or [""]


@dataclass
class _Parts:
    """The part being filled, and those that are done."""

    limit: int
    done: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    size: int = 0
    paragraph: int = 0  # how many lines the last paragraph break leaves in this part
    kept: int = 0  # their size

    @property
    def room(self) -> int:
        return self.limit - self.size - bool(self.lines)

    def add(self, line: str) -> None:
        self.size += len(line) + bool(self.lines)
        self.lines.append(line)

    def mark_paragraph(self) -> None:
        self.paragraph, self.kept = len(self.lines), self.size

    def flush(self, keep: int | None = None) -> None:
        """Ends the part after `keep` lines; the rest begins the next one."""
        head, tail = (self.lines, []) if keep is None else (self.lines[:keep], self.lines[keep:])
        part = "\n".join(head).strip("\n").rstrip()
        if part.strip():
            self.done.append(part)
        self.lines, self.size, self.paragraph, self.kept = [], 0, 0, 0
        for line in tail:
            self.add(line)

    def make_room(self, needed: int) -> None:
        """Ends the part if it lacks the room, at a paragraph break in its second half."""
        if needed > self.room and self.kept * 2 > self.limit:
            self.flush(self.paragraph)
        if needed > self.room:
            self.flush()


@dataclass(frozen=True)
class _Fence:
    """A fenced block: `head` opens it, `tail` is its closing line, `indent` what precedes
    its content (of a quote or a list)."""

    head: str
    lines: Sequence[str]
    tail: str | None
    markup: str
    info: str
    indent: str

    @property
    def whole(self) -> list[str]:
        return [self.head, *self.lines, *([] if self.tail is None else [self.tail])]


def _blocks(lines: list[str], limit: int) -> Iterator[str | _Fence]:
    at = 0
    for start, end, markup, info in _fences("\n".join(lines)):
        yield from lines[at:start]
        at = end
        block = lines[start:end]
        if len(markup) * 8 > limit:  # could not be repeated in every part
            yield from block
            continue
        closes = re.compile(rf"[ \t>]*{re.escape(markup[0])}{{{len(markup)},}}[ \t]*")
        closed = len(block) > 1 and closes.fullmatch(block[-1]) is not None
        body, tail = (block[1:-1], block[-1]) if closed else (block[1:], None)
        indent = block[0][: block[0].index(markup)]
        if _CONTAINER.fullmatch(indent) is None:  # the marker of a list item
            indent = " " * len(indent)
        short = info if (len(info) + len(markup) + len(indent)) * 4 <= limit else ""
        head = block[0] if short == info else block[0][: block[0].index(markup)] + markup
        yield _Fence(head, body, tail, markup, short, indent if ">" in indent else "")
    yield from lines[at:]


@cache
def _block_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def _fences(text: str) -> Iterator[tuple[int, int, str, str]]:
    """First line, line after the last, markup and info of each fence, in order."""
    for token in _block_parser().parse(text):
        if token.type == "fence" and token.map:
            yield token.map[0], token.map[1], token.markup, token.info.strip()


def _add_line(parts: _Parts, line: str) -> None:
    if not line.strip():
        parts.mark_paragraph()
        if parts.room < len(line):
            line = ""
        if parts.room >= len(line):
            parts.add(line)
        return
    if len(line) <= parts.limit:
        parts.make_room(len(line))
    elif parts.room * 4 < parts.limit:
        parts.flush()
    while len(line) > parts.room:
        at = _word_end(line, parts.room)
        parts.add(line[:at].rstrip())
        parts.flush()
        line = line[at:].lstrip()
        if _FENCE_START.match(line):
            line = "\\" + line  # it stood within a line and must not open a block now
    if line:
        parts.add(line)


def _add_fence(parts: _Parts, fence: _Fence) -> None:
    whole = fence.whole
    size = sum(map(len, whole)) + len(whole) - 1
    if size <= parts.limit:
        parts.make_room(size)
        for line in whole:
            parts.add(line)
        return
    if parts.room * 4 < parts.limit:
        parts.flush()
    _add_cut_fence(parts, fence)


def _add_cut_fence(parts: _Parts, fence: _Fence) -> None:
    reopen = f"{fence.indent}{fence.markup}{fence.info}"
    close = f"{fence.indent}{fence.markup}"
    own = fence.head[: fence.head.index(fence.markup)]
    strip = 0 if fence.indent else len(own)
    width = parts.limit - len(reopen) - len(close) - 2
    parts.make_room(len(fence.head) + len(close) + 2)
    # Each part is self-contained, so the indentation of a list must not stay.
    parts.add(fence.head.lstrip() if own.isspace() else fence.head)
    opened_at = len(parts.lines)
    for line in fence.lines:
        rest = _dedent(line, strip)
        pieces = _code_pieces(rest, width)
        for piece in pieces:
            if len(piece) + len(close) + 1 > parts.room:
                if len(parts.lines) == opened_at:
                    parts.lines.pop()  # nothing was in it yet
                else:
                    parts.add(close)
                parts.flush()
                parts.add(reopen)
                opened_at = 1
            parts.add(piece)
    parts.add(close)


def _dedent(line: str, columns: int) -> str:
    blank = len(line) - len(line.lstrip(" \t"))
    return line[min(blank, columns) :]


def _code_pieces(line: str, width: int) -> Iterator[str]:
    while len(line) > width:
        at = _cluster_start(line, width)
        yield line[:at]
        line = line[at:]
    yield line


def _word_end(line: str, room: int) -> int:
    """Where to cut `line` so that its head has at most `room` characters, at least one."""
    for at in range(room, room // 2, -1):
        if line[at].isspace():
            return at
    return _cluster_start(line, room)


def _cluster_start(text: str, at: int) -> int:
    """The nearest place at or before `at` that does not tear a visible character apart."""
    for place in range(at, max(at - 64, 0), -1):
        if not _joined(text, place):
            return place
    return at


def _joined(text: str, at: int) -> bool:
    """Whether the characters on both sides of `at` show as one (UAX #29, the common cases)."""
    before, after = text[at - 1], text[at]
    if after == _ZWJ or before == _ZWJ or unicodedata.category(after) in {"Mn", "Me", "Mc"}:
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return True
    if _is_flag_half(before) and _is_flag_half(after):
        halves = 0
        while halves < at and _is_flag_half(text[at - 1 - halves]):
            halves += 1
        return halves % 2 == 1
    return False


def _is_flag_half(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"
