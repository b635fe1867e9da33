import asyncio
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigil.web.chat.html_cache import HtmlCache
from sigil.web.chat.markdown import MAX_CHARS, MOST_HTML_CHARS, PART_CHARS, render_markdown

TAGS = {
    *("p", "br", "strong", "em", "s", "code", "pre", "a", "ul", "ol", "li", "blockquote", "hr"),
    *("h1", "h2", "h3", "h4", "h5", "h6"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {"href", "title", "target", "rel", "class", "start"}
SCHEMES = ("http://", "https://", "mailto:")

NASTY = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](java&#10;script:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](\\javascript:alert(1))",
    "[x](%6Aavascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](data:image/svg+xml,<svg onload=alert(1)>)",
    "[x](file:///etc/passwd)",
    "[x](//evil.example/x)",
    "[x](/logout)",
    '[x](https://ok.example/"onmouseover=alert(1)//)',
    "[x](<https://ok.example/' onclick=alert(1)>)",
    '[x](https://ok.example "title\\" onclick=alert(1)")',
    "[x](http://[bad)",
    "![x](https://tracker.example/p.gif)",
    '!["><script>alert(1)</script>](https://tracker.example/p.gif)',
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "<javascript:alert(1)>",
    "<https://ok.example/><script>",
    '```"><script>alert(1)</script>\nx\n```',
    "```js onload=alert(1)\n</code></pre><script>alert(1)</script>\n```",
    "`<script>alert(1)</script>`",
    "| <b>a</b> | b |\n|:-:|--:|\n| <i>c</i> | `|` |",
    "[a]: javascript:alert(1)\n\n[a]",
    "<!-- --><script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<style>*{display:none}</style>",
    "\u202e<script>",
    "[" * 5000 + "x" + "](javascript:alert(1))" * 5000,
    ">" * 3000 + "x",
    "*" * 20000 + "x",
]


class Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert tag in TAGS, tag
        for name, value in attrs:
            assert name in ATTRIBUTES, (tag, name)
            if name == "href":
                assert (value or "").lower().startswith(SCHEMES), value
        if tag == "a":
            given = dict(attrs)
            assert given["target"] == "_blank"
            assert {"noopener", "nofollow"} <= set((given["rel"] or "").split())

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment came through")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError("a declaration came through")


def check(html: str) -> list[str]:
    checker = Checker()
    checker.feed(html)
    checker.close()
    return checker.tags


@pytest.mark.parametrize("text", NASTY)
def test_nothing_active_comes_through(text: str) -> None:
    check(render_markdown(text))


@given(st.text(alphabet="<>&\"'`[]()!*_~|-#:/\\ \n\tabjscript=x", max_size=400))
def test_nothing_active_comes_through_whatever_is_written(text: str) -> None:
    check(render_markdown(text))


def test_images_are_links_that_load_nothing() -> None:
    html = render_markdown("![a cat](https://pics.example/cat.png)")
    assert check(html) == ["p", "a"]
    assert ">a cat</a>" in html


def test_what_models_write_is_rendered() -> None:
    text = "# Hi\n\n- *a*\n- **b**\n\n| x | y |\n|--:|---|\n| 1 | ~~2~~ |\n\n```py\nprint('<')\n```"
    html = render_markdown(text)
    expected = "h1 ul li em li strong table thead tr th th tbody tr td td s pre code"
    assert " ".join(check(html)) == expected
    assert 'class="right"' in html
    assert "print('&lt;')" in html
    assert render_markdown("one\ntwo") == "<p>one<br />\ntwo</p>\n"


def test_a_very_long_text_is_shown_plainly() -> None:
    html = render_markdown("<b>" * MAX_CHARS)
    assert check(html) == ["pre"]


TABLE = "|a" * 181 + "|\n" + "|-" * 181 + "|\n" + "x\n" * 362 + "\n"
QUOTED_TABLE = "".join(f"> {line}\n" for line in TABLE.splitlines())
TABS_IN_RULER = TABLE.replace("|-", "|\t-")


def repeat(text: str, length: int) -> str:
    return (text * (length // len(text) + 1))[:length]


@pytest.mark.parametrize("length", [PART_CHARS, MAX_CHARS])
@pytest.mark.parametrize(
    "text",
    [
        TABLE,
        QUOTED_TABLE,
        TABS_IN_RULER,
        f"[a]: http://x/{'b' * 12_000}\n\n" + "[a] " * 5_000,
        f"[a]: http://x/{'b' * 300}\n\n" + "[a]" * 7_000,
        f'[a]: http://x "\n{"t" * 12_000}\n"\n\n' + "[a] " * 5_000,
        f"> [a]:\n> http://x/{'b' * 12_000}\n\n" + "![a]" * 5_000,
    ],
    ids=["table", "quoted", "tabs", "long", "many", "title", "image"],
)
def test_a_short_text_makes_no_huge_page(text: str, length: int) -> None:
    html = render_markdown(repeat(text, length))
    assert len(html) < 500_000
    check(html)


@given(st.text(alphabet="|-: >\n\tx[]a\\", max_size=300), st.integers(1, 100))
def test_html_is_bounded_whatever_is_written(text: str, times: int) -> None:
    assert len(render_markdown((text * times)[:PART_CHARS])) <= 5 * PART_CHARS + MOST_HTML_CHARS


def test_lines_end_where_markdown_ends_them() -> None:
    """Other separators, which Python knows, must not hide the rows of a huge table."""
    head = "|a" * 181 + "|\n" + "|-" * 181 + "|\n"
    assert "<table>" not in render_markdown(head + "x\u2028\u2028\n" * 100)


def test_an_answer_with_many_references_has_links() -> None:
    uses = "".join(f"See [point {n}][{n}].\n\n" for n in range(200))
    definitions = "".join(f"[{n}]: https://docs.example/some/path/{n}\n" for n in range(200))
    assert render_markdown(f"{uses}\n{definitions}").count("<a ") == 200


def test_a_table_of_usual_size_is_a_table() -> None:
    rows = "".join(f"| {n} | [a] |\n" for n in range(200))
    html = render_markdown(f"| n | a |\n|---|---|\n{rows}\n[a]: https://ok.example/page")
    assert html.count("<td>") == 400
    assert html.count('href="https://ok.example/page"') == 200


def test_a_long_text_is_formatted_in_parts() -> None:
    html = render_markdown("**word** and more\n\n" * 3_000)
    assert html.count("<strong>") == 3_000


async def test_readers_of_one_text_share_its_html(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[str] = []

    def count(text: str) -> str:
        rendered.append(text)
        return "html"

    monkeypatch.setattr("sigil.web.chat.html_cache.render_part", count)
    cache, text = HtmlCache(), "word " * 2_000
    first = asyncio.create_task(cache.render(text))
    second = asyncio.create_task(cache.render(text))
    await asyncio.sleep(0)
    first.cancel()  # this reader leaves; the other one still gets the page
    assert await second == "html"
    assert await cache.render(text) == "html"
    assert rendered == [text]


async def test_the_html_that_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[str] = []
    monkeypatch.setattr("sigil.web.chat.html_cache.render_part", lambda t: rendered.append(t) or t)
    cache = HtmlCache(most_chars=100)
    for text in ("one", "one", "x" * 49, "one", "y" * 49, "one"):
        await cache.render(text)
    assert rendered == ["one", "x" * 49, "one", "y" * 49, "one"]
