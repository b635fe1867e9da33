from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigil.channels.base import Capabilities
from sigil.conversation import Message, ToolCall, decode_message, encode_message, window
from sigil.errors import MessageInvalid
from sigil.identity import User
from sigil.messages import InboundMessage
from sigil.sessions import session_key

SEAN, ANNA = User("sean", "Sean"), User("anna", "Anna")
PER_CHANNEL = User("sean", "Sean", session_mode="per_channel")
DIRECT = InboundMessage("telegram", "chat-1", "m1", "1", "hello")
GROUP = replace(DIRECT, channel_id="group-1", is_direct=False)
PLATFORM, WEB = Capabilities(), Capabilities(authenticated=True, own_sessions=True)


def key(message=DIRECT, user=SEAN, workspace="personal", capabilities=PLATFORM) -> str:
    return session_key(workspace, message, user, capabilities)


@pytest.mark.parametrize("workspace", ["personal", "homelab"])
def test_a_direct_chat_is_one_conversation_on_all_channels(workspace):
    elsewhere = replace(DIRECT, channel_type="slack", channel_id="D9", account="b", thread_id="t")
    assert key(workspace=workspace) == key(elsewhere, workspace=workspace)
    assert key(workspace=workspace) != key(user=ANNA, workspace=workspace)


@pytest.mark.parametrize("workspace", ["personal", "homelab"])
def test_or_one_for_each_channel(workspace):
    other_chat = replace(DIRECT, channel_id="chat-2")
    other_channel = replace(DIRECT, channel_type="slack")
    mine = key(user=PER_CHANNEL, workspace=workspace)
    assert mine == key(other_chat, PER_CHANNEL, workspace)
    assert mine != key(other_channel, PER_CHANNEL, workspace)
    assert mine != key(workspace=workspace)


def test_a_bound_group_shares_one_conversation_for_each_thread():
    shared = key(GROUP, workspace="homelab")
    assert shared == key(GROUP, ANNA, "homelab") == key(GROUP, PER_CHANNEL, "homelab")
    others = [
        key(replace(GROUP, thread_id="t1"), workspace="homelab"),
        key(replace(GROUP, channel_id="group-2"), workspace="homelab"),
        key(replace(GROUP, channel_type="slack"), workspace="homelab"),
        key(replace(GROUP, account="second"), workspace="homelab"),
        key(GROUP, workspace="work"),
        key(workspace="homelab"),
    ]
    assert len({shared, *others}) == 7


def test_an_unbound_group_has_one_for_each_user():
    assert key(GROUP) == key(GROUP, PER_CHANNEL)
    assert len({key(GROUP), key(GROUP, ANNA), key(replace(GROUP, channel_id="g2")), key()}) == 4


@pytest.mark.parametrize("workspace", ["personal", "homelab"])
def test_each_chat_of_a_page_is_its_own(workspace):
    page = replace(DIRECT, channel_type="web")
    keys = {
        key(page, SEAN, workspace, WEB),
        key(replace(page, channel_id="chat-2"), SEAN, workspace, WEB),
        key(page, ANNA, workspace, WEB),
        key(page, SEAN, workspace, PLATFORM),
    }
    assert len(keys) == 4
    assert key(page, SEAN, workspace, WEB) == key(page, PER_CHANNEL, workspace, WEB)


hostile = st.text(alphabet="a:/#%*é\u2603.", min_size=1, max_size=6)
chats = st.tuples(hostile, hostile, hostile, st.none() | hostile)


@given(chats, chats)
def test_no_two_chats_share_a_conversation(one, other):
    keys = [
        key(InboundMessage(channel, chat, "m", "1", "x", account, thread, is_direct=False))
        for channel, account, chat, thread in (one, other)
    ]
    assert (keys[0] == keys[1]) is (one == other)


@given(st.tuples(hostile, hostile), st.tuples(hostile, hostile))
def test_no_two_users_or_workspaces_share_a_conversation(one, other):
    keys = [key(user=User(user_id, "x"), workspace=name) for user_id, name in (one, other)]
    assert (keys[0] == keys[1]) is (one == other)


async def test_a_key_is_a_name_in_its_workspace(stores):
    from sigil.workspace import WorkspaceConfig, WorkspaceManager

    manager = WorkspaceManager(stores)
    manager.configure({"homelab": WorkspaceConfig()})
    workspace = await manager.open("homelab")
    mine = key(GROUP, workspace="homelab")
    await workspace.sessions.append(mine.removeprefix(f"{workspace.scope}/"), ["{}"], keep=5)
    assert (await stores.sessions.load(mine)).messages == ("{}",)


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
        '{"role":"user","extra":1}',
        '{"role":"assistant","tool_calls":[1]}',
        '{"role":"assistant","tool_calls":[{"id":"a"}]}',
        "[" * 100_000,
    ],
)
def test_what_is_not_a_message_is_refused(text):
    with pytest.raises(MessageInvalid):
        decode_message(text)
