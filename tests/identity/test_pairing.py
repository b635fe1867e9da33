from __future__ import annotations

import asyncio
import uuid

import pytest

from sigil.errors import StoreError
from sigil.identity.pairing import Door, PairingMode, admit, check_pairing, derive_user_id
from sigil.identity.users import ConfiguredUsers, Identity, People, User
from sigil.lanes.effects import Admit, Push
from sigil.messages.exchange import InboundMessage
from sigil.stores import connect
from sigil.stores.redis.batch import Batcher

OWNER = User("sean", "Sean", role="owner", identities=(Identity("telegram", "1"),))
LISTED = User("anna", "Anna", identities=(Identity("telegram", "2"),))
CONFIGURED = frozenset({"sean", "anna"})
MODES = list(PairingMode)
BY_PAIRING = [PairingMode.PAIR_ON_REQUEST, PairingMode.PAIR_WITH_CODE]


def configured(store, users):
    people = People.of(users)
    return ConfiguredUsers(store, lambda: people)


def message(sender: str, channel: str = "telegram", name: str | None = None) -> InboundMessage:
    return InboundMessage(channel, "chat", "m1", sender, "hello", sender_name=name)


def door(mode: PairingMode, allowlist: tuple[str, ...] = (), **more) -> Door:
    return Door(mode, allowlist, listed=CONFIGURED, **more)


async def let_in(stores, message, door, users):
    """Admits, and stores what is new as routing's commit does."""
    admission = await admit(message, door, users, stores.pairings)
    if admission.new_pairing:
        identity = Identity(message.channel_type, message.sender_id)
        effect = Admit(identity, admission.user, admission.new_user)
        await stores.lanes.push(Push("inbound:telegram:x", uuid.uuid4().hex, {}), [effect])
    return admission


@pytest.fixture
def users(stores):
    return configured(stores.users, [OWNER, LISTED])


@pytest.mark.parametrize(
    ("mode", "heard"),
    [
        (PairingMode.OPEN, True),
        (PairingMode.CLOSED, False),
        (PairingMode.ALLOWLIST, False),
        (PairingMode.PAIR_ON_REQUEST, True),
        (PairingMode.PAIR_WITH_CODE, False),
    ],
)
def test_what_a_mode_says_of_a_stranger(mode, heard):
    assert check_pairing(mode, "7", ["8"]) is heard
    assert check_pairing(mode, "7", []) is heard
    assert check_pairing(mode.value, "7", allowlist=["8"]) is heard


def test_the_allowlist_lists_exactly_and_matters_in_its_mode_alone():
    assert check_pairing(PairingMode.ALLOWLIST, "7", ["7"])
    assert not check_pairing(PairingMode.ALLOWLIST, "ann", ["Ann", "anna"])
    assert not check_pairing(PairingMode.CLOSED, "7", ["7"])
    assert not check_pairing(PairingMode.PAIR_WITH_CODE, "7", ["7"])


@pytest.mark.parametrize("mode", MODES)
async def test_the_owner_is_heard_in_every_mode(stores, users, mode):
    first = await let_in(stores, message("1"), door(mode), users)
    assert (first.admitted, first.user, first.new_pairing) == (True, OWNER, True)
    again = await let_in(stores, message("1"), door(mode), users)
    assert (again.admitted, again.new_pairing) == (True, False)
    assert await stores.pairings.is_paired("sean")


@pytest.mark.parametrize("mode", MODES)
async def test_a_listed_person_is_heard_unless_the_channel_is_closed(stores, users, mode):
    admission = await let_in(stores, message("2"), door(mode), users)
    assert admission.admitted is (mode != PairingMode.CLOSED)
    assert admission.user == LISTED
    assert await stores.pairings.is_paired("anna") is admission.admitted


@pytest.mark.parametrize("mode", [m for m in MODES if m != PairingMode.OPEN])
async def test_a_stranger_is_not_heard_and_leaves_no_trace(stores, users, mode):
    admission = await let_in(stores, message("3"), door(mode, ("4",)), users)
    assert (admission.admitted, admission.user) == (False, None)
    assert await stores.users.all() == []
    assert not await stores.pairings.has("telegram", "3")


@pytest.mark.parametrize(
    "entrance", [door(PairingMode.OPEN), door(PairingMode.ALLOWLIST, ("3",))], ids=["open", "list"]
)
async def test_who_is_let_in_gets_a_user_and_a_pairing_once(stores, users, entrance):
    first = await let_in(stores, message("3", name="Bob"), entrance, users)
    assert first.admitted
    assert first.new_pairing
    assert (first.user.name, first.user.role) == ("Bob", "member")
    assert await users.find("telegram", "3") == first.user
    assert await stores.pairings.is_paired(first.user.id)
    again = await let_in(stores, message("3", name="Robert"), entrance, users)
    assert (again.user, again.new_pairing) == (first.user, False)


async def test_many_first_messages_at_once_make_one_user(stores, users):
    entrance = door(PairingMode.OPEN)
    admissions = await asyncio.gather(
        *(let_in(stores, message("3"), entrance, users) for _ in range(6))
    )
    assert len({admission.user.id for admission in admissions}) == 1
    assert len(await stores.users.all()) == 1


