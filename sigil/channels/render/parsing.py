"""From CommonMark, with tables, strikethrough, tasks and mathematics, to lines.

    text ─▶ parts of PART_CHARS ─▶ markdown-it's tokens ─▶ lines

Who wrote the text is not to be trusted: each part costs a bounded time, and text that is too long,
or nested too deeply, is shown as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from markdown_it import MarkdownIt

from sigil.channels.render import mathematics
from sigil.channels.render.bounds import MOST_CELLS, References, count_cells
from sigil.channels.render.commonmark import split
from sigil.channels.render.lines import (
    BOLD,
    CODE,
    ITALIC,
    STRIKE,
    Container,
    Item,
    Line,
    LineKind,
    Quote,
    Span,
    link_to,
    tidy_spans,
)
from sigil.channels.render.tables import add_table

if TYPE_CHECKING:
    from markdown_it.token import Token

MAX_CHARS = 100_000
PART_CHARS = 16_000
MOST_DEPTH = 8
_MOST_NESTING = 60
# For each bracket of a part, markdown-it looks for the end of a link up to the end of the part.
_MOST_BRACKETS = 1_000
_SCHEMES = frozenset({"http", "https", "mailto"})
_STYLES = {"strong": BOLD, "em": ITALIC, "s": STRIKE}
_TASK = re.compile(r"\[([ xX])\]\s+")
_UNSENDABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """The text without what neither JSON nor HTML can carry: control characters go, and half a
    character becomes U+FFFD."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub("\ufffd", _UNSENDABLE.sub("", text))


def read_lines(text: str) -> list[Line]:
    """The lines of a text. Takes about half a second at worst."""
    text = clean(text)
    keys = count()
    if len(text) > MAX_CHARS:
        return _read_plain(text, keys)
    return [line for part in split(text, PART_CHARS) for line in _read_part(part, keys)]


def _read_part(text: str, keys: Iterator[int]) -> list[Line]:
    markdown = _create_parser(
        tables=count_cells(text) <= MOST_CELLS, links=text.count("[") <= _MOST_BRACKETS
    )
    try:
        tokens = markdown.parse(text, {"references": References()})
    except RecursionError:
        return _read_plain(text, keys)
    # markdown-it drops what is nested more deeply than it may be.
    if any(token.level >= _MOST_NESTING - 1 for token in tokens):
        return _read_plain(text, keys)
    return _Reader(keys).read(tokens)


def _read_plain(text: str, keys: Iterator[int]) -> list[Line]:
    """The text as it was written: for the sake of speed one line, though it has ends of lines."""
    return [Line("text", next(keys), [Span(text.strip("\n"))], gap=True)]


@cache
def _create_parser(*, tables: bool, links: bool) -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "maxNesting": _MOST_NESTING})
    markdown.enable(["strikethrough", *(["table"] if tables else [])])
    if not links:
        markdown.disable(["link", "image"])
    # Where a link may lead is decided here; a forbidden one is still to be read as a link.
    markdown.validateLink = lambda url: True  # type: ignore[method-assign]  # how markdown-it documents it
    mathematics.add_mathematics(markdown)
    return markdown


