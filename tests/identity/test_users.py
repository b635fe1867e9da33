from __future__ import annotations

import asyncio

import pytest

from sigil.errors import ConfigError, IdentityTaken, StoreError, UserNotFound
from sigil.identity.users import ConfiguredUsers, Identity, IdentityResolver, People, User
from sigil.stores import connect

ALICE = User(
    id="usr-1",
    name="Alice",
    identities=(Identity("telegram", "alice"), Identity("whatsapp", "+15551234567")),
)
SEAN = User(
    id="sean",
    name="Sean",
    role="owner",
    identities=(Identity("telegram", "42"),),
    session_mode="per_channel",
)


def configured(store, users):
    people = People.of(users)
    return ConfiguredUsers(store, lambda: people)


async def test_every_identity_of_a_user_resolves_to_that_user(stores):
    await stores.users.add(ALICE)
    resolver = IdentityResolver(stores.users)
    assert await resolver.resolve("telegram", "alice") == ALICE
    assert (await resolver.resolve("whatsapp", "+15551234567")).id == "usr-1"


@pytest.mark.parametrize(
    ("channel", "platform_id"),
    [
        ("telegram", "Alice"),
        ("telegram", "alice "),
        ("Telegram", "alice"),
        ("whatsapp", "alice"),
        ("telegram", ""),
        ("telegram:alice", ""),
    ],
)
async def test_identities_compare_exactly(stores, channel, platform_id):
    await stores.users.add(ALICE)
    with pytest.raises(UserNotFound):
        await IdentityResolver(stores.users).resolve(channel, platform_id)


async def test_a_backend_that_is_away_is_not_an_unknown_user(tmp_path):
    stores = connect(f"unix://{tmp_path}/nobody-listens.sock")
    with pytest.raises(StoreError):
        await IdentityResolver(stores.users).resolve("telegram", "alice")
    with pytest.raises(StoreError):
        await stores.users.get("usr-1")
    await stores.backend.close()


async def test_an_identity_that_is_taken_changes_nothing(stores):
    await stores.users.add(ALICE)
    thief = User("usr-2", "Bob", identities=(Identity("slack", "B"), Identity("telegram", "alice")))
    with pytest.raises(IdentityTaken, match="telegram identity 'alice'"):
        await stores.users.add(thief)
    assert await stores.users.find("telegram", "alice") == ALICE
    with pytest.raises(UserNotFound):
        await stores.users.find("slack", "B")
    assert await stores.users.all() == [ALICE]


async def test_of_many_who_claim_an_identity_at_once_one_wins(stores):
    users = [User(f"usr-{n}", "x", identities=(Identity("irc", "nick"),)) for n in range(8)]
    results = await asyncio.gather(*map(stores.users.add, users), return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, IdentityTaken) for result in results) == 7
    assert await stores.users.all() == [await stores.users.find("irc", "nick")]


async def test_replacing_a_user_gives_up_identities_for_others(stores):
    await stores.users.add(ALICE)
    await stores.users.add(User("usr-1", "Alice", identities=(Identity("telegram", "alice"),)))
    bob = User("usr-2", "Bob", identities=(Identity("whatsapp", "+15551234567"),))
    await stores.users.add(bob)
    assert await stores.users.find("whatsapp", "+15551234567") == bob


async def test_a_configured_user_comes_before_a_stored_one(stores):
    earlier = User("usr-9", "Old", identities=(Identity("telegram", "42"), Identity("irc", "old")))
    await stores.users.add(earlier)
    users = configured(stores.users, [SEAN])
    assert await users.find("telegram", "42") == SEAN
    assert await users.get("sean") == SEAN
    shadowed = User("usr-9", "Old", identities=(Identity("irc", "old"),))
    assert await users.find("irc", "old") == shadowed
    assert await users.get("usr-9") == shadowed
    assert await users.all() == [SEAN, shadowed]


async def test_a_configured_user_and_identity_cannot_be_taken_over(stores):
    users = configured(stores.users, [SEAN])
    with pytest.raises(IdentityTaken, match="configuration"):
        await users.add(User("sean", "Mallory", role="owner"))
    with pytest.raises(IdentityTaken, match="telegram"):
        await users.add(User("usr-2", "Mallory", identities=(Identity("telegram", "42"),)))
    assert await stores.users.all() == []
    assert await users.get("sean") == SEAN


async def test_the_configuration_tells_what_a_stored_user_of_its_id_is(stores):
    await stores.users.add(User("sean", "Before", identities=(Identity("irc", "sean"),)))
    users = configured(stores.users, [SEAN])
    assert await users.find("irc", "sean") == SEAN
    assert await users.all() == [SEAN]


async def test_others_go_to_the_store(stores):
    users = configured(stores.users, [SEAN])
    await users.add(ALICE)
    assert await users.find("telegram", "alice") == ALICE
    with pytest.raises(UserNotFound):
        await users.get("nobody")
    with pytest.raises(UserNotFound):
        await users.find("telegram", "nobody")


def test_a_configuration_that_uses_an_identity_or_id_twice_is_refused(stores):
    other = User("anna", "Anna", identities=(Identity("telegram", "42"),))
    with pytest.raises(ConfigError, match=r"users\.anna\.identities: telegram:42 belongs to sean"):
        configured(stores.users, [SEAN, other])
    with pytest.raises(ConfigError, match=r"users\.sean"):
        configured(stores.users, [SEAN, SEAN])


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("telegram:42", Identity("telegram", "42")),
        ("matrix:@sean:example.org", Identity("matrix", "@sean:example.org")),
        ("sean", None),
        (":42", None),
        ("telegram:", None),
    ],
)
def test_an_identity_is_read_from_text(text, identity):
    assert Identity.parse(text) == identity