@pytest.mark.parametrize("mode", MODES)
async def test_a_stored_pairing_admits_where_pairing_is_the_way_in(stores, users, mode):
    bob = User("usr-bob", "Bob", identities=(Identity("telegram", "3"),))
    await stores.users.add(bob)
    await stores.pairings.add("telegram", "3", "usr-bob")
    admission = await let_in(stores, message("3"), door(mode), users)
    assert admission.admitted is (mode in [*BY_PAIRING, PairingMode.OPEN])
    assert admission.user == bob
    assert not admission.new_pairing


@pytest.mark.parametrize("mode", BY_PAIRING)
async def test_a_pairing_of_another_channel_does_not_admit(stores, users, mode):
    await stores.users.add(
        User("usr-b", "B", identities=(Identity("telegram", "3"), Identity("slack", "3")))
    )
    await stores.pairings.add("slack", "3", "usr-b")
    assert not (await let_in(stores, message("3"), door(mode), users)).admitted


@pytest.mark.parametrize("mode", BY_PAIRING)
async def test_an_identity_taken_from_the_configuration_is_no_way_in(stores, users, mode):
    await let_in(stores, message("1"), door(mode), users)
    without = configured(stores.users, [User("sean", "Sean", role="owner"), LISTED])
    admission = await let_in(stores, message("1"), door(mode), without)
    assert (admission.admitted, admission.user) == (False, None)


@pytest.mark.parametrize("mode", BY_PAIRING)
async def test_a_pairing_admits_only_the_user_it_was_given_to(stores, users, mode):
    await stores.pairings.add("telegram", "3", "usr-before")
    await stores.users.add(User("usr-after", "B", identities=(Identity("telegram", "3"),)))
    admission = await let_in(stores, message("3"), door(mode), users)
    assert (admission.admitted, admission.user.id) == (False, "usr-after")
    assert not await stores.pairings.is_paired("usr-after")


async def test_who_leaves_the_allowlist_is_no_longer_heard(stores, users):
    listed = door(PairingMode.ALLOWLIST, ("3",))
    assert (await let_in(stores, message("3"), listed, users)).admitted
    emptied = door(PairingMode.ALLOWLIST)
    assert not (await let_in(stores, message("3"), emptied, users)).admitted


async def test_a_pairing_follows_an_identity_into_the_configuration(stores, users):
    before = configured(stores.users, [])
    stranger = await let_in(stores, message("2"), Door(PairingMode.OPEN), before)
    await let_in(stores, message("2"), door(PairingMode.PAIR_WITH_CODE), users)
    assert await stores.pairings.is_paired("anna")
    assert not await stores.pairings.is_paired(stranger.user.id)


@pytest.mark.parametrize("mode", MODES)
async def test_an_authenticated_sender_is_the_user_and_needs_no_pairing(stores, users, mode):
    web = door(mode, authenticated=True)
    admission = await let_in(stores, message("anna", "web"), web, users)
    assert (admission.admitted, admission.user) == (True, LISTED)
    assert await stores.pairings.is_paired("anna")


@pytest.mark.parametrize("mode", MODES)
async def test_an_authenticated_sender_must_exist_and_is_not_a_platform_id(stores, users, mode):
    web = door(mode, ("ghost", "2"), authenticated=True)
    for sender in ("ghost", "2", "telegram:2"):
        admission = await let_in(stores, message(sender, "web"), web, users)
        assert (admission.admitted, admission.user) == (False, None)
    assert await stores.users.all() == []


async def test_the_configuration_may_name_a_person_by_the_id_they_were_given(stores):
    own_id = derive_user_id(Identity("telegram", "3"))
    users = configured(stores.users, [User(own_id, "Promoted", role="owner")])
    entrance = Door(PairingMode.CLOSED, listed={own_id})
    admission = await let_in(stores, message("3"), entrance, users)
    assert (admission.admitted, admission.user.name) == (True, "Promoted")


def test_derived_ids_keep_channel_and_platform_id_apart():
    names = [
        ("a", "b:c"),
        ("a:b", "c"),
        ("a", 'b","c'),
        ('a","b', "c"),
        ("\u00e9", "x"),
        ("e\u0301", "x"),
    ]
    assert len({derive_user_id(Identity(*name)) for name in names}) == len(names)


async def test_a_known_person_costs_one_round_trip(stores, users, monkeypatch):
    entrance = door(PairingMode.OPEN)
    await let_in(stores, message("3"), entrance, users)
    trips = 0
    call = Batcher.call

    async def counted(self, *command):
        nonlocal trips
        trips += 1
        return await call(self, *command)

    monkeypatch.setattr(Batcher, "call", counted)
    await let_in(stores, message("3"), entrance, users)
    assert trips == 1


async def test_a_store_that_is_away_admits_nobody_and_says_so(tmp_path):
    stores = connect(f"unix://{tmp_path}/nobody-listens.sock")
    with pytest.raises(StoreError):
        await admit(message("3"), door(PairingMode.OPEN), stores.users, stores.pairings)
    await stores.backend.close()
