"""The chain with what all workers share: health, keys and budgets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import pytest

from sigil.errors import (
    AllProvidersUnavailable,
    BudgetExceeded,
    ErrorKind,
    PriceUnknown,
    ProviderError,
    StoreError,
)
from sigil.providers import (
    ChatEvent,
    ChatRequest,
    EventType,
    Message,
    ModelInfo,
    ModelRequest,
    ProviderRegistry,
    Usage,
)
from sigil.providers.chain import health as health_policy
from sigil.providers.chain import policy
from sigil.providers.chain.candidate import Candidate
from sigil.providers.chain.failover import FailoverProvider
from sigil.providers.chain.health import Health
from sigil.providers.chain.meter import Hold
from sigil.providers.fakes import FakeProvider, ScriptedProvider
from sigil.stores import Stores
from sigil.testing import end_cooldowns, fake_stores

REQUEST = ChatRequest("", [Message("user", "Hello")], max_tokens=1000)
HALF = ChatEvent(EventType.TEXT_DELTA, text="Hal")
DONE = ChatEvent(EventType.DONE, stop_reason="stop")


def failed(kind: ErrorKind = ErrorKind.SERVER, **more: object) -> ProviderError:
    return ProviderError(f"failed with {kind}", kind=kind, **more)


def broken(kind: ErrorKind) -> ChatEvent:
    return ChatEvent(EventType.ERROR, error=failed(kind))


class Sized(ScriptedProvider):
    """A scripted provider whose models have a context of so many tokens."""

    def __init__(self, name: str, script: Iterable[object], context: int) -> None:
        super().__init__(script, name)
        self.context = context

    def model_info(self, model: str) -> ModelInfo:
        return ModelInfo(model, max_context_tokens=self.context)

    async def refresh_models(self) -> list[ModelInfo]:
        return []


class Purse:
    """A meter over plain numbers."""

    def __init__(self, max_tokens: int = 1000, error: Exception | None = None) -> None:
        self.max_tokens, self.error = max_tokens, error
        self.held: list[str] = []
        self.settled: list[tuple[str, Usage | None, int, bool]] = []
        self.unseen: list[bool] = []

    async def reserve(self, model: str, request: ChatRequest, info: ModelInfo) -> Hold:
        if self.error is not None and model.startswith("dear"):
            raise self.error
        self.held.append(model)
        return Hold(model, 100, min(self.max_tokens, request.max_tokens))

    async def settle(
        self, hold: Hold, model: str, usage: Usage | None, *, said: int, complete: bool
    ) -> int:
        assert hold.id == model
        self.settled.append((model, usage, said, complete))
        self.unseen.append(hold.unseen)
        return 7


async def collected(chain: FailoverProvider, request: ChatRequest = REQUEST) -> list[ChatEvent]:
    return [event async for event in chain.chat(request)]


def words(events: list[ChatEvent]) -> list[str]:
    return [event.text or event.type.value for event in events]


def candidates(*providers: ScriptedProvider | FakeProvider) -> list[Candidate]:
    return [Candidate(f"{p.name}/m", {"": p}) for p in providers]


@pytest.fixture
def shared() -> Stores:
    return fake_stores()


# ------------------------------------------------------------------ quick tries and waits


@pytest.mark.parametrize("kind", [ErrorKind.NETWORK, ErrorKind.OVERLOADED])
async def test_what_is_over_in_a_moment_never_reaches_the_next(kind: ErrorKind) -> None:
    after = FakeProvider("b")
    chain = FailoverProvider(candidates(ScriptedProvider([failed(kind), "here"], "a"), after))
    assert words(await collected(chain)) == ["here", "usage", "done"]
    assert after.requests == []


async def test_a_broken_answer_of_the_last_hope_is_begun_again() -> None:
    chain = FailoverProvider(candidates(ScriptedProvider([[HALF], "whole"], "a")))
    assert words(await collected(chain)) == ["Hal", "restart", "whole", "usage", "done"]


async def test_a_short_retry_after_of_the_last_hope_is_waited_for(shared: Stores) -> None:
    limited = failed(ErrorKind.RATE_LIMITED, retry_after=1.0)
    chain = FailoverProvider(
        candidates(ScriptedProvider([limited, "here"], "a")), health=Health(shared.health)
    )
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert words(await collected(chain)) == ["here", "usage", "done"]
    assert loop.time() - began >= 1
    assert await shared.health.list_cooldowns() == []


@pytest.mark.parametrize("asked", [61.0, 3600.0])
async def test_a_long_retry_after_is_not_waited_for(shared: Stores, asked: float) -> None:
    limited = ScriptedProvider([failed(ErrorKind.RATE_LIMITED, retry_after=asked), "late"], "a")
    chain = FailoverProvider(candidates(limited), health=Health(shared.health))
    (event,) = await collected(chain)
    assert isinstance(event.error, AllProvidersUnavailable)
    (resting,) = await shared.health.list_cooldowns()
    assert asked - 5 < resting.seconds <= asked


async def test_nobody_waits_while_another_model_can_answer() -> None:
    limited = ScriptedProvider([failed(ErrorKind.RATE_LIMITED, retry_after=30.0)], "a")
    chain = FailoverProvider(candidates(limited, FakeProvider("b")))
    async with asyncio.timeout(5):
        assert words(await collected(chain)) == ["ok", "usage", "done"]


# ------------------------------------------------------------------ shared health


async def test_a_model_that_failed_is_passed_over_by_every_other_chain(shared: Stores) -> None:
    broken, backup = ScriptedProvider([failed(), "well"], "a"), FakeProvider("b")

    def chain() -> FailoverProvider:
        return FailoverProvider(candidates(broken, backup), health=Health(shared.health))

    for _ in range(3):
        assert words(await collected(chain())) == ["ok", "usage", "done"]
    assert len(broken.requests) == 1
    await end_cooldowns(shared)
    assert words(await collected(chain()))[0] == "well"


async def test_all_resting_says_why_and_until_when(shared: Stores) -> None:
    health = Health(shared.health, steps=[30])
    broken = ScriptedProvider([failed(ErrorKind.SERVER)], "a")
    await collected(FailoverProvider(candidates(broken), health=health))
    (event,) = await collected(FailoverProvider(candidates(broken), health=health))
    assert isinstance(event.error, AllProvidersUnavailable)
    assert "server" in event.error.causes["a/m"]
    assert event.error.retry_in is not None
    assert 0 < event.error.retry_in <= 30
    assert len(broken.requests) == 1


async def test_a_registry_routes_past_what_rests(shared: Stores) -> None:
    registry = ProviderRegistry(Health(shared.health))
    for provider in (ScriptedProvider([failed()], "a"), FakeProvider("b")):
        registry.register(provider.name, provider)
    registry.set_default("a/m")
    registry.set_failover(["b/m"])
    await collected(registry.chain(ModelRequest()))
    assert (await registry.route(ModelRequest()))[0].name == "b"
    await end_cooldowns(shared)
    assert (await registry.route(ModelRequest()))[0].name == "a"


@pytest.mark.parametrize("kind", [ErrorKind.RATE_LIMITED, ErrorKind.AUTH, ErrorKind.BILLING])
async def test_another_key_answers_for_one_that_is_limited(shared: Stores, kind: ErrorKind) -> None:
    limited, well = ScriptedProvider([failed(kind)], "one"), FakeProvider("two")
    health = Health(shared.health)
    keys = {"k1": limited, "k2": well}
    for _ in range(3):
        chain = FailoverProvider([Candidate("a/m", keys)], health=health)
        assert words(await collected(chain)) == ["ok", "usage", "done"]
    assert len(limited.requests) == 1
    (resting,) = await shared.health.list_cooldowns()
    assert (resting.key, resting.reason) == ("k1", kind.value)


async def test_a_session_keeps_to_its_key(shared: Stores) -> None:
    keys = {name: FakeProvider(name) for name in ("k1", "k2", "k3")}
    for session in ("s1", "s2", "s3") * 3:
        chain = FailoverProvider([Candidate("a/m", keys)], health=Health(shared.health))
        await collected(chain, replace(REQUEST, session=session))
    sessions = [{request.session for request in key.requests} for key in keys.values()]
    assert sorted(map(len, sessions)) == [1, 1, 1]


async def test_a_cancelled_probe_leaves_the_model_to_the_next(shared: Stores) -> None:
    class Hangs(ScriptedProvider):
        asked = asyncio.Event()

        async def chat(self, request: ChatRequest):  # type: ignore[override]
            if len(self.requests) == 1:
                self.requests.append(request)
                self.asked.set()
                await asyncio.sleep(3600)
            async for event in super().chat(request):
                yield event

    model = Hangs([failed(), "well"], "a")
    health = Health(shared.health)
    await collected(FailoverProvider(candidates(model), health=health))
    await end_cooldowns(shared)
    probe = asyncio.create_task(collected(FailoverProvider(candidates(model), health=health)))
    await model.asked.wait()
    (event,) = await collected(FailoverProvider(candidates(model), health=health))
    assert "being tried" in str(event.error)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert words(await collected(FailoverProvider(candidates(model), health=health)))[0] == "well"


async def test_a_probe_that_speaks_for_a_while_lets_the_others_in(
    shared: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_policy, "PROVEN_S", 0)
    health = Health(shared.health)
    model = ScriptedProvider([failed(), [HALF, HALF, DONE], "side by side"], "a")
    await collected(FailoverProvider(candidates(model), health=health))
    await end_cooldowns(shared)
    probe = FailoverProvider(candidates(model), health=health).chat(REQUEST)
    await anext(probe)
    assert await shared.health.list_cooldowns() == []
    beside = await collected(FailoverProvider(candidates(model), health=health))
    assert words(beside)[0] == "side by side"
    assert words([event async for event in probe]) == ["Hal", "done"]


async def test_a_probe_that_is_cancelled_between_two_tries_is_given_back(
    shared: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "QUICK_PAUSE_S", (3600, 3600))
    health = Health(shared.health)
    model = ScriptedProvider([failed(), failed(ErrorKind.NETWORK), "well"], "a")
    await collected(FailoverProvider(candidates(model), health=health))
    await end_cooldowns(shared)
    probe = asyncio.create_task(collected(FailoverProvider(candidates(model), health=health)))
    while len(model.requests) < 2:
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)  # it waits for its second try
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert words(await collected(FailoverProvider(candidates(model), health=health)))[0] == "well"


async def test_thoughts_alone_move_on_and_do_not_count_against_the_model(shared: Stores) -> None:
    thought = ChatEvent(EventType.DONE, stop_reason="length")
    chain = FailoverProvider(
        candidates(ScriptedProvider([[thought]], "a"), FakeProvider("b")),
        health=Health(shared.health),
    )
    assert words(await collected(chain)) == ["ok", "usage", "done"]
    assert await shared.health.list_cooldowns() == []


async def test_a_probe_that_could_not_be_paid_for_is_given_back(shared: Stores) -> None:
    health = Health(shared.health)
    model = ScriptedProvider([failed(), "well"], "dear")
    await collected(FailoverProvider(candidates(model), health=health))
    await end_cooldowns(shared)
    away = Purse(error=StoreError("away"))
    with pytest.raises(StoreError):
        await collected(FailoverProvider(candidates(model), health=health, meter=away))
    assert words(await collected(FailoverProvider(candidates(model), health=health)))[0] == "well"


# ------------------------------------------------------------------ context


async def test_too_long_goes_to_a_larger_model_only() -> None:
    long = failed(ErrorKind.CONTEXT_TOO_LONG)
    small, same, large = (
        Sized("a", [long], 1000),
        Sized("b", ["no"], 1000),
        Sized("c", ["yes"], 9000),
    )
    chain = FailoverProvider(candidates(small, same, large))
    assert words(await collected(chain)) == ["yes", "usage", "done"]
    assert same.requests == []


async def test_too_long_for_all_is_said_as_that() -> None:
    long = failed(ErrorKind.CONTEXT_TOO_LONG)
    chain = FailoverProvider(candidates(Sized("a", [long], 9000), Sized("b", ["no"], 1000)))
    (event,) = await collected(chain)
    assert event.error is long


# ------------------------------------------------------------------ money


async def test_each_call_is_paid_for_and_settled_with_what_it_used() -> None:
    purse = Purse(max_tokens=50)
    broken = ScriptedProvider([[HALF, ChatEvent(EventType.ERROR, error=failed())]], "a")
    refused = ScriptedProvider([failed(ErrorKind.AUTH, status=401)], "b")
    chain = FailoverProvider(candidates(broken, refused, FakeProvider("c")), meter=purse)
    await collected(chain)
    assert purse.held == ["a/m", "b/m", "c/m"]
    assert purse.settled == [
        ("a/m", None, 3, False),
        ("b/m", Usage(), 0, False),
        ("c/m", Usage(1, 1), 2, True),
    ]
    assert broken.requests[0].max_tokens == 50
    assert [attempt.cost for attempt in chain.attempts] == [7, 7, 7]


@pytest.mark.parametrize(
    ("error", "usage"),
    [
        (failed(ErrorKind.NETWORK), None),
        (failed(ErrorKind.NETWORK, reached=False), Usage()),
        (failed(ErrorKind.TIMEOUT), None),
        (failed(ErrorKind.SERVER, status=500), Usage()),
        (failed(ErrorKind.SERVER), None),
        (failed(ErrorKind.RATE_LIMITED), Usage()),
        (failed(ErrorKind.INVALID_REQUEST), Usage()),
    ],
)
async def test_what_was_certainly_not_billed_costs_nothing(
    error: ProviderError, usage: Usage | None
) -> None:
    purse = Purse()
    await collected(FailoverProvider(candidates(ScriptedProvider([error], "a")), meter=purse))
    assert purse.settled[0] == ("a/m", usage, 0, False)


async def test_a_stopped_call_is_settled_too() -> None:
    purse = Purse()
    chain = FailoverProvider(candidates(ScriptedProvider([[HALF, HALF, DONE]], "a")), meter=purse)
    events = chain.chat(REQUEST)
    await anext(events)
    await events.aclose()
    assert purse.settled == [("a/m", None, 3, False)]


@pytest.mark.parametrize(
    ("end", "stream", "unseen"),
    [
        ([], True, True),
        ([broken(ErrorKind.NETWORK)], True, True),
        ([broken(ErrorKind.TIMEOUT)], True, True),
        ([broken(ErrorKind.SERVER)], True, False),
        ([broken(ErrorKind.SERVER)], False, True),
        ([DONE], False, False),
    ],
)
async def test_a_vendor_that_was_not_heard_to_its_end_may_have_written_more(
    end: list[ChatEvent], stream: bool, unseen: bool
) -> None:
    purse = Purse()
    chain = FailoverProvider(
        candidates(ScriptedProvider([[HALF, *end]], "a"), FakeProvider("b")), meter=purse
    )
    await collected(chain, replace(REQUEST, stream=stream))
    assert purse.unseen[0] is unseen


async def test_a_call_that_is_stopped_while_it_is_settled_is_on_record() -> None:
    class Slow(Purse):
        settling, go_on = asyncio.Event(), asyncio.Event()

        async def settle(self, *args: object, **more: object) -> int:
            self.settling.set()
            await self.go_on.wait()
            return 7

    purse = Slow()
    chain = FailoverProvider(candidates(FakeProvider("a")), meter=purse)
    turn = asyncio.create_task(collected(chain))
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
    limited = ScriptedProvider([failed(ErrorKind.RATE_LIMITED, retry_after=1)], "a")
    chain = FailoverProvider(candidates(limited, after), meter=purse)
    turn = asyncio.create_task(collected(chain))
    await after.looked_at.wait()
    assert len(purse.settled) == 1
    after.go_on.set()
    assert words(await turn)[0] == "ok"


async def test_a_call_that_cannot_be_settled_is_on_record_with_what_it_will_count_as() -> None:
    class Away(Purse):
        async def settle(self, *args: object, **more: object) -> int:
            raise StoreError("away")

    chain = FailoverProvider(candidates(FakeProvider("a")), meter=Away())
    assert words(await collected(chain)) == ["ok", "usage", "done"]
    assert [attempt.cost for attempt in chain.attempts] == [100]


async def test_no_money_is_final_and_nobody_is_called() -> None:
    dear, cheap = FakeProvider("dear"), FakeProvider("b")
    error = BudgetExceeded("the budget is used up", window="day")
    chain = FailoverProvider(candidates(dear, cheap), meter=Purse(error=error))
    (event,) = await collected(chain)
    assert event.error is error
    assert dear.requests == cheap.requests == []


async def test_an_unknown_price_moves_on() -> None:
    dear, cheap = FakeProvider("dear"), FakeProvider("b")
    chain = FailoverProvider(candidates(dear, cheap), meter=Purse(error=PriceUnknown("dear/m")))
    assert words(await collected(chain)) == ["ok", "usage", "done"]
    assert dear.requests == []
