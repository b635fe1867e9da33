"""Random Markdown whose words are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from hypothesis import strategies as st

from sigil.channels.base import ChannelSpec, Markup, TextUnit

UNITS: dict[Markup, TextUnit] = {"telegram": "utf16", "matrix": "bytes"}
TARGETS: list[Markup] = list(get_args(Markup))
SPLIT: list[Markup] = [target for target in TARGETS if target != "email"]
LIMITS = st.integers(64, 400)


def make_spec(markup: Markup, limit: int = 4096) -> ChannelSpec:
    return ChannelSpec(markup=markup, text_limit=limit, text_unit=UNITS.get(markup, "characters"))


@dataclass(frozen=True)
class Document:
    source: str
    words: list[str]  # each of them once, in the order in which they stand there


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Blocks of every kind, of words that are all different."""
    words: list[str] = []

    def word() -> str:
        number = len(words)
        digits = "".join(chr(ord("a") + number // 26**place % 26) for place in (2, 1, 0))
        words.append(f"q{digits}{draw(_ENDINGS)}")
        return words[-1]

    def inline() -> str:
        parts = []
        for _ in range(draw(st.integers(1, 6))):
            before, after = draw(_STYLES)
            parts.append(before + " ".join(word() for _ in range(draw(st.integers(1, 3)))) + after)
        return draw(st.sampled_from([" ", " ", "\n", ""])).join(parts)

    def row(cells: int) -> str:
        return "|" + "|".join(word() for _ in range(cells)) + "|"

    def block(depth: int = 0) -> str:
        kind = draw(st.integers(0, 9 if depth < 3 else 5))
        if kind <= 2:
            return inline()
        if kind == 3:
            return "#" * draw(st.integers(1, 6)) + " " + inline().replace("\n", " ")
        if kind == 4:
            mark = draw(st.sampled_from(["```", "~~~", "````"]))
            code = [draw(_INDENTS) + word() for _ in range(draw(st.integers(0, 6)))]
            return "\n".join([mark + draw(_LANGUAGES), *code, mark])
        if kind == 5:
            cells = draw(st.integers(1, 5))
            ruler = "|" + "---|" * cells
            rows = [row(cells) for _ in range(draw(st.integers(1, 5)))]
            return "\n".join([rows[0], ruler, *rows[1:]])
        if kind == 6:
            return "> " + block(depth + 1).replace("\n", "\n> ")
        if kind == 7:
            return f"$$\n{word()} * {word()} * c\n$$"
        marker = draw(st.sampled_from(["- ", "* ", "3. ", "1) ", "- [ ] ", "- [x] "]))
        indent = "\n" + " " * (2 if marker[0] in "-*" else 3)
        items = [
            marker + (inline() if "[" in marker else block(depth + 1)).replace("\n", indent)
            for _ in range(draw(st.integers(1, 3)))
        ]
        return draw(st.sampled_from(["\n", "\n\n"])).join(items)

    source = "\n\n".join(block() for _ in range(draw(st.integers(1, 6))))
    return Document(source, words)


_ENDINGS = st.sampled_from(
    ["", "", "é", "e\u0301", "你好", "\U0001f600", "\U0001f44d\U0001f3fd", "ß" * 90]
)
_STYLES = st.sampled_from(
    [
        ("", ""),
        ("", ""),
        ("**", "**"),
        ("*", "*"),
        ("~~", "~~"),
        ("`", "`"),
        ("***", "***"),
        ("[", "](https://a.example/x?a=1&b=2)"),
        ("[", "](javascript:x)"),
        ("![", "](/relative)"),
        ("\\*", "\\*"),
        ("<i>", "</i>"),
        ("$x_1 = ", "$"),
        ("\\(", "\\)"),
        ("**[", "](mailto:a@b.example)**"),
        ("a_", "_b"),
        ("||", "||"),
        ("<@", ">"),
        ("snake_", "_case"),
        ("[", "](https://b.example/" + "x" * 250 + ")"),
    ]
)
_INDENTS = st.sampled_from(["", "    ", "\t", "> ", "- "])
_LANGUAGES = st.sampled_from(["", "python", "c++ title=x", "x" * 80])

_SOUP = "ab \n\t*_~`[]()!<>#-+.1|$\\:\"'&@=\r\x00\ud800\u202e\u200d\u0301\u4f60\U0001f600\U0001f1e9"
soup = st.one_of(
    st.text(alphabet=_SOUP, max_size=300),
    st.lists(
        st.sampled_from(
            [
                "> ",
                "- ",
                "1. ",
                "```",
                "~~~",
                "\n",
                "\n\n",
                "    ",
                "**",
                "*",
                "_",
                "`",
                "|",
                "\n|-|-|\n",
                "[a](http://b.c)",
                "![",
                "](",
                "$$",
                "\\(",
                "\\)",
                "\\[",
                "# ",
                "word",
                "😀",
                "---\n",
                "[a]: http://d.e\n",
                "a" * 70,
                "\u0301",
                "\ud83d",
                "🇩🇪",
                "👩‍👩‍👧",
                "<b>",
                "&amp;",
                "&#0;",
                "[ ] ",
            ]
        ),
        max_size=60,
    ).map("".join),
)
