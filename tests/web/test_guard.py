"""What happens to every request: probes, headers, one line of log."""

import pytest

from tests.web.serving import TOKEN, Serve, Served


async def test_probes_are_answered_from_anywhere(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sigil.web.access.source.get_client_address", lambda _: "10.1.1.1")
    for path in ("/healthz", "/readyz"):
        assert (await served.http.get(path, headers={"Host": "10.1.1.2:8787"})).status_code == 200


async def test_every_answer_is_locked_down(served: Served) -> None:
    for path in ("/", "/static/app.js", "/api/me", "/nowhere"):
        headers = (await served.http.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "cache-control" in headers


async def test_a_fault_of_ours_is_locked_down_too(
    served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(*args: object) -> None:
        raise ValueError("words that are nobody's business")

    monkeypatch.setattr(served.gateway.stores.chats, "list", fail)
    answer = await served.http.get("/api/chats")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "http.internal")
    assert "content-security-policy" in answer.headers
    assert "words" not in answer.text
    assert "words" in "".join(capsys.readouterr())


async def test_neither_query_nor_token_reaches_the_log(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    served = await serve(gateway={"token": TOKEN})
    await served.client(Authorization=f"Bearer {TOKEN}").get("/api/me?secret=query")
    seen = "".join(capsys.readouterr())
    assert "/api/me" in seen
    assert "query" not in seen
    assert TOKEN not in seen
