"""Health, readiness and metrics over HTTP."""

import re

import pytest

from sigil.errors import StoreError
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

    assert (await served.http.get("/readyz")).status_code == 200
    monkeypatch.setattr(served.gateway.stores.backend, "ping", fail)
    assert (await served.http.get("/readyz")).status_code == 503
    assert (await served.http.get("/healthz")).status_code == 200


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
