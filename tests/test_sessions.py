from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigil.channels.base import ChannelSpec
from sigil.identity.users import User
from sigil.messages.conversation import Message
from sigil.messages.exchange import InboundMessage
from sigil.sessions import session_key

SEAN, ANNA = User("sean", "Sean"), User("anna", "Anna")
PER_CHANNEL = User("sean", "Sean", session_mode="per_channel")
DIRECT = InboundMessage("telegram", "chat-1", "m1", "1", "hello")
GROUP = replace(DIRECT, channel_id="group-1", is_direct=False)
PLATFORM, WEB = ChannelSpec(), ChannelSpec(authenticated=True, own_sessions=True)


def key(message=DIRECT, user=SEAN, workspace="personal", spec=PLATFORM) -> str:
    return session_key(workspace, message, user, spec)


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
    from sigil.workspace.manager import WorkspaceConfig, WorkspaceManager

    manager = WorkspaceManager(stores)
    manager.configure({"homelab": WorkspaceConfig()})
    workspace = await manager.open("homelab")
    mine = key(GROUP, workspace="homelab")
    await workspace.sessions.append(mine.removeprefix(f"{workspace.scope}/"), ["{}"], keep=5)
    assert (await stores.sessions.load(mine)).messages == ("{}",)


# ---------------------------------------------------------------- the window


def user(text: str = "hi") -> Message:
    return Message("user", text)


# ---------------------------------------------------------------- the history's JSON
