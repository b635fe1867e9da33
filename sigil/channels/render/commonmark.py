"""Cuts CommonMark into parts that a platform accepts.

    text ─▶ blocks (a line of prose, or a whole code fence) ─▶ parts, filled one after another

A part ends between paragraphs where possible, else between lines, else between words. When a
code fence does not fit into one part, it is closed at the end of the part and opened again in
the next one, so that each part renders on its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from sigil.channels.base import ChannelSpec, Rendered, TextUnit
from sigil.channels.render.units import count_fitting, find_cluster_start, find_word_end, measure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MIN_LIMIT = 64
_FENCE_START = re.compile(r"[ \t]{0,3}(?:```|~~~)")
_CONTAINER = re.compile(r"[ \t>]*")


def render(content: str, spec: ChannelSpec) -> list[Rendered]:
    """The text as it is, in parts that fit."""
    parts = split(content, spec.text_limit, spec.text_unit)
    return [Rendered(part, plain=part) for part in parts]


def split(text: str, limit: int, unit: TextUnit = "characters") -> list[str]:
    """Cuts `text` into parts of at most `limit` units. Only white space is lost.

    Text within the limit comes back unchanged, so there is always at least one part. The info
    string of a fence is left out if it would take up more than a quarter of a part. Raises
    `ValueError` for a limit below `MIN_LIMIT`, where fences could not be repeated.
    """
    if limit < MIN_LIMIT:
        raise ValueError(f"limit is {limit}; at least {MIN_LIMIT} is needed")
    if measure(text, unit) <= limit:
        return [text]
    parts = _Parts(limit, unit)
    for block in _read_blocks(
        text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), limit, unit
    ):
        if isinstance(block, _Fence):
            _add_fence(parts, block)
        else:
            _add_line(parts, block)
    parts.flush()
    return parts.full or [""]


@dataclass
class _Parts:
    """The part that is being filled, and those that are full.

    `lines` of `size` units are in the current part. Its first `break_lines` lines, of
    `break_size` units, end with the last paragraph break, where it can be cut best.
    """

    limit: int
    unit: TextUnit
    full: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    size: int = 0
    break_lines: int = 0
    break_size: int = 0

    @property
    def room(self) -> int:
        """How many units another line of this part may have."""
        return self.limit - self.size - bool(self.lines)

    def measure(self, text: str) -> int:
        return measure(text, self.unit)

    def add(self, line: str) -> None:
        self.size += self.measure(line) + bool(self.lines)
        self.lines.append(line)

    def mark_break(self) -> None:
        """Notes that a paragraph ends here."""
        self.break_lines, self.break_size = len(self.lines), self.size

    def flush(self, keep: int | None = None) -> None:
        """Ends the part after `keep` lines; the rest begins the next one."""
        head, tail = (self.lines, []) if keep is None else (self.lines[:keep], self.lines[keep:])
        part = "\n".join(head).strip("\n").rstrip()
        if part.strip():
            self.full.append(part)
        self.lines, self.size, self.break_lines, self.break_size = [], 0, 0, 0
        for line in tail:
            self.add(line)

    def make_room(self, needed: int) -> None:
        """Ends the part if `needed` characters do not fit: at its last paragraph break, if that
        leaves the part more than half full, else after its last line."""
        if needed > self.room and self.break_size * 2 > self.limit:
            self.flush(self.break_lines)
        if needed > self.room:
            self.flush()


@dataclass(frozen=True)
class _Fence:
    """A fenced block. `head` is its opening line and `tail` its closing one, if it has one;
    `indent` is what precedes each line of its content inside a quote."""

    head: str
    lines: Sequence[str]
    tail: str | None
    markup: str
    info: str
    indent: str

    @property
    def all_lines(self) -> list[str]:
        return [self.head, *self.lines, *([] if self.tail is None else [self.tail])]


def _read_blocks(lines: list[str], limit: int, unit: TextUnit) -> Iterator[str | _Fence]:
    at = 0
    for token in _create_block_parser().parse("\n".join(lines)):
        if token.type != "fence" or not token.map:
            continue
        (start, end), markup, info = token.map, token.markup, token.info.strip()
        yield from lines[at:start]
        at = end
        block = lines[start:end]
        if len(markup) * 8 > limit:  # too long a marker to be repeated in every part
            yield from block
            continue
        closing_line = re.compile(rf"[ \t>]*{re.escape(markup[0])}{{{len(markup)},}}[ \t]*")
        is_closed = len(block) > 1 and closing_line.fullmatch(block[-1]) is not None
        body, tail = (block[1:-1], block[-1]) if is_closed else (block[1:], None)
        indent = block[0][: block[0].index(markup)]
        if _CONTAINER.fullmatch(indent) is None:  # the marker of a list item
            indent = " " * len(indent)
        short = info if measure(info + markup + indent, unit) * 4 <= limit else ""
        head = block[0] if short == info else block[0][: block[0].index(markup)] + markup
        yield _Fence(head, body, tail, markup, short, indent if ">" in indent else "")
    yield from lines[at:]


@cache
def _create_block_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def _add_line(parts: _Parts, line: str) -> None:
    if not line.strip():
        parts.mark_break()
        if parts.room < parts.measure(line):
            line = ""
        if parts.room >= parts.measure(line):
            parts.add(line)
        return
    size = parts.measure(line)
    if size <= parts.limit:
        parts.make_room(size)
    elif parts.room * 4 < parts.limit:
        parts.flush()
    while (fitting := count_fitting(line, parts.room, parts.unit)) < len(line):
        at = find_word_end(line, fitting)
        parts.add(line[:at].rstrip())
        parts.flush()
        line = line[at:].lstrip()
        if _FENCE_START.match(line):
            line = "\\" + line  # inside a line it was text, and it must not open a fence now
    if line:
        parts.add(line)


def _add_fence(parts: _Parts, fence: _Fence) -> None:
    lines = fence.all_lines
    size = parts.measure("\n".join(lines))
    if size <= parts.limit:
        parts.make_room(size)
        for line in lines:
            parts.add(line)
        return
    if parts.room * 4 < parts.limit:
        parts.flush()
    _cut_fence(parts, fence)


def _cut_fence(parts: _Parts, fence: _Fence) -> None:
    reopen = f"{fence.indent}{fence.markup}{fence.info}"
    close = f"{fence.indent}{fence.markup}"
    head_indent = fence.head[: fence.head.index(fence.markup)]
    columns = 0 if fence.indent else len(head_indent)
    width = parts.limit - parts.measure(reopen) - len(close) - 2
    parts.make_room(parts.measure(fence.head) + len(close) + 2)
    # The later parts no longer belong to the list that the fence was in, so its indent goes.
    parts.add(fence.head.lstrip() if head_indent.isspace() else fence.head)
    opened_at = len(parts.lines)
    for line in fence.lines:
        blank = len(line) - len(line.lstrip(" \t"))
        for piece in _cut_code_line(line[min(blank, columns) :], width, parts.unit):
            if parts.measure(piece) + len(close) + 1 > parts.room:
                if len(parts.lines) == opened_at:
                    parts.lines.pop()  # the fence was only just opened, so it is not shown empty
                else:
                    parts.add(close)
                parts.flush()
                parts.add(reopen)
                opened_at = 1
            parts.add(piece)
    parts.add(close)


def _cut_code_line(line: str, width: int, unit: TextUnit) -> Iterator[str]:
    while (fitting := count_fitting(line, width, unit)) < len(line):
        at = find_cluster_start(line, fitting)
        yield line[:at]
        line = line[at:]
    yield line
