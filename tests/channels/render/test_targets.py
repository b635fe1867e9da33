"""What single renderers make of single things."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigil.channels.base import Markup
from sigil.channels.render import render
from tests.channels.render.documents import make_spec

# WhatsApp takes a sign at the edge of a word for the start of a style, if another one ends it.
STYLED = re.compile(r"(?<!\w)([*_~`])(?=\S)[^\n]*?(?<=\S)\1(?![^\W_])")


def show(text: str, target: Markup, limit: int = 4096) -> str:
    return render(text, make_spec(target, limit))[0].text


@given(st.text(alphabet="ab *_~`.(", min_size=1, max_size=30))
def test_plain_signs_style_nothing_in_whatsapp(text: str) -> None:
    escaped = re.sub(r"([*_~`])", r"\\\1", text)
    assert not STYLED.search(show("x " + escaped, "whatsapp"))


def test_a_style_within_a_word_is_left_out_in_whatsapp() -> None:
    assert show("un**believ**able, **all** of it", "whatsapp") == "unbelievable, *all* of it"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("||x|| -# y", r"\|\|x\|\| -# y"),
        ("\\# no heading", r"\# no heading"),
        ("1\\. no list", r"1\. no list"),
        ("<@1> <#2> <:a:3>", r"\<@1> \<#2> \<:a:3>"),
        ("see https://a.example/x_y_z", "see https://a.example/x_y_z"),
        ("[a](https://b.example/(x))", "[a](https://b.example/%28x%29)"),
        ("[https://a.example](https://b.example)", "https://a.example (https://b.example)"),
        ("[mail](mailto:a@b.example)", "mail (a@b.example)"),
        ("#### Deep", "**Deep**"),
    ],
)
def test_discord_reads_nothing_that_is_not_meant(text: str, shown: str) -> None:
    assert show(text, "discord") == shown


def test_telegram_gets_a_mailbox_as_text() -> None:
    message = render("[mail](mailto:a@b.example)", make_spec("telegram"))[0]
    assert message.text == "mail (a@b.example)"
    assert not message.extras


def test_a_message_of_telegram_has_at_most_a_hundred_entities() -> None:
    text = "\n".join(f"- **a{at}** has the value `{at}`" for at in range(120))
    messages = render(text, make_spec("telegram"))
    assert [len(message.extras["entities"]) <= 100 for message in messages] == [True] * 3
    assert sum(len(message.extras["entities"]) for message in messages) == 240


def test_slack_calls_nobody() -> None:
    assert show("<!here> <@U12> <#C1> <b> `a`", "slack") == "&lt;!here> &lt;@U12> &lt;#C1> <b> `a`"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("$5 and $6, $7-$8", "$5 and $6, $7-$8"),
        ("$a_1*b_1*c$", "a_1*b_1*c"),
        (r"\(x_1 * y_1\) and \[z\]", "x_1 * y_1 and z"),
        ("$$\na\n- b\n$$", "a\n- b"),
        ("[a](javascript:alert(1)) ![b](data:x)", "a b"),
        ("[](https://a.example)", "https://a.example"),
        ("&lt;b&gt; <b>", "<b> <b>"),
        ("a\x00b\ud800", "ab\ufffd"),
        ("> " * 70 + "deep", "> " * 70 + "deep"),
        ("", ""),
        ("\u200d \n", ""),
    ],
)
def test_plain_text_is_readable(text: str, shown: str) -> None:
    assert show(text, "plain") == shown


def test_a_fence_goes_on_with_its_language() -> None:
    code = "\n".join(f"line_{at} = {at}" for at in range(60))
    messages = render(f"See:\n\n```python\n{code}\n```\n\nDone.", make_spec("discord", 200))
    assert len(messages) > 3
    assert all(message.text.startswith("```python\n") for message in messages[1:-1])
    assert messages[-1].text.endswith("```\n\nDone.")


def test_a_heading_stays_with_what_follows() -> None:
    text = f"{'word ' * 30}\n\n# Heading\n\n{'more ' * 30}"
    messages = render(text, make_spec("discord", 200))
    assert messages[1].text.startswith("# Heading\n")


def test_an_item_goes_on_under_its_marker() -> None:
    first, second = render("3. " + "word " * 20, make_spec("plain", 64))
    assert first.text.startswith("3. word")
    assert second.text.startswith("   word")


def test_a_table_is_cut_between_its_rows() -> None:
    rows = "\n".join(f"| {'x' * 50} | {at} |" for at in range(200))
    messages = render(f"| a | b |\n|---|---|\n{rows}", make_spec("matrix", 16_000))
    assert len(messages) > 1
    for message in messages:
        html = message.extras["formatted_body"]
        assert html.startswith("<table>")
        assert html.endswith("</tbody></table>")
