"""Where things stand in a text without structure: markers, indents, quotes, empty lines, fences.

> - buy bread          "> " and "• " and the line
>   and milk           "> " and "  " and the line
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sigil.channels.render.lines import Container, Item, Line, Quote

RULE = "———"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a platform wants. `shows_quotes`: it has quotes of its own, which cannot be nested, so
    only inner ones get a mark. `indents_code`: code has no fence and stands in its list."""

    bullet: str = "• "
    shows_quotes: bool = False
    indents_code: bool = False


@dataclass(frozen=True, slots=True)
class CodeEdge:
    """A code block begins or ends."""

    opens: bool
    language: str = ""


@dataclass(frozen=True, slots=True)
class QuoteEdge:
    """An outer quote begins or ends, where the platform shows quotes."""

    opens: bool


def lay_out(lines: Sequence[Line], layout: Layout) -> Iterator[str | Line | CodeEdge | QuoteEdge]:
    """What is to be written, in order. A line stands for its spans."""
    code: int | None = None
    quote: int | None = None
    previous: Line | None = None
    for line in lines:
        if code is not None and line.block != code:
            yield CodeEdge(False)
            code = None
        outer = _outer_quote(line) if layout.shows_quotes else None
        if quote is not None and outer != quote:
            yield QuoteEdge(False)
        if previous is not None:
            yield "\n"
            if line.gap:
                yield _prefix_gap(previous, line, layout) + "\n"
        if outer is not None and outer != quote:
            yield QuoteEdge(True)
        quote, previous = outer, line
        prefix = _prefix(line, layout)
        if line.kind == "code" and not layout.indents_code:
            if code is None:
                if prefix.strip():
                    yield prefix.rstrip() + "\n"
                yield CodeEdge(True, line.language)
                code = line.block
        else:
            yield prefix if line.spans or line.kind == "rule" else prefix.rstrip()
        if line.kind == "rule":
            yield RULE
        yield line
    if code is not None:
        yield CodeEdge(False)
    if quote is not None:
        yield QuoteEdge(False)


def width_of(container: Container) -> int:
    """About how many characters go before a line for it."""
    return 2 if isinstance(container, Quote) else len(marker_of(container, "• "))


def marker_of(item: Item, bullet: str) -> str:
    """What the first line of an item begins with."""
    if item.done is not None:
        return "☑ " if item.done else "☐ "
    return bullet if item.number is None else f"{item.number}. "


def _outer_quote(line: Line) -> int | None:
    return next((container.key for container in line.path if isinstance(container, Quote)), None)


def _prefix(line: Line, layout: Layout) -> str:
    prefix, is_hidden = "", layout.shows_quotes
    is_fenced = line.kind == "code" and not layout.indents_code
    for index, container in enumerate(line.path):
        if isinstance(container, Quote):
            prefix += "" if is_hidden or is_fenced else "> "
            is_hidden = False
        else:
            marker = marker_of(container, layout.bullet)
            prefix += marker if index >= line.opens else " " * len(marker)
    return prefix


def _prefix_gap(before: Line, after: Line, layout: Layout) -> str:
    """What stands in an empty line: the marks of the quotes that go on."""
    shared = 0
    for one, other in zip(before.path, after.path, strict=False):
        if one != other:
            break
        shared += isinstance(one, Quote)
    if "code" in (before.kind, after.kind) and not layout.indents_code:
        shared = 0
    return ("> " * (shared - layout.shows_quotes)).rstrip()
