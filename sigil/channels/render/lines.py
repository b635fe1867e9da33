"""A text as lines: what every renderer writes and cuts.

    **Plan**            Line(spans=[Span("Plan", bold)])
    > - buy `x`         Line(path=[Quote, Item], spans=[Span("buy "), Span("x", code)])

A line knows everything that is needed to show it: the quotes and list items that it is in, and the
style of each of its spans. So a text can be cut between any two lines, and within a line, and each
part is whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sigil.channels.render.units import is_inside_cluster

BOLD, ITALIC, STRIKE, CODE = "bold", "italic", "strike", "code"
_LINK = "link "

LineKind = Literal["text", "heading", "code", "rule", "row"]


def link_to(address: str) -> str:
    """The mark of a link's text."""
    return _LINK + address


def address_of(mark: str) -> str | None:
    """Where a mark leads to; None if it is no link."""
    return mark.removeprefix(_LINK) if mark.startswith(_LINK) else None


@dataclass(frozen=True, slots=True)
class Span:
    """Text in one style. `marks` are BOLD, ITALIC, STRIKE, CODE, and `link_to(…)`."""

    text: str
    marks: frozenset[str] = frozenset()

    @property
    def link(self) -> str | None:
        """Where it leads to."""
        return next((mark[len(_LINK) :] for mark in self.marks if mark.startswith(_LINK)), None)


@dataclass(frozen=True, slots=True)
class Quote:
    """A quote that a line is in."""

    key: int


@dataclass(frozen=True, slots=True)
class Item:
    """A list item that a line is in. `number` is None in a list of bullets; `done` says whether a
    task is done, and is None for what is no task."""

    key: int
    list_key: int
    number: int | None = None
    done: bool | None = None


Container = Quote | Item


@dataclass(frozen=True, slots=True)
class Line:
    """One line. Lines with the same `block` are one paragraph, one code block or one table.

    `gap`: an empty line goes before it. `opens`: the containers from `path[opens]` on begin here.
    """

    kind: LineKind
    block: int
    spans: Sequence[Span] = ()
    path: tuple[Container, ...] = ()
    gap: bool = False
    opens: int = 99
    level: int = 0  # of a heading, from 1
    language: str = ""  # of code
    cells: Sequence[Sequence[Span]] = ()  # of a row, instead of spans
    is_head: bool = False  # the row of a table that names its columns

    @property
    def text(self) -> str:
        """What is visible of it."""
        return "".join([span.text for span in self.spans])

    def cut(self, at: int) -> tuple[Line, Line]:
        """The line up to the character `at`, and the rest of it."""
        head, tail = cut_spans(self.spans, at)
        return replace(self, spans=head), replace(self, spans=tail, gap=False, opens=99)


def cut_spans(spans: Sequence[Span], at: int) -> tuple[list[Span], list[Span]]:
    """The spans up to the character `at`, and the rest."""
    for index, span in enumerate(spans):
        if at < len(span.text):
            head = [Span(span.text[:at], span.marks)] if at else []
            tail = Span(span.text[at:], span.marks)
            return [*spans[:index], *head], [tail, *spans[index + 1 :]]
        at -= len(span.text)
    return list(spans), []


def tidy_spans(spans: Sequence[Span]) -> list[Span]:
    """Joins spans of one style, leaves no style on white space at its edges, since platforms take
    `*word *` for plain words, and lets no style begin within a visible character."""
    merged: list[Span] = []
    for span in spans:
        text, marks = span.text, span.marks
        if merged:
            before = merged[-1].text[-64:]
            joined = 0
            while joined < len(text) and is_inside_cluster(
                before + text[: joined + 1], len(before)
            ):
                before += text[joined]
                joined += 1
            _append(merged, text[:joined], merged[-1].marks)
            text = text[joined:]
        _append(merged, text, marks)
    tidied: list[Span] = []
    for index, span in enumerate(merged):
        if CODE in span.marks:
            _append(tidied, span.text, span.marks)
            continue
        before_marks = merged[index - 1].marks if index else frozenset()
        after_marks = merged[index + 1].marks if index + 1 < len(merged) else frozenset()
        core = span.text.strip()
        start = len(span.text) - len(span.text.lstrip())
        _append(tidied, span.text[:start], span.marks & before_marks - {CODE})
        _append(tidied, core, span.marks)
        _append(tidied, span.text[start + len(core) :], span.marks & after_marks - {CODE})
    return tidied


def _append(spans: list[Span], text: str, marks: frozenset[str]) -> None:
    if not text:
        return
    if spans and spans[-1].marks == marks:
        spans[-1] = Span(spans[-1].text + text, marks)
    else:
        spans.append(Span(text, marks))


@dataclass(frozen=True, slots=True)
class Edge:
    """Where a style begins or ends. Both edges of a stretch have the same `pair`."""

    mark: str
    opens: bool
    pair: int


def nest_spans(spans: Sequence[Span]) -> Iterator[Span | Edge]:
    """The spans, with the edges of styles between them. Stretches lie within each other or apart,
    as the platforms want it; no other style surrounds code."""
    stack: list[tuple[str, int]] = []
    pairs = 0
    for index, span in enumerate(spans):
        unwanted = next((at for at, (mark, _) in enumerate(stack) if mark not in span.marks), None)
        if unwanted is not None:
            while len(stack) > unwanted:
                yield Edge(*_end(stack.pop()))
        held = {mark for mark, _ in stack}
        missing = sorted(
            span.marks - held,
            key=lambda mark: (mark == CODE, -_run_length(spans, index, mark), mark),
        )
        for mark in missing:
            stack.append((mark, pairs))
            yield Edge(mark, True, pairs)
            pairs += 1
        yield span
    while stack:
        yield Edge(*_end(stack.pop()))


def _end(entry: tuple[str, int]) -> tuple[str, bool, int]:
    return entry[0], False, entry[1]


def _run_length(spans: Sequence[Span], start: int, mark: str) -> int:
    """How many of the next spans have the mark: what lasts longer is opened first."""
    length = 0
    while length < 16 and start + length < len(spans) and mark in spans[start + length].marks:
        length += 1
    return length
