"""Shared health against a model of its rules, in any order of events."""

import asyncio
import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sigil.providers.chain.health_store import Cooldown, KeyGrant
from sigil.stores import connect
from sigil.testing import end_cooldowns, expire_probes, fake_stores

STEPS = (30.0, 60.0, 300.0)
_tokens = (f"rules-{count}" for count in itertools.count())


@dataclass
class Entry:
    reason_failures: int = 1
    over: bool = False
    prober: int | None = None
    overdue: bool = False


@dataclass
class Model:
    """The rules, without a clock: what is known of each key, and whose key is whose."""

    known: dict[str, Entry] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)

    def open(self, key: str) -> bool:
        entry = self.known.get(key)
        return entry is None or (entry.over and (entry.prober is None or entry.overdue))


KEYS = ("key-a", "key-b", "key-c")
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), st.sampled_from([None, "one", "two"]), st.integers(1, 3)),
        st.tuples(
            st.sampled_from(["record_failure", "record_answer", "release", "renew"]),
            st.integers(1, 4),
        ),
        st.tuples(st.sampled_from(["end", "expire"])),
    ),
    max_size=40,
)


async def _follow(stores, operations) -> None:
    """Does each operation to the store and to the model; they must say the same."""
    model, health = Model(), stores.health
    granted: list[KeyGrant] = []
    for name, *args in operations:
        if name == "admit":
            await _admit(health, model, granted, *args)
        elif name == "end":
            await end_cooldowns(stores)
            for entry in model.known.values():
                entry.over = True
        elif name == "expire":
            await expire_probes(stores)
            for entry in model.known.values():
                entry.overdue = True
        elif granted:
            await _report(health, model, granted, name, max(0, len(granted) - args[0]))
        seen = {cooldown.key: cooldown for cooldown in await health.list_cooldowns()}
        assert {key: c.failures for key, c in seen.items()} == {
            key: entry.reason_failures for key, entry in model.known.items()
        }
        for key, entry in model.known.items():
            assert seen[key].probing == (entry.prober is not None and not entry.overdue)
            assert (seen[key].seconds == 0) == entry.over


async def _admit(health, model, granted, session, count):
    keys = KEYS[:count]
    answer = await health.admit("openai", "model-1", keys, session, next(_tokens))
    callable_ = [key for key in keys if model.open(key)]
    if not callable_:
        assert isinstance(answer, Cooldown)
        return
    assert isinstance(answer, KeyGrant)
    assert answer.key in callable_
    assert answer.probe == (answer.key in model.known)
    if session is not None and (count > 1 or answer.probe):
        if model.own.get(session) in callable_:
            assert answer.key == model.own[session]
        model.own[session] = answer.key
    if answer.probe:
        entry = model.known[answer.key]
        entry.prober, entry.overdue = len(granted), False
    granted.append(answer)


async def _report(health, model, granted, name, number):
    grant = granted[number]
    entry = model.known.get(grant.key)
    current = entry is not None and entry.prober == number
    if name == "record_failure":
        await health.record_failure(grant, "server", STEPS)
        if entry is None:
            model.known[grant.key] = Entry()
        elif current:
            model.known[grant.key] = Entry(entry.reason_failures + 1)
        return
    await getattr(health, name)(grant)
    if not current:
        return
    if name == "record_answer":
        del model.known[grant.key]
    elif name == "release":
        entry.prober = None
    else:
        entry.overdue = False


# A probe that was given back counts no failure any more.
GIVEN_BACK = [
    ("admit", None, 1),
    ("record_failure", 1),
    ("end",),
    ("admit", None, 1),
    ("release", 1),
    ("record_failure", 1),
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(OPERATIONS)
@example(GIVEN_BACK)
def test_any_order_of_events_keeps_the_rules(operations):
    async def run():
        stores = fake_stores()
        await _follow(stores, operations)
        await stores.backend.close()

    asyncio.run(run())


@pytest.mark.valkey
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(OPERATIONS)
@example(GIVEN_BACK)
def test_any_order_of_events_keeps_the_rules_on_a_real_server(valkey_url, operations):
    async def run():
        stores = connect(valkey_url, prefix=f"{next(_tokens)}-{id(operations)}:")
        await _follow(stores, operations)
        await stores.backend.close()

    asyncio.run(run())
