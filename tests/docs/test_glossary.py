"""The glossary names what is in the code, and each word once."""

from __future__ import annotations

import importlib
import re

import pytest

from tests.workers.stack import ROOT

PAGE = (ROOT / "docs/glossary.md").read_text()
NAMES = sorted(set(re.findall(r"`((?:sigil|workers)\.[\w.]+)`", PAGE)))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_exists(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    if attribute[0].isupper():
        assert hasattr(importlib.import_module(module), attribute)
    else:
        importlib.import_module(name)


def test_a_word_has_one_row() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\*", PAGE, re.MULTILINE)
    assert len(words) == len(set(words))
