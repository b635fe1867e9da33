"""What every renderer must hold."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigil.channels.base import Markup, MediaRules, Rendered
from sigil.channels.render import needs_file, render
from sigil.channels.render.matrix import MOST_BYTES
from sigil.channels.render.units import is_inside_cluster, measure
from tests.channels.render.documents import (
    LIMITS,
    SPLIT,
    TARGETS,
    Document,
    documents,
    make_spec,
    soup,
)

# https://spec.matrix.org/v1.19/client-server-api/#mroommessage-msgtypes
MATRIX_TAGS = (
    "del|h[1-6]|blockquote|p|a|ul|ol|sup|sub|li|b|i|u|strong|em|s|code|hr|br|div|table|"
    "thead|tbody|tr|th|td|caption|pre|span|img|details|summary"
)
TELEGRAM_TYPES = {"bold", "italic", "strikethrough", "code", "pre", "text_link", "blockquote"}
targets = st.sampled_from(TARGETS)


@settings(deadline=None)  # the first text of a target also loads it
@given(documents(), targets, LIMITS)
def test_every_word_arrives_once_and_in_order(
    document: Document, target: Markup, limit: int
) -> None:
    messages = render(document.source, make_spec(target, limit))
    for text in (join([m.text for m in messages]), join([m.plain for m in messages])):
        rest = iter(text)
        for word in document.words:
            assert all(char in rest for char in word), word
        if "|---|" not in document.source:  # the names of a wide table's columns are repeated
            assert all(text.count(word[:4]) <= 1 for word in document.words)


@settings(deadline=None)  # the first text of a target also loads it
@given(st.one_of(soup, documents().map(lambda document: document.source)), targets, LIMITS)
def test_what_is_sent_can_be_sent(text: str, target: Markup, limit: int) -> None:
    spec = make_spec(target, limit)
    messages = render(text, spec)
    assert messages
    for message in messages:
        assert len(messages) == 1 or message.text.strip()
        if target != "email":
            assert measure(message.text, spec.text_unit) <= limit
            assert measure(message.plain, spec.text_unit) <= limit
        if target != "commonmark":
            json.dumps([message.text, dict(message.extras)], ensure_ascii=False).encode()
        CHECKS[target](message)


def join(texts: list[str]) -> str:
    """What is visible of messages, without white space and escapes."""
    return re.sub(r"[\s\\\u200b]", "", "".join(texts))


def check_fences(message: Rendered) -> None:
    """Every fence begins a line, and is closed."""
    assert message.text.count("```") % 2 == 0
    fences = re.findall(r"^[ >]*```", message.text, re.MULTILINE)
    assert len(fences) == message.text.count("```")


def check_entities(message: Rendered) -> None:
    entities = message.extras.get("entities", [])
    units = message.text.encode("utf-16-le")
    assert len(entities) <= 100
    stack: list[dict[str, object]] = []
    for entity in sorted(entities, key=lambda entity: (entity["offset"], -entity["length"])):
        assert entity["type"] in TELEGRAM_TYPES
        begin, end = entity["offset"], entity["offset"] + entity["length"]
        assert 0 <= begin < end <= len(units) // 2
        characters = len(units[: begin * 2].decode("utf-16-le"))  # fails within a surrogate pair
        covered = units[begin * 2 : end * 2].decode("utf-16-le")
        assert covered.strip() or entity["type"] in ("pre", "code")
        assert not is_inside_cluster(message.text, characters)
        assert not is_inside_cluster(message.text, characters + len(covered))
        while stack and stack[-1]["end"] <= begin:  # type: ignore[operator]  # they are integers
            stack.pop()
        assert not stack or end <= stack[-1]["end"]  # type: ignore[operator]  # they are integers
        around = [outer["type"] for outer in stack]
        assert entity["type"] not in around
        assert not {"pre", "code"} & set(around)
        if entity["type"] in ("pre", "code"):
            assert set(around) <= {"blockquote"}
        if entity["type"] == "text_link":
            assert re.match(r"https?://", entity["url"])
        stack.append({"type": entity["type"], "end": end})


class _Html(HTMLParser):
    def __init__(self, allowed: str) -> None:
        super().__init__(convert_charrefs=True)
        self.allowed, self.stack, self.text = allowed, list[str](), ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert re.fullmatch(self.allowed, tag)
        if tag not in ("a", "strong", "em", "del", "code"):
            self.text += "\n"
        assert {name for name, _ in attrs} <= {"href", "start", "class", "style"}
        assert all(re.match("https?:|mailto:", value or "") for n, value in attrs if n == "href")
        if tag not in ("br", "hr"):
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag
        if tag in ("p", "li", "pre"):
            self.text += "\n"

    def handle_data(self, data: str) -> None:
        self.text += data


def check_html(html: str, text: str) -> None:
    parser = _Html(MATRIX_TAGS)
    parser.feed(html)
    parser.close()
    assert parser.stack == []
    assert set(re.findall(r"q[a-z]{3}", parser.text)) <= set(re.findall(r"q[a-z]{3}", text))


def check_matrix(message: Rendered) -> None:
    if message.extras:
        check_html(message.extras["formatted_body"], message.text)
        assert len(json.dumps(dict(message.extras), ensure_ascii=False).encode()) <= MOST_BYTES


CHECKS = {
    "commonmark": lambda message: None,  # test_commonmark.py
    "slack": lambda message: None,
    "plain": lambda message: None,
    "telegram": check_entities,
    "discord": check_fences,
    "whatsapp": check_fences,
    "matrix": check_matrix,
    "email": lambda message: check_html(message.extras["html"], message.text),
}


HOSTILE = {
    "brackets": "[" * 400_000,
    "images": "![" * 40_000,
    "quotes": ">" * 50_000 + "x",
    "nested quotes": (">" * 50 + " x\n") * 1_000,
    "nested lists": "".join("  " * (at % 60) + f"- d{at}\n" for at in range(1_500)),
    "items in items": "- " * 20_000 + "x",
    "stars": "*a **b " * 10_000,
    "table": "|a" * 2_000 + "\n" + "|-" * 2_000 + "\n" + "|x\n" * 2_000,
    "references": "[a]: http://x.y/" + "z" * 10_000 + "\n\n" + "[a]" * 5_000,
    "an open fence": "```py\n" + "x = 1\n" * 10_000,
    "one line": "x" * 1_000_000,
    "marks without a letter": "e" + "\u0301" * 50_000,
    "halves of characters": "\ud800" * 50_000,
    "joiners": "\u200d" * 50_000,
    "bidi": "\u202e\u2066abc" * 10_000,
    "styles": "**a** " * 2_000,
    "dollars": "$a_" * 4_000 + "$$\n" * 4_000,
    "a long address": f"[{'a' * 20_000}](http://x.example/{'q' * 1_900})",
    "lines": "a\n" * 10_000,
}


@pytest.mark.parametrize("target", ["telegram", "slack", "discord", "matrix"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_stays_small(name: str, target: Markup) -> None:
    spec = make_spec(target)
    messages = render(HOSTILE[name], spec)
    size = sum(len(m.text) + len(json.dumps(dict(m.extras))) for m in messages)
    assert size <= 25 * len(HOSTILE[name])
    assert all(measure(m.text, spec.text_unit) <= spec.text_limit for m in messages)
    for message in messages:
        CHECKS[target](message)


def test_a_limit_too_small_for_fences_is_refused() -> None:
    for target in SPLIT:
        with pytest.raises(ValueError, match="at least 64"):
            render("text", make_spec(target, 63))


def test_a_file_is_kinder_where_the_channel_takes_one() -> None:
    plain = make_spec("plain")
    takes_files = type(plain)(media=MediaRules(outgoing=frozenset({"file"})))
    assert needs_file("x" * 101, takes_files, 100)
    assert not needs_file("x" * 100, takes_files, 100)
    assert not needs_file("x" * 101, plain, 100)
    assert not needs_file("x" * 101, takes_files, None)
