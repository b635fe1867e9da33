"""The pages that are followed to the letter: what they say is what happens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.page import Command, File, read_steps
from tests.docs.reader import Reader
from tests.workers.stack import ROOT, short_folder

PAGES = ("your-first-change", "write-a-channel")
pages = pytest.mark.parametrize("page", [ROOT / f"docs/{name}.md" for name in PAGES], ids=PAGES)


@pytest.fixture
def reader() -> Iterator[Reader]:
    with short_folder() as folder:
        reader = Reader(folder)
        yield reader
        reader.leave()


@pytest.mark.valkey
@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.xdist_group("processes")
@pytest.mark.usefixtures("valkey_url")  # skips where there is no Valkey
@pages
def test_what_the_page_says_is_what_happens(reader: Reader, page: Path) -> None:
    for step in read_steps(page):
        if isinstance(step, File):
            reader.save(step)
        else:
            reader.type(step)
    reader.press_ctrl_c()


@pages
def test_the_page_is_understood(page: Path) -> None:
    steps = list(read_steps(page))
    files = [step.name for step in steps if isinstance(step, File)]
    assert "sigil.yaml" in files
    blocks = re.findall(r"^```\w.*$", page.read_text(), re.MULTILINE)
    consoles = [block for block in blocks if block == "```console"]
    assert len(blocks) == len(files) + len(consoles)
    lines = [step.line for step in steps if isinstance(step, Command)]
    assert len(lines) == len(re.findall(r"^\$ ", page.read_text(), re.MULTILINE))


@pages
def test_the_prose_names_each_file_right_above_it(page: Path) -> None:
    for step in read_steps(page):
        if isinstance(step, File):
            assert f"`{step.name}`" in step.before


@pytest.mark.parametrize(
    ("output", "printed", "agrees"),
    [
        ("a  b\n", "a b\n", True),
        ("a b\n", "a\tb\n\n", True),
        ("a … b\n", "a 1 2 b\n", True),
        ("…\nb\n", "1\n2\nb\n", True),
        ("a b\n", "a c\n", False),
        ("a\n", "a\nb\n", False),
        ("a … b\n", "a\nb\n", False),
        ("", "a\n", False),
    ],
)
def test_a_page_that_has_drifted_is_noticed(output: str, printed: str, agrees: bool) -> None:
    assert Command("x", output).prints(printed) is agrees
