"""The configuration as one snapshot, and the overlay over it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from sigil.config import Settings
from sigil.directory import Directory, LiveDirectory, Overlay
from sigil.errors import ConfigError, StoreError
from sigil.identity.pairing import PairingMode
from sigil.identity.users import Identity, User
from sigil.lanes.effects import Push
from sigil.lanes.lane import Lease
from sigil.stores import Stores
from sigil.testing import fake_stores, make_due, settle
from tests.talking import SlowProvider, talk

LANE = "session:any:abc"
CHAT = ("memory", "room")


def snapshot(overlay: Overlay | None = None, **sections: Any) -> Directory:
    return Directory.of(Settings.model_validate(sections), overlay)


def snapshot_of(settings: Settings, overlay: Overlay) -> Directory:
    """As `build` makes it, with a workspace that an overlay can spoil."""
    given = settings.model_dump() | {"workspaces": {"home": {}}}
    return Directory.of(Settings.model_validate(given), overlay, ("fake",))


def client_of(stores: Stores) -> Any:
    return stores.backend


def home(*members: str) -> dict[str, Any]:
    return {"workspaces": {"home": {"members": list(members)}}}


# ---------------------------------------------------------------- the snapshot


def test_a_snapshot_knows_people_accounts_and_models() -> None:
    directory = snapshot(
        users={"ann": {"role": "owner", "identities": ["telegram:1"]}},
        channels={"telegram": {"type": "memory", "pairing": "allowlist", "allowlist": ["7"]}},
        models={"default": "echo/a", "failover": ["echo/b"]},
        workspaces={"home": {"model": "echo/c"}},
    )
    assert directory.owner.id == "ann"
    assert directory.people.holders[Identity("telegram", "1")].id == "ann"
    assert directory.account("telegram").mode is PairingMode.ALLOWLIST
    assert directory.account("telegram").allowlist == {"7"}
    assert directory.account("nowhere").refusal is None
    assert directory.models.list_names("home", "echo/d") == ["echo/d", "echo/c", "echo/a", "echo/b"]
    assert directory.models.first("elsewhere") == "echo/a"


def test_tokens_are_not_shown() -> None:
    directory = snapshot(gateway={"token": "a-token-of-the-owner"})
    assert directory.tokens[0].user_id == directory.owner.id
    assert directory.tokens[0].secret == b"a-token-of-the-owner"
    assert "a-token" not in repr(directory)


def test_an_overlay_adds_members_and_bindings_but_moves_no_configured_chat() -> None:
    overlay = Overlay(
        bindings={CHAT: "home", ("memory", "bound"): "home", ("memory", "x"): "unknown"},
        memberships={"home": frozenset({"bob"})},
    )
    directory = snapshot(
        overlay,
        workspaces={
            "home": {"members": ["ann"]},
            "work": {"bindings": [{"channel": "memory", "channel_id": "bound"}]},
        },
    )
    table = directory.workspaces
    assert table.members("home").ids == {"ann", "bob"}
    assert table.find_bound(*CHAT) == "home"
    assert table.find_bound("memory", "bound") == "work"
    assert table.find_bound("memory", "x") is None


def test_a_snapshot_that_contradicts_itself_is_refused() -> None:
    twice = {"members": [], "bindings": [{"channel": "memory", "channel_id": "1"}]}
    with pytest.raises(ConfigError, match="is bound to 'a' and to 'b'"):
        snapshot(workspaces={"a": twice, "b": twice})


def test_a_configuration_without_an_owner_is_refused() -> None:
    with pytest.raises(ConfigError, match="nobody is the owner"):
        snapshot(users={"owner": {}})


# ---------------------------------------------------------------- the store


async def test_the_overlay_is_kept_and_its_version_rises(stores: Stores) -> None:
    assert await stores.directory.load() == Overlay()
    overlay = Overlay(
        bindings={CHAT: "home", ("a:b", "c"): "d"},
        memberships={"home": frozenset({"ann", "bob"})},
        roles={"ann": "owner"},
        grants={"bob": frozenset({"tools.run"})},
    )
    first = await stores.directory.save(overlay)
    second = await stores.directory.save(overlay)
    assert 0 < first < second
    assert await stores.directory.load() == replace(overlay, version=second)


async def test_every_lease_tells_the_version(stores: Stores) -> None:
    await stores.lanes.push(Push(LANE, "1", {}))
    version = await stores.directory.save(Overlay())
    lease = await stores.lanes.take(LANE, "a-nonce", ttl=15, limit=10)
    assert isinstance(lease, Lease)
    assert lease.directory_version == version


# ---------------------------------------------------------------- the steps


class CountingStore:
    """A directory store that counts how often it is asked."""

    def __init__(self, stores: Stores) -> None:
        self._store = stores.directory
        self.loads = 0

    async def load(self) -> Overlay:
        self.loads += 1
        return await self._store.load()

    async def save(self, overlay: Overlay) -> int:
        return await self._store.save(overlay)


async def test_what_was_granted_holds_from_the_next_step_on_and_is_loaded_once() -> None:
    stores = fake_stores()
    t = talk(stores=stores, users={"ann": {"identities": ["memory:ann"]}}, **home())
    counting = CountingStore(stores)
    t.gateway.directory._store = counting  # the seam that `build` fills
    await t.say("alone", channel_id="room", is_direct=False)
    assert counting.loads == 0
    granted = Overlay(bindings={CHAT: "home"}, memberships={"home": frozenset({"ann"})})
    await stores.directory.save(granted)
    for _ in range(3):
        await t.say("at home", channel_id="room", is_direct=False)
    assert counting.loads == 1
    assert "**Workspace** home" in (await t.say("/status", channel_id="room", is_direct=False))[0]


async def test_a_turn_runs_wholly_under_the_snapshot_it_began_with() -> None:
    stores, slow = fake_stores(), SlowProvider()
    people = {"users": {"ann": {"identities": ["memory:ann"]}}}
    t = talk(stores=stores, provider=slow, memory={"refusal": "Not here."}, **people, **home())
    await t.write("hello", channel_id="room", is_direct=False)
    lane = await t.routed()
    turn = asyncio.create_task(t.gateway.turn(lane))
    await slow.speaking.wait()
    await stores.directory.save(Overlay(bindings={CHAT: "home"}))  # Ann is no member there
    slow.release.set()
    await turn
    await settle(t.gateway)
    assert t.texts == ["so far and done"]
    assert await t.say("again", channel_id="room", is_direct=False) == ["Not here."]


async def test_a_role_that_was_granted_is_a_stored_users_alone() -> None:
    stores = fake_stores()
    t = talk(stores=stores, users={"ann": {"identities": ["memory:ann"]}})
    await stores.users.add(User("bob", "Bob", identities=(Identity("memory", "bob"),)))
    await stores.directory.save(Overlay(roles={"ann": "owner", "bob": "owner"}))
    await t.say("anything")
    users = t.gateway.stores.users
    assert (await users.get("bob")).role == "owner"
    assert (await users.get("ann")).role == "member"


async def test_a_snapshot_follows_the_store_also_back() -> None:
    stores = fake_stores()
    live = LiveDirectory(lambda overlay: snapshot(overlay), stores.directory)
    assert await live.read(0) is live.current
    version = await stores.directory.save(Overlay())
    newer = await live.read(version)
    assert (newer.version, live.current) == (version, newer)
    assert await live.read(version) is newer
    await client_of(stores).redis.flushall()  # a failover lost the write
    assert (await live.read(0)).version == 0


async def test_a_version_that_a_failover_lost_is_not_used_again() -> None:
    stores = fake_stores()
    t = talk(stores=stores, users={"ann": {"identities": ["memory:ann"]}}, **home())
    granted = Overlay(bindings={CHAT: "home"}, memberships={"home": frozenset({"ann"})})
    await stores.directory.save(granted)
    assert await t.say("hi", channel_id="room", is_direct=False) == ["ok"]
    await client_of(stores).redis.delete(client_of(stores).keys.directory())
    await stores.directory.save(Overlay(bindings={CHAT: "home"}))  # Ann's membership is revoked
    assert await t.say("hi", channel_id="room", is_direct=False) == []


@pytest.mark.parametrize("text", ["no JSON", "[]", "{}", None])
async def test_grants_that_cannot_be_used_make_messages_wait_and_lose_none(
    text: str | None,
) -> None:
    stores = fake_stores()
    t = talk(stores=stores, lanes={"max_strikes": 1})
    await t.write("hello")
    await stores.directory.save(Overlay(memberships={"home": frozenset({""})}))
    t.gateway.directory._snapshot = partial(snapshot_of, t.settings)
    if text is not None:
        client = client_of(stores)
        await client.redis.hset(client.keys.directory(), "overlay", text)
    for _ in range(3):
        await make_due(stores)
        await t.route_all_once()
    assert t.texts == []
    await stores.directory.save(Overlay())
    await settle(t.gateway)
    assert t.texts == ["ok"]
    assert await stores.messages.dead() == []


async def test_a_store_that_is_away_leaves_the_snapshot_and_the_message() -> None:
    stores = fake_stores()
    t = talk(stores=stores)
    await stores.directory.save(Overlay())

    class Away(CountingStore):
        async def load(self) -> Overlay:
            self.loads += 1
            if self.loads == 1:
                raise StoreError("away")
            return await super().load()

    t.gateway.directory._store = Away(stores)
    assert await t.say("hello") == ["ok"]
