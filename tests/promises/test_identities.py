"""What users rely on in `sigil.identity`."""

from __future__ import annotations

import pytest

from sigil.errors import IdentityTaken, StoreError, UserNotFound
from sigil.identity import Identity, IdentityResolver, User
from sigil.stores import Stores, connect

ALICE = User(
    id="usr-1",
    name="Alice",
    role="member",
    identities=(Identity("telegram", "alice"), Identity("whatsapp", "+15551234567")),
    session_mode="unified",
)


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
