"""Fills messages with lines, one after another, as many as fit.

What a line takes is only known once it is written: markup, escapes and closed fences count too. So
lines are written and measured, twice as many each time, until they are too many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sigil.channels.base import ChannelSpec, Rendered, TextUnit
from sigil.channels.render.layout import width_of
from sigil.channels.render.lines import CODE, Line, Span, address_of, tidy_spans
from sigil.channels.render.tables import spell_row
from sigil.channels.render.units import find_cluster_start, find_word_end, measure

MIN_LIMIT = 64
_LONGEST_LANGUAGE = 24
_NEARLY_FULL = 0.75  # then a line that is too long for a message begins the next one

Write = Callable[[Sequence[Line]], Rendered]


@dataclass(frozen=True, slots=True)
class Filling:
    """How lines become messages: `write` writes one. `load` says how much of a message's further
    room one takes; more than 1 is too much, and one character alone must take less."""

    spec: ChannelSpec
    write: Write
    load: Callable[[Rendered], float] = lambda _: 0.0

    def fill(self, lines: Sequence[Line]) -> list[Rendered]:
        """The messages; one without text if there is nothing to see. Raises `ValueError` for a
        limit below `MIN_LIMIT`, where fences could not be repeated."""
        limit = self.spec.text_limit
        if limit < MIN_LIMIT:
            raise ValueError(f"limit is {limit}; at least {MIN_LIMIT} is needed")
        waiting = [_tame(line, limit, self.spec.text_unit) for line in reversed(lines)]
        messages = []
        while waiting:
            message = self.write(self._take(waiting))
            if _is_visible(message.text):
                messages.append(message)
        return messages or [Rendered("")]

    def _measure(self, lines: Sequence[Line]) -> float:
        """How full a message with these lines is; up to 1 it fits."""
        unit, limit = self.spec.text_unit, self.spec.text_limit
        message = self.write(lines)
        size = max(measure(message.text, unit), measure(message.plain, unit))
        return max(size / limit, self.load(message))

    def _take(self, waiting: list[Line]) -> list[Line]:
        """Takes the lines of the next message from the end of `waiting`, which is in reverse."""
        window = self._look_ahead(waiting)
        most = _find_most(len(window), lambda count: self._measure(window[:count]))
        taken = window[:most]
        if most == len(waiting):
            waiting.clear()
            return taken
        following = waiting[-most - 1]
        if most and (
            len(following.text) <= self.spec.text_limit and self._measure([following]) <= 1
        ):
            most = self._choose_break(window, following, most)
            del waiting[-most:]
            return taken[:most]
        if most and self._measure(taken) > _NEARLY_FULL:
            del waiting[-most:]
            return taken
        del waiting[-most - 1 :]
        head, rest = self._cut(taken, following)
        waiting.extend(reversed(rest))
        return [*taken, *head]

    def _look_ahead(self, waiting: Sequence[Line]) -> list[Line]:
        """The next lines, up to the one whose text alone would be too much."""
        window: list[Line] = []
        room = self.spec.text_limit
        for line in reversed(waiting):
            room -= len(line.text)
            if room < 0:
                break
            window.append(line)
            room -= 1  # the line's end
        return window

    def _choose_break(self, window: Sequence[Line], following: Line, most: int) -> int:
        """After how many lines the message ends: at an empty line if it is more than half full
        then, and never with a heading."""
        lines = [*window[:most], following]
        at = next((at for at in range(most, 0, -1) if lines[at].gap), most)
        if at < most and self._measure(window[:at]) * 2 <= 1:
            at = most
        while at > 1 and window[at - 1].kind == "heading":
            at -= 1
        return at

    def _cut(self, taken: Sequence[Line], line: Line) -> tuple[list[Line], list[Line]]:
        """Cuts a line that is too long for one message: what fits after `taken`, and the rest."""
        if line.kind == "row":
            return [], [spell_row(line)]
        text = line.text
        start = line.cut(self.spec.text_limit)[0]
        fitting = _find_most(
            len(start.text), lambda count: self._measure([*taken, start.cut(count)[0]])
        )
        if fitting == 0 and taken:
            return [], [line]
        if fitting == 0:  # even its first character, with all that belongs to it, is too long
            bare = Line("text", line.block, [Span(text)])
            return ([], [bare]) if line != bare else ([], [line.cut(1)[1]])
        find = find_cluster_start if line.kind == "code" else find_word_end
        at = fitting if fitting >= len(text) else find(text, fitting)
        head, rest = line.cut(at)
        if line.kind != "code":
            head, rest = _strip(head), _strip(rest)
        return [head], [rest] if rest.text else []


def _find_most(count: int, measure_first: Callable[[int], float]) -> int:
    """How many of `count` things fit, where the first ones together are as full as said. It
    guesses by what is too full, and halves what is left when guesses do not help."""
    fitting, too_many = 0, count + 1
    guess, tries = count, 0
    while too_many - fitting > 1:
        full = measure_first(guess)
        tries += 1
        if full <= 1:
            fitting = guess
        else:
            too_many = guess
        guess = int(guess / full) if full > 0 and tries % 3 else (fitting + too_many) // 2
        guess = min(max(guess, fitting + 1), too_many - 1)
    return fitting


def _strip(line: Line) -> Line:
    text = line.text
    start = len(text) - len(text.lstrip())
    if start:
        line = replace(line.cut(start)[1], gap=line.gap, opens=line.opens)
    return line.cut(len(text.rstrip()) - start)[0]


def _is_visible(text: str) -> bool:
    return any(char.isprintable() and not char.isspace() for char in text)


def _tame(line: Line, limit: int, unit: TextUnit) -> Line:
    """Takes from a line what would leave no room in a message: containers, an address that is
    then written out, the name of a language."""
    path, opens = line.path, line.opens
    while path and sum(map(width_of, path)) * 4 > limit:
        path, opens = path[1:], max(opens - 1, 0)
    language = line.language
    if len(language) > min(_LONGEST_LANGUAGE, limit // 8) or "`" in language:
        language = ""
    if any(measure(span.link or "", unit) * 2 > limit for span in line.spans):
        line = replace(line, spans=_write_out(line.spans, limit, unit))
    return replace(line, path=path, opens=opens, language=language)


def _write_out(spans: Sequence[Span], limit: int, unit: TextUnit) -> list[Span]:
    """The spans with the addresses that are too long as text behind their links."""
    written: list[Span] = []
    for index, span in enumerate(spans):
        address = span.link
        if address is None or measure(address, unit) * 2 <= limit:
            written.append(span)
            continue
        marks = frozenset(mark for mark in span.marks if address_of(mark) is None)
        written.append(Span(span.text, marks))
        following = spans[index + 1].link if index + 1 < len(spans) else None
        if following != address and span.text != address:
            written.append(Span(f" ({address})", marks - {CODE}))
    return tidy_spans(written)
