from __future__ import annotations

import gc

import pytest

from sigil.errors import ConfigError, NotAMember, StoreError, WorkspaceNotFound
from sigil.identity.users import Identity, User
from sigil.stores import connect
from sigil.workspace.manager import (
    Binding,
    RouteRequest,
    WorkspaceConfig,
    WorkspaceManager,
)
from sigil.workspace.tool_policy import ToolPolicy

HOME, WORK = Binding("telegram", "-100123"), Binding(channel="slack", channel_id="C1")
HOSTILE_IDS = [
    "a",
    "a:b",
    "a/b",
    "a/../b",
    "..",
    "a%3Ab",
    "A",
    "\u00e9",
    "e\u0301",
    "a\x00b",
    "a#0",
    "*",
]


@pytest.fixture
def manager(stores):
    made = WorkspaceManager(stores)
    made.configure(
        {
            "homelab": WorkspaceConfig(members=["sean", "telegram:7"], bindings=[HOME]),
            "work": WorkspaceConfig(members=["anna"], bindings=[WORK]),
        }
    )
    return made


def at_home(user_id: str) -> RouteRequest:
    return RouteRequest(channel_type="telegram", channel_id="-100123", user_id=user_id)


def elsewhere(user_id: str) -> RouteRequest:
    return RouteRequest(channel_type="telegram", channel_id="direct", user_id=user_id)


async def test_open_on_an_empty_manager(stores):
    workspace = await WorkspaceManager(stores).open("homelab")
    assert workspace.id == "homelab"
    assert workspace.config == WorkspaceConfig()
    assert (await workspace.sessions.load("x")).messages == ()
    assert await workspace.memory.recent() == []
    assert await workspace.vectors.search([1.0]) == []
    assert not workspace.tool_allowed("calendar.create")


async def test_the_same_object_when_opened_again(manager):
    first = await manager.open("homelab")
    assert await manager.open("homelab") is first
    assert await manager.route(at_home("sean")) is first
    assert await manager.open("work") is not first


async def test_a_member_writes_in_a_bound_chat(manager):
    assert (await manager.route(at_home("sean"))).id == "homelab"
    assert (await manager.route(RouteRequest("slack", "C1", "anna"))).id == "work"


async def test_a_second_binding_leads_to_its_own_workspace(stores):
    manager = WorkspaceManager(stores)
    manager.configure(
        {
            "one": WorkspaceConfig(members=["sean"], bindings=[HOME, Binding("irc", "#a")]),
            "two": WorkspaceConfig(members=["sean"], bindings=[WORK]),
        }
    )
    assert (await manager.route(RouteRequest("irc", "#a", "sean"))).id == "one"
    assert (await manager.route(RouteRequest("slack", "C1", "sean"))).id == "two"


async def test_bindings_compare_exactly(manager):
    for channel, chat in [("telegram", "-100123 "), ("Telegram", "-100123"), ("slack", "-100123")]:
        assert (await manager.route(RouteRequest(channel, chat, "sean"))).id == "personal"


async def test_an_unbound_chat_is_personal(manager):
    workspace = await manager.route(elsewhere("sean"))
    assert workspace.id == "personal"
    assert not workspace.tool_allowed("calendar.create")


async def test_who_belongs_nowhere_is_not_a_member(manager):
    for request in (at_home("eve"), elsewhere("eve"), elsewhere(""), at_home("")):
        with pytest.raises(NotAMember, match="not a member") as caught:
            await manager.route(request)
        assert caught.value.code == "workspace.not_a_member"


async def test_a_member_of_another_workspace_is_no_member_of_this_one(manager):
    with pytest.raises(NotAMember, match="not a member of workspace 'homelab'"):
        await manager.route(at_home("anna"))
    assert (await manager.route(elsewhere("anna"))).id == "personal"


async def test_a_paired_person_has_a_personal_workspace_and_no_other(manager, stores):
    await stores.pairings.add("telegram", "9", "usr-9")
    assert (await manager.route(elsewhere("usr-9"))).id == "personal"
    with pytest.raises(NotAMember):
        await manager.route(at_home("usr-9"))
    await stores.pairings.remove("telegram", "9")
    with pytest.raises(NotAMember):
        await manager.route(elsewhere("usr-9"))


async def test_a_pairing_that_was_just_seen_is_not_looked_up(tmp_path):
    stores = connect(f"unix://{tmp_path}/nobody-listens.sock")
    manager = WorkspaceManager(stores)
    assert await manager.route(RouteRequest("telegram", "direct", "usr-9", paired=True))
    with pytest.raises(StoreError):
        await manager.route(RouteRequest("telegram", "direct", "usr-9"))


async def test_a_member_may_be_named_by_an_identity(manager, stores):
    await stores.users.add(User("usr-7", "Kim", identities=(Identity("telegram", "7"),)))
    await stores.users.add(User("usr-8", "Ken", identities=(Identity("slack", "7"),)))
    assert (await manager.route(at_home("usr-7"))).id == "homelab"
    assert (await manager.route(elsewhere("usr-7"))).id == "personal"
    for request in (at_home("usr-8"), elsewhere("usr-8"), at_home("7")):
        with pytest.raises(NotAMember):
            await manager.route(request)


