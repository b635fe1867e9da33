"""Every file of this repository that a page names is there."""

from __future__ import annotations

import re

import pytest

from tests.workers.stack import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
PATH = re.compile(r"`((?:sigil|workers|tests|docs|deploy|benchmarks)/[\w./-]+)`")
OF_THE_READER = "sigil/sigil.yaml"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_path_leads_to_a_file(page) -> None:
    named = set(PATH.findall(page.read_text())) - {OF_THE_READER}
    paths = {path for path in named if "NAME" not in path}
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
