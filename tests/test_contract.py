"""The names and behaviour that users rely on, row by row, through the names they import."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sigil.bootstrap import build
from sigil.channels import ChannelRouter, PairingMode, check_pairing
from sigil.config import Settings
from sigil.errors import (
    ChannelNotFound,
    ConfigError,
    IdentityTaken,
    NotAMember,
    SigilError,
    StoreError,
    UserNotFound,
)
from sigil.gateway import Gateway
from sigil.identity import Identity, IdentityResolver, User
from sigil.messages import InboundMessage, OutboundMessage
from sigil.providers import (
    Budget,
    ChatRequest,
    Message,
    ModelRequest,
    ProviderRegistry,
)
from sigil.stores import Stores, connect
from sigil.testing import FakeProvider, MemoryChannel, fake_stores, settle
from sigil.workspace import Binding, RouteRequest, ToolPolicy, WorkspaceConfig, WorkspaceManager

ALICE = User(
    id="usr-1",
    name="Alice",
    role="member",
    identities=(Identity("telegram", "alice"), Identity("whatsapp", "+15551234567")),
    session_mode="unified",
)

# ---------------------------------------------------------------- made without a loop


def test_what_is_made_needs_no_loop_and_no_server(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
    assert isinstance(fake_stores(), Stores)
    assert isinstance(connect("redis://127.0.0.1:1/0"), Stores)
    assert isinstance(build(Settings(data_dir=tmp_path), stores=fake_stores()), Gateway)
    WorkspaceManager(fake_stores())
    ChannelRouter()
    ProviderRegistry()


def test_every_field_that_can_have_a_default_has_one() -> None:
    assert ModelRequest().exclude == ()
    assert Budget().max_session_tokens is None
    assert WorkspaceConfig(members=["sean"]).bindings is not None
    out = OutboundMessage(channel_type="telegram", channel_id="1", content="x")
    assert (out.thread_id, out.media) == (None, ())
    request = ChatRequest(model="m", messages=[Message(role="user", content="Hello")])
    assert (request.system_prompt, request.tools, request.max_tokens) == (None, (), 1024)
    assert (request.temperature, request.stream) == (None, True)


# ---------------------------------------------------------------- sigil.workspace


@pytest.fixture
def manager() -> WorkspaceManager:
    made = WorkspaceManager(fake_stores())
    made.configure(
        {
            "homelab": WorkspaceConfig(
                members=["sean"],
                tools=ToolPolicy(
                    allow=["calendar.*", "shopping.*"], deny=["exec.*", "filesystem.*"]
                ),
                bindings=[
                    Binding(channel="telegram", channel_id="-100123"),
                    Binding(channel="slack", channel_id="C1"),
                ],
            ),
            "office": WorkspaceConfig(
                members=["sean", "kim"], bindings=[Binding(channel="slack", channel_id="C2")]
            ),
            "empty": WorkspaceConfig(
                members=[], bindings=[Binding(channel="slack", channel_id="C3")]
            ),
        }
    )
    return made


def route(channel: str, chat: str, user: str) -> RouteRequest:
    return RouteRequest(channel_type=channel, channel_id=chat, user_id=user)


async def test_open_on_an_empty_manager() -> None:
    workspace = await WorkspaceManager(fake_stores()).open("homelab")
    assert workspace.id == "homelab"
    assert workspace.sessions is not None
    assert workspace.memory is not None
    assert workspace.vectors is not None
    assert workspace.config is not None
    assert not workspace.tool_allowed("calendar.create")


async def test_open_again_is_the_same_object(manager: WorkspaceManager) -> None:
    assert await manager.open("homelab") is await manager.open("homelab")


@pytest.mark.parametrize(
    ("channel", "chat", "workspace"),
    [
        ("telegram", "-100123", "homelab"),
        ("slack", "C1", "homelab"),
        ("slack", "C2", "office"),
        ("slack", "elsewhere", "personal"),
    ],
)
async def test_a_member_is_routed(
    manager: WorkspaceManager, channel: str, chat: str, workspace: str
) -> None:
    found = await manager.route(route(channel, chat, "sean"))
    assert found.id == workspace
    assert await manager.route(route(channel, chat, "sean")) is found


@pytest.mark.parametrize(
    ("chat", "user"), [("C1", "kim"), ("C1", "eve"), ("elsewhere", "eve"), ("C3", "sean")]
)
async def test_who_is_no_member_is_told_so(manager: WorkspaceManager, chat: str, user: str) -> None:
    with pytest.raises(NotAMember, match="not a member") as error:
        await manager.route(route("slack", chat, user))
    assert error.value.code == "workspace.not_a_member"


async def test_personal_workspaces_share_nothing(manager: WorkspaceManager) -> None:
    sean = await manager.route(route("slack", "dm", "sean"))
    kim = await manager.route(route("slack", "dm", "kim"))
    assert sean is not kim
    assert (sean.sessions, sean.memory, sean.vectors) != (kim.sessions, kim.memory, kim.vectors)
    await sean.memory.add(["a secret of sean"])
    assert await sean.memory.recent() == ["a secret of sean"]
    assert await kim.memory.recent() == []


def test_a_binding_used_twice_names_both(manager: WorkspaceManager) -> None:
    one = Binding(channel="telegram", channel_id="1")
    with pytest.raises(ConfigError) as error:
        manager.configure(
            {
                "first": WorkspaceConfig(members=["a"], bindings=[one]),
                "second": WorkspaceConfig(members=["b"], bindings=[one]),
            }
        )
    assert "first" in str(error.value)
    assert "second" in str(error.value)
    assert error.value.code == "config.invalid"


@pytest.mark.parametrize(
    ("tool", "allowed"),
    [
        ("calendar.create", True),
        ("shopping.add", True),
        ("exec.run", False),
        ("filesystem.write", False),
        ("calendar", False),
    ],
)
async def test_tools_are_allowed_by_policy(
    manager: WorkspaceManager, tool: str, allowed: bool
) -> None:
    assert (await manager.open("homelab")).tool_allowed(tool) is allowed


@pytest.mark.parametrize(
    ("allow", "deny", "tool", "allowed"),
    [
        ([], [], "a.b", False),
        (["*"], [], "a", True),
        (["*"], [], "a.b.c", True),
        (["a.*"], [], "a.b.c", True),
        (["a.*"], [], "ab.c", False),
        (["*"], ["a.b"], "a.b", False),
        (["a.b"], ["*"], "a.b", False),
        (["a.b"], [], "a.b", True),
    ],
)
async def test_the_rules_of_a_policy(
    manager: WorkspaceManager, allow: list[str], deny: list[str], tool: str, allowed: bool
) -> None:
    workspace = await manager.open("live")  # opened before it is configured
    manager.configure(
        {"live": WorkspaceConfig(members=[], tools=ToolPolicy(allow=allow, deny=deny))}
    )
    assert workspace.tool_allowed(tool) is allowed


async def test_a_workspace_that_leaves_the_configuration_loses_its_tools(
    manager: WorkspaceManager,
) -> None:
    workspace = await manager.open("homelab")
    assert workspace.tool_allowed("calendar.create")
    manager.configure({})
    assert not workspace.tool_allowed("calendar.create")


# ---------------------------------------------------------------- sigil.identity


async def test_identities_resolve_to_their_user(stores: Stores) -> None:
    await stores.users.add(ALICE)
    resolver = IdentityResolver(stores.users)
    assert await resolver.resolve("telegram", "alice") == ALICE
    assert (await resolver.resolve("whatsapp", "+15551234567")).id == "usr-1"
    for channel, platform_id in (("telegram", "Alice"), ("telegram", "bob"), ("slack", "alice")):
        with pytest.raises(UserNotFound) as error:
            await resolver.resolve(channel, platform_id)
        assert error.value.code == "identity.user_not_found"


async def test_an_identity_has_one_holder(stores: Stores) -> None:
    await stores.users.add(ALICE)
    with pytest.raises(IdentityTaken):
        await stores.users.add(User("usr-2", "Eve", identities=(Identity("telegram", "alice"),)))


async def test_a_backend_that_fails_is_not_an_unknown_person() -> None:
    away = connect("redis://127.0.0.1:1/0")
    with pytest.raises(StoreError):
        await IdentityResolver(away.users).resolve("telegram", "alice")
    await away.backend.close()


# ---------------------------------------------------------------- sigil.channels


async def test_the_router_knows_its_channels() -> None:
    router = ChannelRouter()
    channel = MemoryChannel("telegram")
    router.register("telegram", channel)
    assert router.get("telegram").name == "telegram"
    message = OutboundMessage(
        channel_type="telegram", channel_id="-100123", content="Hello", thread_id=None, media=()
    )
    await router.send(message)
    assert channel.sent == [message]
    with pytest.raises(ChannelNotFound) as error:
        router.get("slack")
    assert error.value.code == "channel.not_found"
    with pytest.raises(ChannelNotFound):
        await router.send(OutboundMessage(channel_type="slack", channel_id="1", content="x"))


@pytest.mark.parametrize(
    ("mode", "user_id", "heard"),
    [
        (PairingMode.OPEN, "anyone", True),
        (PairingMode.CLOSED, "listed", False),
        (PairingMode.ALLOWLIST, "listed", True),
        (PairingMode.ALLOWLIST, "Listed", False),
        (PairingMode.PAIR_ON_REQUEST, "anyone", True),
        (PairingMode.PAIR_WITH_CODE, "listed", False),
    ],
)
def test_pairing_modes(mode: PairingMode, user_id: str, heard: bool) -> None:
    assert check_pairing(mode, user_id, ["listed"]) is heard


# ---------------------------------------------------------------- sigil.gateway


async def test_a_conversation_through_the_gateway(stores: Stores) -> None:
    channel, provider = MemoryChannel("memory"), FakeProvider("fake", reply="Hello Alice")
    gateway = build(
        Settings.model_validate(
            {"channels": {"memory": {"pairing": "open"}}, "models": {"default": "fake/model"}}
        ),
        stores=stores,
        providers={"fake": provider},
        channels={"memory": channel},
    )
    message = InboundMessage(
        channel_type="memory", channel_id="c", message_id="1", sender_id="alice", content="Hi"
    )
    accepted = await gateway.receive(message)
    again = await gateway.receive(message)
    assert (accepted.duplicate, again.duplicate, again.id) == (False, True, accepted.id)
    await settle(gateway)
    assert [sent.content for sent in channel.sent] == ["Hello Alice"]
    assert await gateway.recover() is None
    for verb in (gateway.route, gateway.turn, gateway.deliver):
        await verb("session:any:nothing-here")
    await gateway.close()


# ---------------------------------------------------------------- errors


def test_every_error_has_a_code_and_says_whether_it_passes() -> None:
    for error in (NotAMember("x"), UserNotFound("x"), ConfigError("x"), StoreError("x")):
        assert isinstance(error, SigilError)
        assert "." in error.code
        assert isinstance(error.transient, bool)
