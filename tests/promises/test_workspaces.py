"""What users rely on in `sigil.workspace`."""

from __future__ import annotations

import pytest

from sigil.errors import ConfigError, NotAMember
from sigil.testing import fake_stores
from sigil.workspace import Binding, RouteRequest, ToolPolicy, WorkspaceConfig, WorkspaceManager


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


def make_request(channel: str, chat: str, user: str) -> RouteRequest:
    return RouteRequest(channel_type=channel, channel_id=chat, user_id=user)


async def test_an_unconfigured_workspace_opens_and_allows_no_tools() -> None:
    workspace = await WorkspaceManager(fake_stores()).open("homelab")
    assert workspace.id == "homelab"
    assert workspace.sessions is not None
    assert workspace.memory is not None
    assert workspace.vectors is not None
    assert workspace.config is not None
    assert not workspace.tool_allowed("calendar.create")


async def test_opening_twice_gives_the_same_object(manager: WorkspaceManager) -> None:
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
    found = await manager.route(make_request(channel, chat, "sean"))
    assert found.id == workspace
    assert await manager.route(make_request(channel, chat, "sean")) is found


@pytest.mark.parametrize(
    ("chat", "user"), [("C1", "kim"), ("C1", "eve"), ("elsewhere", "eve"), ("C3", "sean")]
)
async def test_a_stranger_is_refused(manager: WorkspaceManager, chat: str, user: str) -> None:
    with pytest.raises(NotAMember, match="not a member") as error:
        await manager.route(make_request("slack", chat, user))
    assert error.value.code == "workspace.not_a_member"


async def test_personal_workspaces_share_nothing(manager: WorkspaceManager) -> None:
    sean = await manager.route(make_request("slack", "dm", "sean"))
    kim = await manager.route(make_request("slack", "dm", "kim"))
    assert sean is not kim
    assert (sean.sessions, sean.memory, sean.vectors) != (kim.sessions, kim.memory, kim.vectors)
    await sean.memory.add(["a secret of sean"])
    assert await sean.memory.recent() == ["a secret of sean"]
    assert await kim.memory.recent() == []


def test_a_chat_bound_twice_is_refused_naming_both_workspaces(
    manager: WorkspaceManager,
) -> None:
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
async def test_tool_patterns_and_their_order(
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
