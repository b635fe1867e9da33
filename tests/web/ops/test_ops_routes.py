"""Health, readiness and metrics over HTTP."""

import asyncio
import re
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from sigil.channels.account_leases import AccountRecord
from sigil.channels.base import AccountContext, ChannelSpec, ChannelType
from sigil.errors import StoreError, StoreFull, StoreReadOnly
from sigil.lanes.fleet import LIVE_S, ProcessRecord
from sigil.testing import age_processes
from tests.web.serving import TOKEN, Serve, Served, typed

PEOPLE = {
    "users": {
        "ann": {"name": "Ann", "role": "owner"},
        "bob": {"name": "Bob", "token": "bobs-own-token"},
    }
}


async def test_readiness_follows_the_store(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> None:
        raise StoreError("Redis at 10.0.0.1:6379 did not answer.")

    answer = await served.http.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "causes": []})
    monkeypatch.setattr(served.gateway.stores.backend, "ping", fail)
    answer = await served.http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "causes": ["the message store is not responding"]}
    assert (await served.http.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    "error",
    [StoreFull("the memory of Redis is full.", hint="x"), StoreReadOnly("this is a replica.")],
)
async def test_readiness_says_why_no_messages_are_taken(
    served: Served, monkeypatch: pytest.MonkeyPatch, error: StoreError
) -> None:
    async def fail() -> None:
        raise error

    monkeypatch.setattr(served.gateway.stores.backend, "check_room", fail)
    answer = await served.http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "causes": [error.message.rstrip(".")]}


