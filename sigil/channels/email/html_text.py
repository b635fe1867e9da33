"""The text of an HTML mail, with its links, lists and quotes.

The standard library's parser takes quadratic time for tags that do not end, minutes for one mail.
What is read here is read in one pass.
"""

from __future__ import annotations

import re
from html import unescape

LONGEST_HTML = 256 * 1024

_SPACED = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "table", "ul", "ol", "pre"}
_BLOCKS = _SPACED | {"address", "article", "body", "dd", "div", "dl", "dt", "footer", "header"}
_BLOCKS |= {"hr", "li", "main", "section", "tr"}
_SKIPPED = {"head", "script", "style", "template", "title"}
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "wbr"}
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])", re.IGNORECASE
)
_MOST_DEPTH = 1000
_TOKEN = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)([^<>]*)>|<[!?][^<>]*>|<|[^<]+")
_ATTRIBUTE = re.compile(r"""\b(href|style)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)


def read_html(html: str) -> str:
    """The text that a reader of the mail sees; at most `LONGEST_HTML` characters are read."""
    reader = _Reader()
    for token in _TOKEN.finditer(_drop_comments(html[:LONGEST_HTML])):
        is_end, tag, attributes = token.groups()
        if tag is None:
            if not token[0].startswith(("<!", "<?")):
                reader.add_text(unescape(token[0]))
        elif is_end:
            reader.end_tag(tag.lower())
        else:
            reader.begin_tag(tag.lower(), _read_attributes(attributes))
    return reader.finish()


def _read_attributes(text: str) -> dict[str, str]:
    found = _ATTRIBUTE.findall(text[:4000])
    return {name.lower(): unescape(value.strip("\"'")) for name, value in found}


def _drop_comments(html: str) -> str:
    """Without a pattern, which would take quadratic time for comments that do not end."""
    kept, start = [], 0
    while (begin := html.find("<!--", start)) >= 0:
        kept.append(html[start:begin])
        end = html.find("-->", begin + 4)
        if end < 0:
            return "".join(kept)
        start = end + 3
    return "".join((*kept, html[start:]))


class _Reader:
    """Writes lines, by the tags as they come."""

    def __init__(self) -> None:
        self._lines: list[str] = [""]
        self._quotes = 0
        self._open: list[tuple[str, bool]] = []  # each with whether it is hidden
        self._hidden = 0
        self._links: list[tuple[str, int]] = []  # address, and where its text begins
        self._pre = 0

    def begin_tag(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "br":
            self._break()
        if tag in _BLOCKS:
            self._break_block(tag)
        if tag in _VOID:
            return
        is_hidden = tag in _SKIPPED or bool(_HIDDEN.search(attributes.get("style", "")))
        if len(self._open) < _MOST_DEPTH:
            self._open.append((tag, is_hidden))
            self._hidden += is_hidden
        if tag == "blockquote":
            self._quotes += 1
            self._lines[-1] = self._prefix()
        elif tag == "pre":
            self._pre += 1
        elif tag == "li":
            self._write("- ")
        elif tag in {"td", "th"} and self._lines[-1].strip("> "):
            self._write(" | ")
        elif tag == "a":
            self._links.append((attributes.get("href", ""), len(self._lines[-1])))

    def end_tag(self, tag: str) -> None:
        if tag not in {name for name, _ in self._open[-20:]}:
            return
        while self._open:
            name, was_hidden = self._open.pop()
            self._hidden -= was_hidden
            if name == "blockquote":
                self._break_block(name)
                self._quotes -= 1
                self._lines.append(self._prefix())
            elif name == "pre":
                self._pre -= 1
            elif name == "a" and self._links:
                self._end_link(*self._links.pop())
            if name == tag:
                break
        if tag in _BLOCKS and tag != "blockquote":
            self._break_block(tag)

    def add_text(self, data: str) -> None:
        if self._pre:
            first, *rest = data.split("\n")
            self._write(first)
            for line in rest:
                self._break()
                self._write(line)
            return
        text = re.sub(r"\s+", " ", data)
        if not self._lines[-1].strip("> "):
            text = text.lstrip()
        self._write(text)

    def finish(self) -> str:
        text = "\n".join(line.rstrip().replace("\xa0", " ") for line in self._lines)
        return re.sub(r"(\n(?:> )*>?)\1{2,}", r"\1\1", text).strip()

    def _prefix(self) -> str:
        return "> " * min(self._quotes, 20)

    def _write(self, text: str) -> None:
        if not self._hidden and text:
            self._lines[-1] += text

    def _break(self) -> None:
        if not self._hidden:
            self._lines.append(self._prefix())

    def _break_block(self, tag: str) -> None:
        if self._lines[-1].strip("> "):
            self._break()
        is_below_words = len(self._lines) > 1 and self._lines[-2].strip("> ")
        if tag in _SPACED and is_below_words:
            self._break()

    def _end_link(self, href: str, start: int) -> None:
        shown = self._lines[-1][start:].strip()
        if href.startswith(("http://", "https://")) and href.rstrip("/") != shown.rstrip("/"):
            self._write(f" ({href[:2000]})" if shown else href[:2000])
