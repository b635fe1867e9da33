"""Which candidate answers: the order, what moves on, what ends, and who is waited for.

A chain sees nothing of a failure but its class and its place: before the first word of a stream,
in the middle of it, or in an answer that comes in one piece.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from sigil.errors import AllProvidersUnavailable, BudgetExceeded, ErrorKind, ProviderError
from sigil.errors.failures import POLICY
from sigil.providers import ChatEvent, EventType, ToolCall, Usage
from sigil.providers.chain.candidate import Candidate
from sigil.providers.chain.failover import FailoverProvider
from sigil.providers.chain.health import Health
from sigil.providers.chain.health_store import KeyGrant
from sigil.providers.fakes import FakeProvider, ScriptedProvider
from sigil.stores import Stores
from sigil.testing import end_cooldowns
from tests.providers.chain.chains import (
    DONE,
    HALF,
    REQUEST,
    Sized,
    brief,
    chain_of,
    collect,
    error_event,
    failure,
    kinds,
)

CALL = ChatEvent(EventType.TOOL_CALL, tool_call=ToolCall("c", "add"))
SPENT = ChatEvent(EventType.USAGE, usage=Usage(3, 2))

PLACES = ("before", "mid", "whole")
QUICK = {ErrorKind.NETWORK, ErrorKind.OVERLOADED}
FINAL = {ErrorKind.INVALID_REQUEST, ErrorKind.FILTERED}


# ------------------------------------------------------------------ every class in every place


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("kind", sorted(ErrorKind))
@pytest.mark.parametrize("place", PLACES)
async def test_a_failure_is_answered_for_once(kind: ErrorKind, place: str) -> None:
    broken = [HALF, error_event(kind)] if place == "mid" else failure(kind)
    first = Sized("a", [broken] * 2, context=1000)
    same = Sized("b", ["small"], context=1000)
    well = Sized("c", ["well"], context=9000)
    too_long = kind is ErrorKind.CONTEXT_TOO_LONG
    chain = chain_of(first, *([same] if too_long else []), well)

    said = await brief(chain, replace(REQUEST, stream=place != "whole"))

    attempts = 2 if kind in QUICK and place != "mid" else 1
    assert len(first.requests) == attempts
    assert same.requests == []
    spoken = ["Hal"] if place == "mid" else []
    if kind in FINAL:
        assert said == [*spoken, "error"]
        assert (kinds(chain), well.requests) == ([kind], [])
    else:
        restart = ["restart"] if spoken else []
        assert said == [*spoken, *restart, "well", "usage", "done"]
        assert kinds(chain) == [kind] * attempts + [None]
        assert len(well.requests) == 1


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("kind", sorted(ErrorKind))
@pytest.mark.parametrize("place", PLACES)
async def test_a_failure_of_the_only_model_ends_in_one_error(kind: ErrorKind, place: str) -> None:
    broken = [HALF, error_event(kind)] if place == "mid" else failure(kind)
    chain = chain_of(ScriptedProvider([broken] * 2, "a"))
    events = await collect(chain, replace(REQUEST, stream=place != "whole"))
    assert [event.type for event in events].count(EventType.ERROR) == 1
    error = events[-1].error
    assert error is not None
    assert kinds(chain) == [kind] * (2 if kind in QUICK else 1)
    if kind in FINAL | {ErrorKind.CONTEXT_TOO_LONG}:
        assert error.kind is kind
    else:
        assert isinstance(error, AllProvidersUnavailable)
        assert error.causes == {"a/m": f"{kind}: failed with {kind}"}


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("kind", sorted(QUICK))
async def test_what_is_over_in_a_moment_never_reaches_the_next(kind: ErrorKind) -> None:
    after = FakeProvider("b")
    chain = chain_of(ScriptedProvider([failure(kind), "here"], "a"), after)
    assert await brief(chain) == ["here", "usage", "done"]
    assert after.requests == []


# ------------------------------------------------------------------ the order


async def test_the_first_that_answers_is_the_answer() -> None:
    first, second = FakeProvider("a", reply="one"), FakeProvider("b", reply="two")
    chain = chain_of(first, second)
    assert await brief(chain) == ["one", "usage", "done"]
    assert first.requests[0].model == "m"
    assert second.requests == []
    (attempt,) = chain.attempts
    assert (attempt.model, attempt.answered, attempt.error) == ("a/m", True, None)
    assert attempt.usage == Usage(1, 1)
    assert attempt.seconds >= 0


async def test_a_budget_that_a_provider_finds_used_up_is_final() -> None:
    error = BudgetExceeded("the budget is used up", window="day")
    after = FakeProvider("b")
    broken = ScriptedProvider([[HALF, ChatEvent(EventType.ERROR, error=error)]], "a")
    events = await collect(chain_of(broken, after))
    assert [event.type for event in events] == [EventType.TEXT_DELTA, EventType.ERROR]
    assert events[-1].error is error
    assert after.requests == []


@pytest.mark.parametrize("said", [HALF, CALL])
@pytest.mark.parametrize("rest", [[], [error_event()]], ids=["breaks off", "fails"])
async def test_a_candidate_that_had_spoken_is_taken_back(
    said: ChatEvent, rest: list[ChatEvent]
) -> None:
    chain = chain_of(ScriptedProvider([[said, SPENT, *rest]], "a"), FakeProvider("b"))
    assert (await brief(chain))[1:] == ["usage", "restart", "ok", "usage", "done"]
    assert chain.attempts[0].usage == SPENT.usage


@pytest.mark.usefixtures("no_pauses")
async def test_a_candidate_that_had_not_spoken_needs_no_taking_back() -> None:
    chain = chain_of(ScriptedProvider([[SPENT]], "a"), FakeProvider("b"))
    assert await brief(chain) == ["usage", "ok", "usage", "done"]
    assert kinds(chain)[0] is ErrorKind.NETWORK


@pytest.mark.usefixtures("no_pauses")
async def test_when_all_fail_one_error_names_each() -> None:
    chain = chain_of(
        ScriptedProvider([failure(ErrorKind.OVERLOADED)] * 2, "a"),
        FakeProvider("b", available=False),
        ScriptedProvider([[HALF, error_event()]], "c"),
    )
    events = await collect(chain)
    assert [event.type for event in events] == [EventType.TEXT_DELTA, EventType.ERROR]
    error = events[-1].error
    assert isinstance(error, AllProvidersUnavailable)
    assert list(error.causes) == ["a/m", "b/m", "c/m"]
    assert "overloaded" in error.causes["a/m"]
    assert [a.model for a in chain.attempts] == ["a/m", "a/m", "c/m"]


async def test_a_candidate_is_tried_once_in_a_turn() -> None:
    broken, working = ScriptedProvider([failure(), "never"], "a"), FakeProvider("b")
    chain = chain_of(broken, broken, working)
    for _ in range(2):
        assert await brief(chain) == ["ok", "usage", "done"]
    assert (len(broken.requests), len(working.requests)) == (1, 2)


async def test_it_is_available_while_one_candidate_is() -> None:
    lonely = chain_of(FakeProvider("a", available=False), ScriptedProvider([failure()], "b"))
    assert await lonely.available()
    await collect(lonely)
    assert not await lonely.available()


async def test_models_are_listed_under_their_full_names() -> None:
    known = FakeProvider("a")
    chain = FailoverProvider([Candidate("a/model", {"": known}), Candidate("a/other", {"": known})])
    listed = await chain.list_models()
    assert [(model.id, model.tools) for model in listed] == [("a/model", True), ("a/other", False)]


async def test_each_candidate_is_asked_for_what_it_can_take() -> None:
    small, large = Sized("a", [failure()], 600), Sized("b", ["here"], 100_000)
    await collect(chain_of(small, large))
    assert small.requests[0].max_tokens == 300
    assert large.requests[0].max_tokens == REQUEST.max_tokens


async def test_closing_early_is_one_cancelled_attempt() -> None:
    chain = chain_of(ScriptedProvider([[HALF, HALF, DONE]], "a"))
    async with aclosing(chain.chat(REQUEST)) as events:
        assert (await anext(events)).text == "Hal"
    (attempt,) = chain.attempts
    assert (attempt.answered, attempt.error) == (False, None)


# ------------------------------------------------------------------ a context that is too short


async def test_too_long_for_all_is_said_as_that() -> None:
    long = failure(ErrorKind.CONTEXT_TOO_LONG)
    chain = chain_of(Sized("a", [long], 9000), Sized("b", ["no"], 1000))
    (event,) = await collect(chain)
    assert event.error is long


async def test_too_long_goes_to_a_model_that_nobody_knows() -> None:
    long = failure(ErrorKind.CONTEXT_TOO_LONG)
    chain = chain_of(Sized("a", [long], 9000), FakeProvider("unknown"))
    assert await brief(chain) == ["ok", "usage", "done"]


# ------------------------------------------------------------------ the last hope


@pytest.mark.parametrize("kind", [ErrorKind.RATE_LIMITED, ErrorKind.OVERLOADED])
async def test_who_names_a_time_is_not_called_before_it(shared: Stores, kind: ErrorKind) -> None:
    limited = ScriptedProvider([failure(kind, retry_after=20.0), "early"], "a")
    (event,) = await collect(chain_of(limited, health=Health(shared.health)))
    assert isinstance(event.error, AllProvidersUnavailable)
    assert event.error.kinds == {"a/m": kind}
    assert event.error.retry_in is not None
    assert 15 < event.error.retry_in <= 20


@pytest.mark.parametrize("kind", list(ErrorKind))
async def test_only_what_passes_by_itself_is_worth_waiting_for(
    shared: Stores, kind: ErrorKind
) -> None:
    """Also for those who were not the first to learn of it."""
    for _ in range(2):
        failing = ScriptedProvider([failure(kind)] * 2, "a")
        *_, event = await collect(chain_of(failing, health=Health(shared.health)))
        if isinstance(event.error, AllProvidersUnavailable):
            assert event.error.kinds == {"a/m": kind}
            assert (event.error.retry_in is not None) is POLICY[kind].waits
        else:
            assert not POLICY[kind].waits


async def test_the_first_of_those_that_pass_is_waited_for(shared: Stores) -> None:
    health = Health(shared.health)
    limited = ScriptedProvider([failure(ErrorKind.RATE_LIMITED, retry_after=200.0)], "a")
    busy = ScriptedProvider([failure(ErrorKind.OVERLOADED, retry_after=50.0)], "b")
    refused = ScriptedProvider([failure(ErrorKind.AUTH)], "c")
    away = FakeProvider("d", available=False)
    (event,) = await collect(chain_of(limited, busy, refused, away, health=health))
    assert isinstance(event.error, AllProvidersUnavailable)
    assert event.error.retry_in is not None
    assert 45 < event.error.retry_in <= 50
    assert set(event.error.kinds) == {"a/m", "b/m", "c/m"}


async def test_who_probes_lets_the_others_wait(shared: Stores) -> None:
    health = Health(shared.health)
    failing = ScriptedProvider([failure()], "a")
    await collect(chain_of(failing, health=health))
    await end_cooldowns(shared)
    grant = await health.admit("a", "m", [""])
    assert isinstance(grant, KeyGrant)
    assert grant.probe
    (event,) = await collect(chain_of(failing, health=health))
    assert isinstance(event.error, AllProvidersUnavailable)
    assert event.error.retry_in == 0
    assert len(failing.requests) == 1


async def test_another_model_answers_for_one_that_is_limited(shared: Stores) -> None:
    limited = ScriptedProvider([failure(ErrorKind.RATE_LIMITED, retry_after=30.0)], "a")
    away, well = FakeProvider("b", available=False), FakeProvider("c")
    async with asyncio.timeout(5):
        assert await brief(chain_of(limited, away, well)) == ["ok", "usage", "done"]
    assert len(limited.requests) == 1


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("others", [[], [FakeProvider("b", available=False)]], ids=["none", "away"])
async def test_the_last_hope_begins_a_broken_answer_again(others: list[FakeProvider]) -> None:
    broken = ScriptedProvider([[HALF], "whole"], "a")
    assert await brief(chain_of(broken, *others)) == ["Hal", "restart", "whole", "usage", "done"]


# ------------------------------------------------------------------ keys


@pytest.mark.parametrize("kind", [ErrorKind.RATE_LIMITED, ErrorKind.AUTH, ErrorKind.BILLING])
async def test_another_key_answers_for_one_that_is_limited(shared: Stores, kind: ErrorKind) -> None:
    limited, well = ScriptedProvider([failure(kind)], "one"), FakeProvider("two")
    keys = {"k1": limited, "k2": well}
    for _ in range(3):
        chain = FailoverProvider([Candidate("a/m", keys)], health=Health(shared.health))
        assert await brief(chain) == ["ok", "usage", "done"]
    assert len(limited.requests) == 1
    (resting,) = await shared.health.list_cooldowns()
    assert (resting.key, resting.reason) == ("k1", kind.value)


async def test_a_session_keeps_to_its_key(shared: Stores) -> None:
    keys = {name: FakeProvider(name) for name in ("k1", "k2", "k3")}
    for session in ("s1", "s2", "s3") * 3:
        chain = FailoverProvider([Candidate("a/m", keys)], health=Health(shared.health))
        await collect(chain, replace(REQUEST, session=session))
    sessions = [{request.session for request in key.requests} for key in keys.values()]
    assert sorted(map(len, sessions)) == [1, 1, 1]


# ------------------------------------------------------------------ what would be called first


async def test_choosing_calls_nobody_and_names_every_cause(shared: Stores) -> None:
    health = Health(shared.health)
    broken = ScriptedProvider([failure()], "a")
    await collect(chain_of(broken, health=health))
    away, well = FakeProvider("b", available=False), FakeProvider("c")
    assert (await chain_of(broken, away, well, health=health).choose()).name == "c/m"
    with pytest.raises(AllProvidersUnavailable) as caught:
        await chain_of(broken, away, health=health).choose()
    assert caught.value.causes["b/m"] == "not available"
    assert caught.value.causes["a/m"].startswith("resting after server")
    assert well.requests == []


async def test_a_provider_that_raises_moves_on_without_showing_what() -> None:
    chain = chain_of(
        ScriptedProvider([RuntimeError("private")], "a"),
        ScriptedProvider([[HALF, ChatEvent(EventType.ERROR)]], "b"),
    )
    error = (await collect(chain))[-1].error
    assert isinstance(error, AllProvidersUnavailable)
    assert kinds(chain) == [ErrorKind.SERVER, ErrorKind.SERVER]
    assert "RuntimeError" in str(error)
    assert "private" not in str(error)


def test_the_causes_of_those_passed_over_before_are_kept() -> None:
    error = asyncio.run(collect(FailoverProvider([], causes={"gone/m": "excluded"})))[-1].error
    assert isinstance(error, ProviderError)
    assert "gone/m: excluded" in str(error)