async def test_metrics_of_a_store_that_hangs_end(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("sigil.web.ops.routes.METRICS_WITHIN_S", 0.1)
    monkeypatch.setattr(served.gateway.stores.lanes, "counts", hang)
    answer = await served.http.get("/metrics")
    assert answer.status_code == 503
    assert "not responding" in answer.text


async def test_readiness_names_roles_that_have_long_been_without_a_worker(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores, clock = served.gateway.stores, [time.monotonic()]
    monkeypatch.setattr("sigil.web.ops.routes.time", SimpleNamespace(monotonic=lambda: clock[0]))

    async def ask(later: float) -> Any:
        clock[0] += later
        await age_processes(stores, later)
        answer = await served.http.get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
        return answer.json()["causes"]

    async def report(*roles: str) -> None:
        for role in roles:
            await stores.fleet.report(ProcessRecord(role, (role,), "1.0", "c0ffee", "web-1", 1))

    await report("routing", "agent", "outbound")
    assert await ask(LIVE_S - 1) == []
    await report("routing")
    await stores.fleet.remove("outbound")  # it ended cleanly, the agent worker hangs
    assert await ask(2.0) == ["no agent worker is running", "no outbound worker is running"]
    await report("routing", "agent", "outbound")
    assert await ask(1.0) == []
    await stores.fleet.remove("agent")
    assert await ask(1.0) == []  # it may be starting again
    await report("routing", "outbound")
    assert await ask(LIVE_S - 1) == ["no agent worker is running"]


async def test_readiness_names_a_worker_that_hangs_beside_others(served: Served) -> None:
    """Anybody may ask, so the page says neither host nor process."""
    fleet = served.gateway.stores.fleet
    await fleet.report(ProcessRecord("a", ("agent",), "1.0", "c0ffee", "web-1", 1))
    await age_processes(served.gateway.stores, LIVE_S + 1)
    for role in ("routing", "agent", "outbound"):
        await fleet.report(ProcessRecord(role, (role,), "1.0", "c0ffee", "web-2", 1))
    answer = await served.http.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    expected = "agent worker has been silent for 21 s: it hangs or was killed"
    assert answer.json()["causes"] == [expected]


async def test_metrics_count_the_identity_and_the_stages(served: Served) -> None:
    chat = await served.new_chat()
    path = f"/api/chats/{chat}/messages"
    body = typed("one")
    for each in (body, body, typed("two")):
        await served.http.post(path, json=each)

    async def metrics() -> str:
        await served.gateway.times.flush(served.gateway.stores.counters)
        answer = await served.http.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        return str(answer.text)

    before = await metrics()
    assert 'sigil_messages_total{outcome="accepted"} 2.0' in before
    assert 'sigil_messages_total{outcome="duplicate"} 1.0' in before
    assert 'sigil_messages_total{outcome="answered"} 0.0' in before
    assert "sigil_messages_waiting 2.0" in before
    assert 'sigil_stage_seconds_count{stage="receive"} 3.0' in before
    await served.settle()
    after = await metrics()
    assert 'sigil_messages_total{outcome="answered"} 2.0' in after
    assert "sigil_messages_waiting 0.0" in after
    assert re.search(r'sigil_stage_seconds_bucket\{le="\+Inf",stage="turn"\} [1-9]', after)
    sums = re.search(r'sigil_stage_seconds_sum\{stage="turn"\} (\S+)', after)
    assert sums
    assert 0 < float(sums[1]) < 60


async def test_metrics_are_the_owners_beyond_this_machine(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = await serve(gateway={"token": TOKEN, "allowed_hosts": ["chat.example"]}, **PEOPLE)
    assert (await served.http.get("/metrics")).status_code == 200
    through_proxy = {"Host": "chat.example"}
    assert (await served.http.get("/metrics", headers=through_proxy)).status_code == 401
    monkeypatch.setattr("sigil.web.access.source.get_client_address", lambda _: "10.1.1.1")
    assert (await served.http.get("/metrics")).status_code == 401
    bob = {"Authorization": "Bearer bobs-own-token"}
    assert (await served.http.get("/metrics", headers=bob)).status_code == 403
    owner = {"Authorization": f"Bearer {TOKEN}"}
    assert (await served.http.get("/metrics", headers=owner)).status_code == 200


class DeafType(ChannelType):
    spec = ChannelSpec()
    sender = "sigil.channels.memory.channel:make_memory_channel"
    listener = f"{__name__}:make_deaf_listener"


def make_deaf_listener(context: AccountContext, settings: object) -> SimpleNamespace:
    return SimpleNamespace(name=context.name, close=close_nothing)


async def close_nothing() -> None: ...


async def test_readiness_names_channels_that_do_not_work(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = await serve(channels={"family": {"type": f"{__name__}:DeafType"}})

    async def causes() -> list[str]:
        answer = await served.http.get("/readyz")
        assert answer.status_code == 200
        found: list[str] = answer.json()["causes"]
        return found

    accounts = served.gateway.stores.accounts
    assert await causes() == [], "it has just started"
    record = AccountRecord("family", "web-1:7", "refused", error="the token is wrong")
    await accounts.hold(record, "t", ttl=60, takes=True)
    assert await causes() == ["the channel family does not listen"]
    body = (await served.http.get("/metrics")).text
    assert 'sigil_channel_state{channel="family",state="refused"} 1.0' in body
    assert 'sigil_channel_works{channel="family"} 0.0' in body
    works = replace(record, state="listening", error=None, silence=3.0)
    await accounts.hold(works, "t", ttl=60, takes=False)
    await accounts.save_cursor("family", "t", "7")
    assert await causes() == []
    body = (await served.http.get("/metrics")).text
    assert 'sigil_channel_works{channel="family"} 1.0' in body
    assert re.search(r'sigil_channel_silence_seconds\{channel="family"\} 3\.', body)
    assert re.search(r'sigil_channel_cursor_age_seconds\{channel="family"\} 0\.', body)

    await accounts.give_up("family", "t")
    assert await causes() == [], "another process takes it over"
    body = (await served.http.get("/metrics")).text
    assert 'sigil_channel_state{channel="family",state="nobody"} 1.0' in body
    monkeypatch.setattr("sigil.web.ops.routes.LIVE_S", 0.0)
    assert "nobody listens for the channel family" in await causes()
