"""The effect that lets a person in: a user, who holds an identity, with a pairing by it."""

from __future__ import annotations

import pytest

from sigil.errors import IdentityTaken
from sigil.identity.users import Identity, User
from sigil.lanes.effects import Admit, Push
from sigil.stores import Stores
from tests.contracts.lane_bench import CHAT, everything, prefix, redis

ANN = Identity("m", "1")
ADMIT = Admit(ANN, User("u", "Ann", identities=(ANN,)), new=True)


async def let_in(stores: Stores, admit: Admit, item_id: str) -> None:
    await stores.lanes.push(Push(CHAT, item_id, {}), [admit])


async def test_who_is_let_in_is_a_user_with_a_pairing(stores: Stores) -> None:
    await let_in(stores, ADMIT, "1")
    assert await stores.users.find_paired("m", "1") == (ADMIT.user, "u")
    assert await stores.users.all() == [ADMIT.user]
    assert await stores.pairings.is_paired("u")


async def test_a_person_who_is_let_in_twice_stays_the_first_user(stores: Stores) -> None:
    again = Admit(ANN, User("u", "Anna", identities=(ANN,)), new=True)
    for item_id, admit in enumerate((ADMIT, again)):
        await let_in(stores, admit, str(item_id))
    assert await stores.users.find_paired("m", "1") == (ADMIT.user, "u")


async def test_a_known_user_gets_a_pairing_and_no_record(stores: Stores) -> None:
    await stores.pairings.add("m", "1", "before")
    await let_in(stores, Admit(ANN, User("configured", "C"), new=False), "1")
    assert await stores.users.find_paired("m", "1") == (None, "configured")
    assert await stores.users.all() == []
    assert not await stores.pairings.is_paired("before")


async def test_an_identity_that_another_user_holds_applies_nothing(stores: Stores) -> None:
    other = User("other", "Other", identities=(ANN,))
    await stores.users.add(other)
    before = await everything(stores)
    with pytest.raises(IdentityTaken):
        await let_in(stores, ADMIT, "1")
    assert await everything(stores) == before


async def test_an_identity_of_a_user_who_is_gone_is_free(stores: Stores) -> None:
    for gone in ("other", "u"):
        await stores.users.add(User(gone, "Gone", identities=(ANN,)))
        await redis(stores).delete(f"{prefix(stores)}user:{gone}")
        await let_in(stores, ADMIT, gone)
        assert await stores.users.find("m", "1") == ADMIT.user
