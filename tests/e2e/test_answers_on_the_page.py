"""What the page tells of an answer, and where it stands, with models that break off and are cut
or stopped."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from sigil.agent.ending import CONTINUE
from tests.e2e.pages import ANSWER, STREAM_S, expect_answers, open_page, say

pytestmark = [
    pytest.mark.browser,
    pytest.mark.valkey,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser"),
]

LIVE = f"{ANSWER}.live"
PHONE = {"width": 390, "height": 844}
# axe-core reports less, but needs a script from outside.
UNNAMED = """[...document.querySelectorAll('button, summary, a')].filter(
  (each) => each.checkVisibility() && !(each.getAttribute('aria-label') ?? each.textContent).trim()
).length"""


@pytest.fixture
def page(browser: Browser, lab: str) -> Iterator[Page]:
    with open_page(browser, lab) as page:
        yield page


def use(page: Page, model: str) -> None:
    """Begins a chat with this model."""
    say(page, f"/model {model}")
    expect_answers(page, 1)


def shown(page: Page) -> list[str]:
    """The messages in their order, the first words of each."""
    bodies = page.locator(".entry .body").all_inner_texts()
    return [" ".join(body.split()[:3]) for body in bodies]


def footer(page: Page, number: int = -1) -> Locator:
    return page.locator(ANSWER).nth(number).locator("footer")


def test_an_answer_says_which_model_gave_it_how_fast_and_for_how_much(page: Page) -> None:
    use(page, "lab/fast")
    expect(footer(page).locator(".about")).to_have_count(0)  # a command's answer is no model's
    say(page, "hello")
    expect_answers(page, 2)
    about, spent = footer(page).locator(".about"), footer(page).locator(".spent")
    expect(about).to_have_text(re.compile(r"^lab/fast · \d+\.\d s$"))
    expect(spent).to_have_text("1,234 tokens in, 4 out, $0.0038")
    expect(spent).to_be_hidden()
    about.hover()
    expect(spent).to_be_visible()
    page.mouse.move(0, 0)
    expect(spent).to_be_hidden()
    about.focus()
    page.keyboard.press("Enter")
    expect(about).to_have_attribute("aria-expanded", "true")
    expect(spent).to_be_visible()
    assert page.evaluate(UNNAMED) == 0
    page.reload()
    expect(footer(page).locator(".about")).to_have_text(re.compile("lab/fast"), timeout=STREAM_S)


def test_on_a_phone_the_price_comes_with_a_tap(browser: Browser, lab: str) -> None:
    with open_page(browser, lab, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        use(page, "lab/fast")
        say(page, "hello")
        expect_answers(page, 2)
        footer(page).locator(".about").tap()
        expect(footer(page).locator(".spent")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_that_a_model_broke_off_is_said_while_and_after_another_answers(page: Page) -> None:
    use(page, "lab/cut")
    say(page, "hello")
    expect(page.locator(LIVE)).to_contain_text("lost3", timeout=STREAM_S)
    note = "lab/cut broke off; the answer starts over"
    expect(page.locator(f"{LIVE} footer")).to_have_text(note, timeout=STREAM_S)
    expect(page.locator(LIVE)).not_to_contain_text("lost3")
    expect_answers(page, 2)
    expect(footer(page).locator(".note")).to_have_text("lab/cut broke off; lab/calm answered")
    page.reload()
    expect(footer(page).locator(".note")).to_have_text("lab/cut broke off; lab/calm answered")


def test_an_answer_that_was_cut_can_be_continued(page: Page) -> None:
    use(page, "lab/short")
    say(page, "tell me all")
    expect_answers(page, 2)
    expect(footer(page).locator(".note")).to_have_text("cut at 4,096 tokens")
    page.reload()
    footer(page).get_by_role("button", name="Continue").click()
    expect(page.locator(".mine .body").last).to_have_text(CONTINUE.id)
    expect_answers(page, 3)
    expect(page.get_by_role("button", name="Continue")).to_have_count(1)


def test_stop_leaves_the_answer_where_it_is_and_marks_what_it_dropped(page: Page) -> None:
    use(page, "lab/slow")
    say(page, "question")
    expect(page.locator(LIVE)).to_contain_text("word3", timeout=STREAM_S)
    for text in ("second", "third", "fourth"):
        say(page, text)
    expect(page.locator(".mine.pending")).to_have_count(0)
    page.get_by_role("button", name="Stop answering").click()
    expect(page.locator(".mine.undone")).to_have_count(3, timeout=STREAM_S)
    expect(page.locator(LIVE)).to_have_count(0, timeout=STREAM_S)
    expect(page.get_by_role("button", name="Stop answering")).to_be_hidden()

    expected = ["/model lab/slow", "This conversation uses", "question", "word0 word1 word2"]
    expected += ["second", "third", "fourth"]
    assert shown(page) == expected
    expect(footer(page).locator(".note")).to_have_text("stopped")
    assert page.locator("#log").inner_text().lower().count("stopped.") == 0
    page.reload()
    expect(page.locator(".mine.undone")).to_have_count(3, timeout=STREAM_S)
    assert shown(page) == expected
    expect(footer(page).locator(".note")).to_have_text("stopped")

    say(page, "/model lab/fast")
    expect_answers(page, 3)
    again = page.locator(".mine.undone").nth(1).get_by_role("button", name="Send again")
    again.click()
    expect_answers(page, 4)
    expect(page.locator(ANSWER).last).to_contain_text("An answer to third.")
    left = page.get_by_role("button", name="Send again")
    expect(left).to_have_count(2)
    page.reload()
    expect_answers(page, 4)
    expect(left).to_have_count(2)


def test_what_is_said_meanwhile_moves_no_answer(page: Page) -> None:
    use(page, "lab/slow")
    say(page, "question")
    expect(page.locator(LIVE)).to_contain_text("word3", timeout=STREAM_S)
    say(page, "/status")
    say(page, "/help")
    expect(page.locator(f"{ANSWER}:not(.live)")).to_have_count(3, timeout=STREAM_S)
    expect(page.locator(LIVE)).to_contain_text("word20", timeout=STREAM_S)
    expected = ["/model lab/slow", "This conversation uses", "question", "word0 word1 word2"]
    expected += ["/status", "Workspace personal Model", "/help", "/help this list"]
    assert shown(page) == expected
    page.get_by_role("button", name="Stop answering").click()
    expect(page.locator(LIVE)).to_have_count(0, timeout=STREAM_S)
    assert shown(page) == expected
    page.reload()
    expect(page.locator(ANSWER)).to_have_count(4, timeout=STREAM_S)
    assert shown(page) == expected


def test_each_message_that_was_not_taken_is_marked(page: Page) -> None:
    use(page, "lab/slow")
    say(page, "question")
    expect(page.locator(LIVE)).to_contain_text("word3", timeout=STREAM_S)
    for number in range(6):  # four fit, the first among them
        say(page, f"more {number}")
    refused = page.locator(".mine.undone")
    expect(refused).to_have_count(3, timeout=STREAM_S)
    expect(page.locator(LIVE)).to_have_count(1)
    assert refused.locator(".body").all_inner_texts() == ["more 3", "more 4", "more 5"]
    expect(refused.first).to_contain_text("Not taken")
    page.get_by_role("button", name="Stop answering").click()
    expect(page.locator(".mine.undone")).to_have_count(6, timeout=STREAM_S)


def test_the_model_menu_shows_and_changes_what_this_chat_uses(page: Page) -> None:
    menu, choices = page.locator("#picker summary"), page.locator("#models button")
    expect(menu).to_contain_text("lab/calm")
    use(page, "lab/fast")
    expect(menu).to_contain_text("lab/fast")
    menu.focus()
    page.keyboard.press("Enter")
    expect(choices).to_have_count(4)
    expect(choices.first).to_have_attribute("aria-current", "true")
    page.keyboard.press("Escape")
    expect(choices.first).to_be_hidden()
    expect(menu).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(choices.last).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator(".mine .body").last).to_have_text("/model lab/cut")
    expect(menu).to_contain_text("lab/cut")
    say(page, "hello")
    expect_answers(page, 3)
    expect(menu).to_contain_text("lab/calm")  # it stood in
    expect(page.locator("#picker-model")).to_have_attribute("title", re.compile("uses lab/cut"))
    page.reload()
    expect(menu).to_contain_text("lab/calm", timeout=STREAM_S)


def test_there_is_no_menu_of_one_model(page: Page) -> None:
    only = {"current": "lab/fast", "usual": "lab/fast", "allowed": ["lab/fast"]}
    page.route("**/api/chats/*/model", lambda route: route.fulfill(json=only))
    use(page, "lab/fast")
    expect(page.locator("#model")).to_have_text("lab/fast")
    expect(page.locator("#picker")).to_be_hidden()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_table_breaks_no_word_and_scrolls(browser: Browser, lab: str, width: int) -> None:
    with open_page(browser, lab, viewport={"width": width, "height": 844}) as page:
        use(page, "lab/fast")
        say(page, "table")
        expect_answers(page, 2)
        for word in ("Item", "Minimum", "Memory", "Processor"):
            cell = page.locator("th, td").filter(has_text=re.compile(f"^{word}$"))
            box = cell.bounding_box()
            assert box is not None
            assert box["height"] < 100
            assert (
                cell.evaluate(
                    "(cell) => { const range = document.createRange();"
                    " range.selectNodeContents(cell); return range.getClientRects().length; }"
                )
                == 1
            ), f"{word} is broken"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        sizes = page.locator("table").evaluate("(table) => [table.scrollWidth, table.clientWidth]")
        assert (sizes[0] > sizes[1]) == (width == 390)


def test_text_can_be_copied_where_browsers_offer_no_clipboard(browser: Browser, lab: str) -> None:
    with open_page(browser, lab, permissions=["clipboard-read"]) as page:
        # As on a page from http and another machine.
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        use(page, "lab/fast")
        say(page, "hello")
        expect_answers(page, 2)
        copy = footer(page).get_by_role("button").first
        copy.click()
        expect(copy).to_have_text("Copied")
        expect(copy).to_be_focused()
        page.get_by_label("Message", exact=True).focus()
        page.keyboard.press("Control+V")
        expect(page.get_by_label("Message", exact=True)).to_have_value("An answer to hello.")


def test_an_answer_that_begins_anew_after_a_wait_stands_below_the_notice(
    browser: Browser, lab: str
) -> None:
    own = "thread.own('m1', 'question', { at: 1000 });"
    draft = "thread.draft({{ turn: 't1', html: '{}', at: {}, answers: ['m1'], broke_off: {} }});"
    lost = draft.format("<p>lost</p>", 1100, "[]") + draft.format("", 1200, "['lab/cut']")
    notice = (
        "thread.reply({ turn: null, chunk: 0, final: true, html: 'I wait', text: '', at: 1300,"
        " about: ['m1'] });"
    )
    again = draft.format("<p>answer</p>", 31_000, "[]")
    details = "{ model: 'lab/cut', seconds: 1, input_tokens: 1, output_tokens: 1, cost: null }"
    reply = (
        "thread.reply({ turn: 't1', chunk: 0, final: true, html: 'answer', text: '', at: 32_000,"
        f" answers: ['m1'], details: {details} }});"
    )
    with open_page(browser, lab) as page:
        expect(page.locator("#empty")).to_be_visible()  # the page itself writes no more

        def show(*steps: str) -> list[str]:
            page.evaluate(
                "async () => { const { Thread } = await import('/static/thread.js');"
                " const thread = new Thread({ busy() {} });"
                f" {''.join(steps)} }}"
            )
            return shown(page)

        assert show(own, lost, notice) == ["question", "I wait"]
        assert show(own, lost, notice, again, reply) == ["question", "I wait", "answer"]
        assert show(own, notice, reply) == ["question", "I wait", "answer"]
        # Nobody waits any more.
        assert show(own, notice, "thread.leave('dropped', 'm1');") == ["question"]
