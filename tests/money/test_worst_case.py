"""The most tokens that a request can be charged for."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sigil.messages.conversation import Document, Image, Message, Native, ToolCall, ToolDefinition
from sigil.money.worst_case import IMAGE_TOKENS, bound_input, bound_output
from tests.money.spending import HELLO, INFO, INTO


def changed(**fields: object) -> int:
    """By how much the bound of the input grows with these fields."""
    return bound_input(replace(HELLO, **fields), INFO) - INTO


def test_all_that_is_sent_counts_by_its_bytes():
    assert len("Hello") < INTO
    assert changed(system_prompt="ü" * 100) == 200
    assert changed(messages=[Message("user", "Hello" + "🙂" * 10)]) == 40
    assert changed(messages=[Message("user", "Hello" + "\udc80")]) == 3
    assert changed(messages=[*HELLO.messages, Message("assistant", "x" * 500)]) >= 500
    call = ToolCall("call-1", "search", {"query": "ä" * 50})
    assert changed(messages=[*HELLO.messages, Message("assistant", "", (call,))]) >= 300
    answer = Message("tool", "found", tool_call_id="i" * 80)
    assert changed(messages=[*HELLO.messages, answer]) >= 85


@given(
    st.text(
        st.sampled_from("\ufdfa\ufdfb\u3300\u33ff\u1f82\ufb2c\u0390\uff76\uff9e\u304c\uac01a\u00e9")
        | st.sampled_from("\u0300\u0301\u0323\u3099\u11a8\u0344")
        | st.characters()
    )
)
def test_a_text_counts_in_the_longest_form_that_a_tokenizer_may_give_it(text):
    """Claude's public tokenizer (@anthropic-ai/tokenizer) works on NFKC."""
    grown = changed(system_prompt=text)
    for form in (text, unicodedata.normalize("NFKC", text)):
        assert grown >= len(form.encode("utf-8", "surrogatepass"))


def test_one_sign_that_stands_for_a_sentence_counts_as_the_sentence():
    sentence = unicodedata.normalize("NFKC", "\ufdfa")
    assert len(sentence) == 18
    call = ToolCall("", "", {"q": "\ufdfa" * 100})
    for message in (Message("user", "\ufdfa" * 100), Message("assistant", "", (call,))):
        assert changed(messages=[message]) >= 100 * len(sentence.encode()) - len("Hello")


def test_results_of_tools_count_with_the_escapes_of_json():
    for content in ('"' * 100, "\x01" * 100, "\n" * 100, "\u00fc" * 100):
        message = Message("tool", content, tool_call_id="1")
        assert changed(messages=[*HELLO.messages, message]) >= len(json.dumps(content))


def test_definitions_of_tools_and_the_vendors_own_words_on_them_count():
    one = changed(tools=(ToolDefinition("t", "d" * 300, {"type": "object"}),))
    assert one >= 300 + 530
    two = changed(tools=(ToolDefinition("t"), ToolDefinition("u", "", {"x": "y" * 700})))
    assert two >= 700 + 530


def test_of_two_forms_of_an_answer_the_longer_counts():
    def grows(native: str) -> int:
        message = Message("user", "Hello", native=Native("anthropic", "m", native))
        return changed(messages=[message])

    assert grows("{}") == 0
    assert grows("x" * 105) == 100


def test_pictures_count_by_the_vendors_bound_however_they_are_sent():
    sent = Image("data:image/png;base64," + "A" * 1_000_000), Image("https://example.org/a.png")
    for image in sent:
        assert changed(messages=[Message("user", "Hello", images=(image,))]) == IMAGE_TOKENS
    two = [Message("user", "Hello", images=sent)]
    assert changed(messages=two) == 2 * IMAGE_TOKENS
    # 2,833 and 8 tiles of 5,667 (OpenAI)
    assert changed(messages=two, model="gpt-4o-mini-2024-07-18") == 2 * 48_169


def test_documents_count_as_all_that_the_model_can_read():
    pdfs = (Document("data:application/pdf;base64,AAAA", "a.pdf"),) * 2
    assert changed(messages=[Message("user", "Hello", documents=pdfs)]) == INFO.max_context_tokens


def test_the_answer_is_bounded_by_the_request_and_the_model():
    assert bound_output(replace(HELLO, max_tokens=9000), INFO) == 1000
    assert bound_output(replace(HELLO, max_tokens=90), INFO) == 90
