"""Who is waited for: the last that could answer, which is not always the last of the chain."""

from __future__ import annotations

import pytest

from sigil.errors import ErrorKind, ProviderError
from sigil.providers import ChatEvent, ChatRequest, EventType, Message
from sigil.providers.chain.candidate import Candidate
from sigil.providers.chain.failover import FailoverProvider
from sigil.providers.chain.health import Health
from sigil.providers.fakes import FakeProvider, ScriptedProvider
from sigil.stores import Stores
from sigil.testing import fake_stores

REQUEST = ChatRequest("", [Message("user", "Hello")])
HALF = ChatEvent(EventType.TEXT_DELTA, text="Hal")


def failed(kind: ErrorKind, retry_after: float | None = None) -> ProviderError:
    return ProviderError(f"failed with {kind}", kind=kind, retry_after=retry_after)


def chain(stores: Stores, *providers: FakeProvider | ScriptedProvider) -> FailoverProvider:
    candidates = [Candidate(f"{each.name}/m", {"": each}) for each in providers]
    return FailoverProvider(candidates, health=Health(stores.health))


async def spoken(models: FailoverProvider) -> list[str]:
    return [event.text or event.type.value async for event in models.chat(REQUEST)]


@pytest.fixture
def shared() -> Stores:
    return fake_stores()


@pytest.mark.parametrize("kind", [ErrorKind.RATE_LIMITED, ErrorKind.OVERLOADED])
@pytest.mark.parametrize("asked", [0.0, 0.2])
async def test_a_wait_shorter_than_the_rest_is_as_long_as_the_rest(
    shared: Stores, kind: ErrorKind, asked: float
) -> None:
    models = chain(shared, ScriptedProvider([failed(kind, asked), "here"], "a"))
    assert await spoken(models) == ["here", "usage", "done"]


async def test_whoever_is_followed_only_by_what_rests_is_waited_for(shared: Stores) -> None:
    resting = ScriptedProvider([failed(ErrorKind.SERVER), "no"], "b")
    await spoken(chain(shared, resting))
    limited = ScriptedProvider([failed(ErrorKind.RATE_LIMITED, 1.0), "here"], "a")
    assert await spoken(chain(shared, limited, resting)) == ["here", "usage", "done"]
    assert len(resting.requests) == 1


async def test_whoever_is_followed_only_by_what_is_away_begins_again(shared: Stores) -> None:
    broken = ScriptedProvider([[HALF], "whole"], "a")
    away = FakeProvider("b", available=False)
    assert await spoken(chain(shared, broken, away)) == ["Hal", "restart", "whole", "usage", "done"]


async def test_whoever_is_followed_by_one_that_can_answer_is_not(shared: Stores) -> None:
    limited = ScriptedProvider([failed(ErrorKind.RATE_LIMITED, 1.0), "late"], "a")
    away, well = FakeProvider("b", available=False), FakeProvider("c")
    assert await spoken(chain(shared, limited, away, well)) == ["ok", "usage", "done"]
    assert len(limited.requests) == 1
