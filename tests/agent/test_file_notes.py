"""What a model reads of a text file: nothing in it can pass for words of anybody else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sigil.agent.file_notes import quote_text, read_text, tell_model
from sigil.blobs.base import MAX_NAME_BYTES, clean_name
from sigil.blobs.types import find_type

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
BREAKS = st.text(alphabet="\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029|[]b ")


@given(TEXTS | BREAKS, st.booleans())
def test_each_line_of_a_file_is_marked(text: str, is_cut: bool) -> None:
    first, *marked, last = quote_text("b", "a.txt", text, is_cut=is_cut).splitlines()
    assert all(line.startswith("| ") for line in marked)
    assert [line[2:] for line in marked] == text.splitlines()
    assert first.startswith('[b the text of the file "a.txt" follows')
    assert last in {"[b here the file ends]", "[b the rest of the file is left out]"}


@given(st.text())
def test_a_name_stays_within_its_line_and_its_bound(name: str) -> None:
    cleaned = clean_name(name)
    assert cleaned
    assert len(cleaned.encode()) <= MAX_NAME_BYTES
    assert "/" not in cleaned
    assert clean_name(cleaned) == cleaned
    assert len(tell_model("b", cleaned, "why", is_new=True).splitlines()) == 1


@given(st.binary(max_size=2000), st.text(max_size=50))
def test_any_bytes_have_a_type_and_are_a_text_or_not(data: bytes, claimed: str) -> None:
    found = find_type(data, claimed)
    assert found.count("/") == 1
    text = read_text(data, found, "a.txt")
    assert text is None or "\0" not in text
