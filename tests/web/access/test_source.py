"""Where requests may come from: hosts, clients, other sites."""

import pytest

from sigil.config.addresses import is_loopback
from sigil.web.access.source import parse_host_name
from tests.web.serving import TOKEN, Serve, Served

GUARDED = {"gateway": {"token": TOKEN, "allowed_hosts": ["chat.example", "alt.example:8443"]}}


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost:8787", "localhost"),
        ("LOCALHOST", "localhost"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]:8787", "::1"),
        ("::1", "::1"),
        ("", ""),
        ("[::1].evil.example", ""),
        ("[::1]evil", ""),
        ("localhost:evil", ""),
        ("localhost:80:80", ""),
        ("localhost:8787:evil", ""),
    ],
)
def test_the_name_in_a_host_header(host: str, name: str) -> None:
    assert parse_host_name(host) == name


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_loopback(name: str) -> None:
    assert is_loopback(name)


@pytest.mark.parametrize(
    "name",
    ["", "localhost.evil.example", "10.0.0.1", "0.0.0.0", "127.0.0.1.nip.io", "::ffff:8.8.8.8"],
)
def test_not_loopback(name: str) -> None:
    assert not is_loopback(name)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8787", "10.0.0.1", "a.localhost.b"),
        *("[::1].evil.example", "localhost:evil"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/me", "/static/app.js", "/metrics"])
async def test_a_rebound_name_is_refused(served: Served, host: str, path: str) -> None:
    answer = await served.http.get(path, headers={"Host": host})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "http.foreign_host"


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:9"])
async def test_loopback_names_are_answered(served: Served, host: str) -> None:
    assert (await served.http.get("/api/me", headers={"Host": host})).status_code == 200


async def test_only_this_machine_is_answered(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sigil.web.access.source.get_client_address", lambda _: "192.168.1.9")
    answer = await served.http.get("/", headers={"X-Forwarded-For": "127.0.0.1"})
    assert answer.status_code == 403
    assert "gateway.token" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin"},  # a browser that names no origin for a POST
    ],
)
async def test_other_sites_cannot_act(served: Served, headers: dict[str, str]) -> None:
    answer = await served.http.post("/api/chats", headers=headers)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "http.foreign_origin"


async def test_other_sites_cannot_read_but_may_link(served: Served) -> None:
    site = {"Sec-Fetch-Site": "cross-site"}
    assert (await served.http.get("/api/me", headers=site)).status_code == 403
    link = site | {"Sec-Fetch-Mode": "navigate"}
    assert (await served.http.get("/", headers=link)).status_code == 200


async def test_the_page_itself_may_act(served: Served) -> None:
    own = {"Origin": f"http://{served.host}", "Sec-Fetch-Site": "same-origin"}
    assert (await served.http.post("/api/chats", headers=own)).status_code == 201


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("chat.example", 200),
        ("CHAT.example:1234", 200),
        ("alt.example:8443", 200),
        ("alt.example", 403),
        ("localhost", 200),
        ("evil.example", 403),
        ("", 403),
    ],
)
async def test_known_hosts(serve: Serve, host: str, status: int) -> None:
    served = await serve(**GUARDED)
    assert (await served.http.get("/", headers={"Host": host})).status_code == status


async def test_a_wildcard_address_is_known_by_what_the_client_reached(serve: Serve) -> None:
    served = await serve(gateway={"token": TOKEN, "host": "0.0.0.0"})
    assert (await served.http.get("/")).status_code == 200
    assert (await served.http.get("/", headers={"Host": "8.8.8.8"})).status_code == 403
