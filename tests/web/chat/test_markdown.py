from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigil.web.chat.markdown import MAX_CHARS, render_markdown

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
