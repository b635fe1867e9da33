"""What tests of the page share: a running Sigil, and a page that complains about nothing."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

ROOT = Path(__file__).parents[2]
ANSWER = ".entry:not(.mine)"
DONE = f"{ANSWER}:not(.live) footer time"
STREAM_S = 15_000


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SIGIL_")}


@contextmanager
def running(folder: Path, command: str, port: int = 0, **env: str) -> Iterator[str]:
    """Runs a `sigil` command and yields the page's address that it prints."""
    log = folder / f"{command}.out"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "sigil", command, f"--port={port}"],
            cwd=folder,
            env=clean_environment()
            | {"SIGIL_DATA_DIR": str(folder / "data"), "COLUMNS": "200"}
            | env,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 45
        while not (found := re.search(r"http://[\d.]+:\d+/", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield found[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


@contextmanager
def open_page(
    browser: Browser,
    url: str,
    *,
    noise: str = r"^$",
    **options: object,
) -> Iterator[Page]:
    """A page in a context of its own, in which no script or policy complains."""
    context = browser.new_context(**options)  # type: ignore[arg-type]
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.goto(url)
    yield page
    context.close()
    assert [line for line in complaints if not re.search(noise, line)] == []


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def expect_answers(page: Page, count: int) -> None:
    expect(page.locator(DONE)).to_have_count(count, timeout=STREAM_S)
    expect(page.locator(ANSWER)).to_have_count(count)