async def test_without_members_nobody_is_a_member(stores):
    manager = WorkspaceManager(stores)
    manager.configure({"homelab": WorkspaceConfig(bindings=[HOME])})
    for user_id in ("sean", "", "homelab"):
        with pytest.raises(NotAMember):
            await manager.route(at_home(user_id))


async def test_personal_workspaces_share_nothing(manager):
    manager.configure({"homelab": WorkspaceConfig(members=HOSTILE_IDS)})
    workspaces = [await manager.route(elsewhere(user_id)) for user_id in HOSTILE_IDS]
    workspaces.append(await manager.open("homelab"))
    assert len({id(workspace) for workspace in workspaces}) == len(workspaces)
    for number, workspace in enumerate(workspaces):
        await workspace.memory.add([f'"{number}"'])
        await workspace.sessions.append("direct", [f'"{number}"'], keep=10)
        await workspace.vectors.put("v", [1.0, 0.0], str(number))
    for number, workspace in enumerate(workspaces):
        assert await workspace.memory.recent() == [f'"{number}"']
        assert await workspace.memory.search(str(number)) == [f'"{number}"']
        assert (await workspace.sessions.load("direct")).messages == (f'"{number}"',)
        assert [match.payload for match in await workspace.vectors.search([1, 0])] == [str(number)]
    await workspaces[0].vectors.delete("v")
    assert await workspaces[0].vectors.search([1, 0]) == []
    assert await workspaces[1].vectors.search([1, 0])


@pytest.mark.parametrize("hostile", ["personal:sean", "personal%3Asean", "personal/sean"])
async def test_a_shared_workspace_cannot_be_named_like_a_personal_one(stores, hostile):
    manager = WorkspaceManager(stores)
    manager.configure({hostile: WorkspaceConfig(members=["sean"])})
    await (await manager.open(hostile)).memory.add(['"shared"'])
    assert await (await manager.route(elsewhere("sean"))).memory.recent() == []


async def test_personal_workspaces_are_the_same_while_held_and_not_kept(manager):
    sean = await manager.route(elsewhere("sean"))
    assert await manager.route(elsewhere("sean")) is sean
    assert await manager.route(elsewhere("anna")) is not sean
    await sean.memory.add(['"kept"'])
    del sean
    gc.collect()
    assert await (await manager.route(elsewhere("sean"))).memory.recent() == ['"kept"']


@pytest.mark.parametrize("workspace_id", ["personal", ""])
async def test_a_personal_workspace_is_not_opened_by_id(manager, workspace_id):
    with pytest.raises(WorkspaceNotFound):
        await manager.open(workspace_id)


@pytest.mark.parametrize(
    ("workspaces", "named"),
    [
        ({"a": WorkspaceConfig(bindings=[HOME]), "b": WorkspaceConfig(bindings=[HOME])}, "ab"),
        ({"a": WorkspaceConfig(bindings=[HOME, HOME])}, "a"),
        ({"personal": WorkspaceConfig()}, ["reserved"]),
        ({"": WorkspaceConfig()}, ["reserved"]),
        ({"a": WorkspaceConfig(members=["sean", ""])}, ["workspaces.a.members"]),
        ({"a": WorkspaceConfig(tools=ToolPolicy(deny=["exec*"]))}, ["a.tools.deny", "exec*"]),
        ({"a": WorkspaceConfig(tools=ToolPolicy(allow=["a..b"]))}, ["a.tools.allow"]),
        ({"a": WorkspaceConfig(tools=ToolPolicy(allow=[""]))}, ["a.tools.allow"]),
    ],
)
async def test_a_bad_configuration_is_refused_and_the_old_one_stays(manager, workspaces, named):
    with pytest.raises(ConfigError) as caught:
        manager.configure(workspaces)
    for name in named:
        assert (repr(name) if len(name) == 1 else name) in str(caught.value)
    workspace = await manager.route(at_home("sean"))
    assert (workspace.id, workspace.config.bindings) == ("homelab", [HOME])
    assert (await manager.route(RouteRequest("slack", "C1", "anna"))).id == "work"


async def test_configure_replaces_everything(manager):
    manager.configure({"new": WorkspaceConfig(members=["anna"], bindings=[HOME])})
    assert (await manager.route(at_home("anna"))).id == "new"
    for request in (at_home("sean"), elsewhere("sean")):
        with pytest.raises(NotAMember):
            await manager.route(request)


async def test_the_policy_is_read_live(manager):
    workspace = await manager.open("homelab")
    tools = ToolPolicy(allow=["calendar.*"])
    manager.configure({"homelab": WorkspaceConfig(tools=tools, prompt="Be brief.")})
    assert workspace.tool_allowed("calendar.create")
    assert workspace.config.prompt == "Be brief."
    manager.configure({"other": WorkspaceConfig(tools=tools)})
    assert not workspace.tool_allowed("calendar.create")
    assert workspace.config == WorkspaceConfig()