def _is_safe(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in _SCHEMES and bool(parts.netloc or parts.scheme == "mailto")
    except ValueError:
        return False


class _Reader:
    """Walks over the tokens of a part."""

    def __init__(self, keys: Iterator[int]) -> None:
        self._keys = keys
        self._lines: list[Line] = []
        self._path: list[Container] = []
        self._begun = 0  # how many containers of the path have been shown
        self._lists: list[tuple[int, bool, bool]] = []  # key, ordered, tight
        self._list_begins = False

    def read(self, tokens: Sequence[Token]) -> list[Line]:
        at = 0
        while at < len(tokens):
            token = tokens[at]
            match token.type:
                case "blockquote_open":
                    self._path.append(Quote(next(self._keys)))
                case "bullet_list_open" | "ordered_list_open":
                    following = tokens[at + 2]
                    tight = following.type != "paragraph_open" or following.hidden
                    self._list_begins = not self._is_tight()
                    self._lists.append((next(self._keys), token.type[0] == "o", tight))
                case "bullet_list_close" | "ordered_list_close":
                    self._lists.pop()
                case "list_item_open":
                    self._open_item(token)
                case "blockquote_close" | "list_item_close":
                    self._close_container()
                case "inline":
                    self._add_paragraph(tokens[at - 1], token)
                case "fence" | "code_block" | mathematics.BLOCK:
                    self._add_code(token)
                case "hr":
                    self._add([Line("rule", next(self._keys))])
                case "table_open":
                    end = at
                    while tokens[end].type != "table_close":
                        end += 1
                    rows = _read_rows(tokens[at:end])
                    self._add(add_table(rows, next(self._keys)))
                    at = end
                case _:
                    pass
            at += 1
        return self._lines

    def _is_tight(self) -> bool:
        return bool(self._lists) and self._lists[-1][2]

    def _open_item(self, token: Token) -> None:
        list_key, ordered, _ = self._lists[-1]
        number = int(token.info) if ordered else None
        self._path.append(Item(next(self._keys), list_key, number))

    def _close_container(self) -> None:
        if self._begun < len(self._path):
            self._add([Line("text", next(self._keys))])
        self._path.pop()
        self._begun = min(self._begun, len(self._path))

    def _add(self, lines: Sequence[Line]) -> None:
        """Adds the lines of one block."""
        gap = self._list_begins or not self._is_tight()
        self._list_begins = False
        path, opens = tuple(self._path), self._begun
        if len(path) > MOST_DEPTH:
            path = (*path[: MOST_DEPTH - 1], path[-1])
            opens = min(opens, MOST_DEPTH - 1) if opens < len(self._path) else MOST_DEPTH
        for line in lines:
            self._lines.append(replace(line, path=path, opens=opens, gap=gap or line.gap))
            gap, opens = False, len(path)
        self._begun = len(self._path)

    def _add_paragraph(self, opening: Token, token: Token) -> None:
        rows = list(_read_inline(token))
        if isinstance(self._path[-1] if self._path else None, Item) and self._begun < len(
            self._path
        ):
            rows[0] = self._take_task(rows[0])
        level = int(opening.tag[1]) if opening.type == "heading_open" else 0
        kind: LineKind = "heading" if level else "text"
        block = next(self._keys)
        self._add([Line(kind, block, row, level=level) for row in rows])

    def _take_task(self, row: list[Span]) -> list[Span]:
        """Moves `[x]` from the text of an item to the item."""
        found = _TASK.match(row[0].text) if row and not row[0].marks else None
        item = self._path[-1]
        if found is None or not isinstance(item, Item):
            return row
        self._path[-1] = replace(item, done=found[1] != " ")
        return tidy_spans([Span(row[0].text[found.end() :]), *row[1:]])

    def _add_code(self, token: Token) -> None:
        language = "latex" if token.type == mathematics.BLOCK else token.info.split(" ")[0].strip()
        lines = token.content.expandtabs(4).removesuffix("\n").split("\n")
        block = next(self._keys)
        self._add([Line("code", block, [Span(line)], language=language) for line in lines])


def _read_rows(tokens: Sequence[Token]) -> list[list[list[Span]]]:
    """The cells of a table's rows, of which the first one is the head."""
    rows: list[list[list[Span]]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append([span for line in _read_inline(token) for span in line])
    return rows


def _read_inline(token: Token) -> Iterator[list[Span]]:
    """The lines of a paragraph as spans."""
    spans: list[Span] = []
    styles: dict[str, int] = {}
    links: list[str] = []
    link_text = False

    def add(text: str, *more: str) -> None:
        link = [link_to(links[-1])] if links and links[-1] else []
        spans.append(
            Span(text, frozenset([*(name for name in styles if styles[name]), *more, *link]))
        )

    for child in token.children or ():
        kind, _, edge = child.type.rpartition("_")
        link_text = link_text or bool(child.content)
        if child.type in ("softbreak", "hardbreak"):
            yield tidy_spans(spans)
            spans = []
        elif kind in _STYLES:
            style = _STYLES[kind]
            styles[style] = styles.get(style, 0) + (1 if edge == "open" else -1)
        elif child.type == "link_open":
            address = str(child.attrGet("href") or "")
            links.append(address if _is_safe(address) else "")
            link_text = False
        elif child.type == "link_close":
            if links[-1] and not link_text:
                add(links[-1])
            links.pop()
        elif child.type == "image":
            address = str(child.attrGet("src") or "")
            links.append(address if _is_safe(address) else links[-1] if links else "")
            add(_read_alt(child) or "image")
            links.pop()
        elif child.type in ("code_inline", mathematics.INLINE):
            add(" ".join(child.content.split("\n")), CODE)
        elif child.content:
            add(child.content)
    yield tidy_spans(spans)


def _read_alt(image: Token) -> str:
    """What an image shows, as text."""
    found: list[str] = []
    waiting = list(reversed(image.children or ()))
    while waiting:
        child = waiting.pop()
        if child.type in ("softbreak", "hardbreak"):
            found.append(" ")
        elif child.children:
            waiting.extend(reversed(child.children))
        else:
            found.append(child.content)
    return "".join(found)
