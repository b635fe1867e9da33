import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sigil.channels.render.commonmark import MIN_LIMIT, split

limits = st.integers(MIN_LIMIT, 400)
words = st.text(alphabet="abc déf*_`[]()!#-1.\u4f60\U0001f600\u0301", min_size=1, max_size=300)
prose = st.lists(words, min_size=1, max_size=4).map("\n".join)


@st.composite
def fences(draw: st.DrawFn) -> str:
    mark = draw(st.sampled_from(["```", "~~~", "`````"]))
    info = draw(st.sampled_from(["", "python", "c++ title=x"]))
    code = draw(st.lists(st.text(alphabet="xyz =()>\t", max_size=200), max_size=12))
    indent = draw(st.sampled_from(["", "", "  ", "> "]))
    return "\n".join(indent + line for line in [mark + info, *code, mark])


documents = st.lists(st.one_of(prose, fences()), min_size=1, max_size=8).map("\n\n".join)


def letters(text: str) -> str:
    """What must survive: everything but white space, fence lines, quote marks and escapes."""
    kept = [line for line in text.split("\n") if not re.match(r"[ >]*(```|~~~)", line)]
    return re.sub(r"[\s>\\]", "", "".join(kept))


def code_of(text: str) -> str:
    tokens = MarkdownIt("commonmark").parse(text)
    return re.sub(r"\s", "", "".join(t.content for t in tokens if t.type == "fence"))


@given(documents, limits)
def test_every_part_fits_and_nothing_is_lost(text: str, limit: int) -> None:
    parts = split(text, limit)
    assert all(len(part) <= limit for part in parts)
    assert all(part.strip() for part in parts) or len(parts) == 1
    assert letters("\n".join(parts)) == letters(text)


@given(st.text(max_size=600), limits)
def test_any_text_fits(text: str, limit: int) -> None:
    parts = split(text, limit)
    assert parts
    assert all(len(part) <= limit for part in parts)


@given(documents, limits)
def test_code_stays_code_and_prose_stays_prose(text: str, limit: int) -> None:
    assert "".join(map(code_of, split(text, limit))) == code_of(text)


@given(st.lists(fences(), min_size=1, max_size=4).map("\n\n".join), limits)
def test_each_part_closes_the_fences_it_opens(text: str, limit: int) -> None:
    for part in split(text, limit):
        opened = None
        for line in part.split("\n"):
            mark = re.match(r"[ >]*(`{3,}|~{3,})", line)
            if mark and opened is None:
                opened = mark[1]
            elif mark and mark[1].startswith(opened or "") and line.endswith(mark[1]):
                opened = None
        assert opened is None


def test_short_text_comes_back_as_it_is() -> None:
    assert split("  hello\n", 100) == ["  hello\n"]
    assert split("", 100) == [""]


def test_paragraphs_are_kept_together() -> None:
    first, second = "a" * 60 + "\n" + "b" * 10, "c" * 20 + "\n" + "d" * 30
    assert split(f"{first}\n\n{second}", 100) == [first, second]


def test_words_are_kept_whole() -> None:
    parts = split("word " * 100, 64)
    assert all(set(part.split(" ")) == {"word"} for part in parts)


def test_the_info_string_is_repeated() -> None:
    text = "See:\n\n```python\n" + "\n".join(f"line_{n} = {n}" for n in range(40)) + "\n```\nDone."
    parts = split(text, 200)
    assert len(parts) > 2
    assert parts[0].startswith("See:\n\n```python\nline_0 = 0")
    assert all(part.startswith("```python\n") for part in parts[1:])
    assert all(part.endswith("\n```") for part in parts[:-1])
    assert parts[-1].endswith("```\nDone.")


def test_a_fence_in_a_list_is_dedented_where_the_list_is_gone() -> None:
    code = "\n".join(f"     line_{n}()" for n in range(30))
    parts = split(f"1. Do this:\n\n     ```sh\n{code}\n     ```\n", 120)
    assert all(code_of(part) for part in parts)
    assert all(part.startswith("```sh\nline_") for part in parts[1:])


def test_backticks_within_a_line_do_not_open_a_fence_in_the_next_part() -> None:
    parts = split("x" * 64 + " ```not a fence``` " + "y" * 64, 64)
    assert not any(code_of(part) for part in parts)


@pytest.mark.parametrize(
    "cluster",
    [
        "e\u0301",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\U0001f1e9\U0001f1ea",
        "\U0001f44d\U0001f3fd",
    ],
)
def test_visible_characters_are_not_torn_apart(cluster: str) -> None:
    for shift in range(len(cluster) + 1):
        parts = split("x" * shift + cluster * 50, 64)
        assert all((part.lstrip("x")).replace(cluster, "") == "" for part in parts)


def test_a_limit_too_small_for_fences_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 64"):
        split("text", MIN_LIMIT - 1)
