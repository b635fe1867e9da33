"""The money of an attempt: reserved before the call, settled after it, whatever happens between."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sigil.errors import BudgetExceeded, ErrorKind, PriceUnknown, ProviderError, StoreError
from sigil.providers import ChatEvent, EventType, ModelInfo, Usage
from sigil.providers.chain.attempt import Attempt
from sigil.providers.fakes import FakeProvider, ScriptedProvider
from tests.providers.chain.chains import (
    DONE,
    HALF,
    REQUEST,
    Purse,
    brief,
    chain_of,
    collect,
    error_event,
    failure,
)


async def test_each_call_is_paid_for_and_settled_with_what_it_used() -> None:
    purse = Purse(max_tokens=50)
    broken = ScriptedProvider([[HALF, ChatEvent(EventType.ERROR, error=failure())]], "a")
    refused = ScriptedProvider([failure(ErrorKind.AUTH, status=401)], "b")
    chain = chain_of(broken, refused, FakeProvider("c"), meter=purse)
    await collect(chain)
    assert purse.held == ["a/m", "b/m", "c/m"]
    assert purse.settled == [
        ("a/m", None, 3, False),
        ("b/m", Usage(), 0, False),
        ("c/m", Usage(1, 1), 2, True),
    ]
    assert broken.requests[0].max_tokens == 50
    assert [attempt.cost for attempt in chain.attempts] == [7, 7, 7]


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    ("error", "usage"),
    [
        (failure(ErrorKind.NETWORK), None),
        (failure(ErrorKind.NETWORK, reached=False), Usage()),
        (failure(ErrorKind.TIMEOUT), None),
        (failure(ErrorKind.SERVER, status=500), Usage()),
        (failure(ErrorKind.SERVER), None),
        (failure(ErrorKind.FILTERED), None),
        (failure(ErrorKind.RATE_LIMITED), Usage()),
        (failure(ErrorKind.INVALID_REQUEST), Usage()),
    ],
)
async def test_what_was_certainly_not_billed_costs_nothing(
    error: ProviderError, usage: Usage | None
) -> None:
    purse = Purse()
    await collect(chain_of(ScriptedProvider([error] * 2, "a"), meter=purse))
    assert purse.settled[0] == ("a/m", usage, 0, False)


async def test_a_stopped_call_is_settled_too() -> None:
    purse = Purse()
    events = chain_of(ScriptedProvider([[HALF, HALF, DONE]], "a"), meter=purse).chat(REQUEST)
    await anext(events)
    await events.aclose()
    assert purse.settled == [("a/m", None, 3, False)]


@pytest.mark.parametrize(
    ("end", "stream", "unseen"),
    [
        ([], True, True),
        ([error_event(ErrorKind.NETWORK)], True, True),
        ([error_event(ErrorKind.TIMEOUT)], True, True),
        ([error_event(ErrorKind.SERVER)], True, False),
        ([error_event(ErrorKind.SERVER)], False, True),
        ([DONE], False, False),
    ],
)
async def test_a_vendor_that_was_not_heard_to_its_end_may_have_written_more(
    end: list[ChatEvent], stream: bool, unseen: bool
) -> None:
    purse = Purse()
    broken = ScriptedProvider([[HALF, *end]], "a")
    await collect(chain_of(broken, FakeProvider("b"), meter=purse), replace(REQUEST, stream=stream))
    assert purse.unseen[0] is unseen


async def test_a_call_that_is_stopped_while_it_is_settled_is_on_record() -> None:
    class Slow(Purse):
        settling, go_on = asyncio.Event(), asyncio.Event()

        async def settle(self, *args: object, **more: object) -> int:
            self.settling.set()
            await self.go_on.wait()
            return 7

    purse = Slow()
    chain = chain_of(FakeProvider("a"), meter=purse)
    turn = asyncio.create_task(collect(chain))
    await purse.settling.wait()
    turn.cancel()
    asyncio.get_running_loop().call_later(0.05, purse.go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert [(attempt.answered, attempt.cost) for attempt in chain.attempts] == [(True, 7)]


async def test_money_is_counted_before_the_next_model_is_looked_at() -> None:
    class Hangs(FakeProvider):
        looked_at, go_on = asyncio.Event(), asyncio.Event()

        async def available(self) -> bool:
            self.looked_at.set()
            await self.go_on.wait()
            return True

    purse, after = Purse(), Hangs("b")
    limited = ScriptedProvider([failure(ErrorKind.RATE_LIMITED, retry_after=1)], "a")
    turn = asyncio.create_task(brief(chain_of(limited, after, meter=purse)))
    await after.looked_at.wait()
    assert len(purse.settled) == 1
    after.go_on.set()
    assert (await turn)[0] == "ok"


async def test_a_call_that_cannot_be_settled_is_on_record_with_what_it_will_count_as() -> None:
    class Away(Purse):
        async def settle(self, *args: object, **more: object) -> int:
            raise StoreError("away")

    chain = chain_of(FakeProvider("a"), meter=Away())
    assert await brief(chain) == ["ok", "usage", "done"]
    assert [attempt.cost for attempt in chain.attempts] == [100]


async def test_no_money_is_final_and_nobody_is_called() -> None:
    dear, cheap = FakeProvider("dear"), FakeProvider("b")
    error = BudgetExceeded("the budget is used up", window="day")
    chain = chain_of(dear, cheap, meter=Purse(error=error))
    (event,) = await collect(chain)
    assert event.error is error
    assert dear.requests == cheap.requests == []
    assert chain.attempts == []


async def test_an_unknown_price_moves_on() -> None:
    dear, cheap = FakeProvider("dear"), FakeProvider("b")
    chain = chain_of(dear, cheap, meter=Purse(error=PriceUnknown("dear/m")))
    assert await brief(chain) == ["ok", "usage", "done"]
    assert dear.requests == []


async def test_no_money_after_a_broken_answer_does_not_take_it_back() -> None:
    """RESTART belongs to an attempt that is made. Nobody answers, so the end is the error."""
    broken = ScriptedProvider([[HALF, error_event()]], "a")
    error = BudgetExceeded("the budget is used up", window="day")
    chain = chain_of(broken, FakeProvider("dear"), meter=Purse(error=error))
    assert await brief(chain) == ["Hal", "error"]


async def test_words_on_the_screen_outlive_an_attempt_that_was_not_paid_for() -> None:
    broken = ScriptedProvider([[HALF, error_event()]], "a")
    purse = Purse(error=PriceUnknown("dear/m"))
    chain = chain_of(broken, FakeProvider("dear"), FakeProvider("c"), meter=purse)
    assert await brief(chain) == ["Hal", "restart", "ok", "usage", "done"]


async def test_the_result_says_what_came_of_it() -> None:
    def attempt(provider: ScriptedProvider, *, speaking: bool = False) -> Attempt:
        return Attempt(
            "a/m", provider, "k", model_call=9, idle_stream=9, meter=Purse(), speaking=speaking
        )

    broken = attempt(ScriptedProvider([[HALF, error_event()]]), speaking=True)
    events = [event async for event in broken.events(REQUEST, ModelInfo("m"))]
    assert [event.type for event in events] == [EventType.RESTART, EventType.TEXT_DELTA]
    result = await broken.finish()
    assert (result.answered, result.speaking, result.has_spoken) == (False, True, True)
    assert result.record is not None
    assert (result.record.key, result.record.error) == ("k", result.error)

    silent = attempt(ScriptedProvider([failure()]), speaking=True)
    assert [event.type async for event in silent.events(REQUEST, ModelInfo("m"))] == [
        EventType.RESTART
    ]
    result = await silent.finish()
    assert (result.answered, result.speaking, result.has_spoken) == (False, False, False)

    never_begun = await attempt(ScriptedProvider([]), speaking=True).finish()
    assert (never_begun.record, never_begun.error, never_begun.speaking) == (None, None, True)
