"""The window of history that a model is given, and the history's JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigil.errors import MessageInvalid
from sigil.messages.conversation import Message, ToolCall, decode_message, encode_message, window

# ---------------------------------------------------------------- the window


def user(text: str = "hi") -> Message:
    return Message("user", text)


def calls(*ids: str) -> list[Message]:
    asked = Message("assistant", tool_calls=tuple(ToolCall(id, "clock.now") for id in ids))
    return [asked, *(Message("tool", "12:00", tool_call_id=id) for id in ids)]


ANSWER = Message("assistant", "hello")


@pytest.mark.parametrize(
    ("history", "limit", "kept"),
    [
        ([], 5, []),
        ([user(), ANSWER], 0, []),
        ([user(), ANSWER], 5, [user(), ANSWER]),
        ([user("1"), ANSWER, user("2"), ANSWER], 3, [user("2"), ANSWER]),
        ([user(), *calls("a", "b"), ANSWER], 5, [user(), *calls("a", "b"), ANSWER]),
        ([user(), *calls("a", "b"), ANSWER], 4, [user(), ANSWER]),
        ([user("1"), *calls("a"), ANSWER, user("2")], 3, [user("2")]),
        ([user("1"), *calls("a"), *calls("b")], 4, [user("1"), *calls("b")]),
        ([user("1"), *calls("a"), *calls("b")], 1, [user("1")]),
        ([*calls("a")[1:], user(), ANSWER], 9, [user(), ANSWER]),
        ([user(), calls("a", "b")[0], calls("a", "b")[1]], 9, [user()]),
        ([*calls("a"), ANSWER], 9, [*calls("a"), ANSWER]),
    ],
)
def test_the_window(history, limit, kept):
    assert window(history, limit) == kept


@st.composite
def histories(draw) -> list[Message]:
    kinds = draw(st.lists(st.sampled_from(["user", "answer", "one", "two"]), max_size=20))
    whole: list[Message] = []
    for n, kind in enumerate(kinds):
        if kind == "user":
            whole.append(user(str(n)))
        elif kind == "answer":
            whole.append(Message("assistant", str(n)))
        else:
            whole += calls(f"{n}a", f"{n}b") if kind == "two" else calls(f"{n}a")
    # The store trims by number, so a history may begin anywhere.
    return whole[draw(st.integers(0, 3)) :]


@given(histories(), st.integers(1, 25))
def test_a_window_can_be_given_to_a_model(history, limit):
    kept = window(history, limit)
    assert len(kept) <= limit
    positions = [history.index(message) for message in kept]
    assert positions == sorted(positions)
    if any(message.role == "user" for message in history):
        assert kept[0].role == "user"
    open_calls: set[str | None] = set()
    for message in kept:
        if message.role == "tool":
            assert message.tool_call_id in open_calls
            open_calls.remove(message.tool_call_id)
        else:
            assert not open_calls
            open_calls = {call.id for call in message.tool_calls}
    assert not open_calls


@given(histories(), st.integers(1, 25))
def test_a_window_holds_the_newest_exchange_that_fits(history, limit):
    last = max((n for n, m in enumerate(history) if m.role == "user"), default=None)
    if last is not None and len(history) - last <= limit:
        assert window(history, limit)[-(len(history) - last) :] == history[last:]


# ---------------------------------------------------------------- the history's JSON

texts = st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
tool_calls = st.builds(ToolCall, texts, texts, st.dictionaries(texts, json_values, max_size=3))
any_messages = st.builds(
    Message,
    st.sampled_from(["user", "assistant", "tool"]),
    texts,
    st.lists(tool_calls, max_size=2).map(tuple),
    st.none() | texts.filter(bool),
)


@given(any_messages)
def test_a_message_survives_the_history(message):
    text = encode_message(message)
    assert decode_message(text) == message
    assert text.isascii()


def test_half_a_surrogate_pair_survives():
    assert decode_message(encode_message(user("\ud83d"))) == user("\ud83d")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"role":"root"}',
        '{"role":"user","content":1}',
        '{"role":"assistant","tool_calls":[1]}',
        '{"role":"assistant","tool_calls":[{"id":"a"}]}',
        "[" * 100_000,
    ],
)
def test_what_is_not_a_message_is_refused(text):
    with pytest.raises(MessageInvalid):
        decode_message(text)
