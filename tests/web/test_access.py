import pytest

from sigil.addresses import is_loopback
from sigil.web.access import COOKIE, host_name
from tests.web.serving import TOKEN, Serve, Served

GUARDED = {"gateway": {"token": TOKEN, "allowed_hosts": ["chat.example", "alt.example:8443"]}}
PEOPLE = {
    "users": {
        "ann": {"role": "owner", "token": "anns-own-token"},
        "bob": {"name": "Bob", "token": "bobs-own-token"},
    }
}


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost:8787", "localhost"),
        ("LOCALHOST", "localhost"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]:8787", "::1"),
        ("::1", "::1"),
        ("", ""),
    ],
)
def test_the_name_in_a_host_header(host: str, name: str) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_loopback(name: str) -> None:
    assert is_loopback(name)


@pytest.mark.parametrize(
    "name",
    ["", "localhost.evil.example", "10.0.0.1", "0.0.0.0", "127.0.0.1.nip.io", "::ffff:8.8.8.8"],
)
def test_not_loopback(name: str) -> None:
    assert not is_loopback(name)


# ---------------------------------------------------------------- without a token


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8787", "10.0.0.1", "a.localhost.b"])
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
    monkeypatch.setattr("sigil.web.access.client_address", lambda _: "192.168.1.9")
    answer = await served.http.get("/", headers={"X-Forwarded-For": "127.0.0.1"})
    assert answer.status_code == 403
    assert "gateway.token" in answer.json()["error"]["message"]


async def test_probes_are_answered_from_anywhere(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sigil.web.access.client_address", lambda _: "10.1.1.1")
    for path in ("/healthz", "/readyz"):
        assert (await served.http.get(path, headers={"Host": "10.1.1.2:8787"})).status_code == 200


# ---------------------------------------------------------------- other sites


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


# ---------------------------------------------------------------- with a token


async def test_a_token_is_needed_once_there_is_one(serve: Serve) -> None:
    served = await serve(**GUARDED)
    answer = await served.http.get("/api/me")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "http.token_needed"
    assert (await served.http.get("/")).status_code == 200  # it asks for the token


@pytest.mark.parametrize("token", ["x", "wrong", TOKEN + "x", TOKEN[:-1], "\xe4"])
async def test_a_wrong_token_is_refused(serve: Serve, token: str) -> None:
    served = await serve(**GUARDED)
    header = f"Bearer {token}".encode("latin-1")
    answer = await served.http.get("/api/me", headers=[(b"Authorization", header)])
    assert answer.status_code == 401
    assert TOKEN not in answer.text


async def test_tokens_name_their_users(serve: Serve) -> None:
    served = await serve(**GUARDED, **PEOPLE)
    for token, user in ((TOKEN, "ann"), ("anns-own-token", "ann"), ("bobs-own-token", "bob")):
        me = (await served.client(Authorization=f"Bearer {token}").get("/api/me")).json()
        assert me["user"]["id"] == user


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


# ---------------------------------------------------------------- the cookie


async def sign_in(served: Served, token: str, **headers: str) -> str:
    answer = await served.http.post("/login", json={"token": token}, headers=headers)
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert token not in cookie
    return str(answer.cookies[COOKIE])


async def test_signing_in_and_out(serve: Serve) -> None:
    served = await serve(**GUARDED, **PEOPLE)
    cookie = await sign_in(served, "bobs-own-token")
    client = served.client(Cookie=f"{COOKIE}={cookie}")
    assert (await client.get("/api/me")).json()["user"]["id"] == "bob"
    answer = await client.post("/logout")
    assert answer.status_code == 204
    assert f'{COOKIE}=""' in answer.headers["set-cookie"]


async def test_the_cookie_is_for_https_where_the_page_is(serve: Serve) -> None:
    served = await serve(**GUARDED)
    headers = {"Host": "chat.example", "Origin": "https://chat.example"}
    answer = await served.http.post("/login", json={"token": TOKEN}, headers=headers)
    assert "Secure" in answer.headers["set-cookie"]


async def test_a_wrong_token_gets_no_cookie(serve: Serve) -> None:
    served = await serve(**GUARDED)
    answer = await served.http.post("/login", json={"token": "guess"})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


async def test_a_forged_or_old_cookie_is_nothing(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = await serve(**GUARDED, **PEOPLE)
    cookie = await sign_in(served, "bobs-own-token")
    name, until, mac = cookie.split(".")
    ann = (await sign_in(served, TOKEN)).split(".")[0]
    forged = [
        f"{ann}.{until}.{mac}",
        f"{name}.{int(until) + 1}.{mac}",
        f"{name}.{until}.{mac[:-1]}",
        f"{name}..{mac}",
        "...",
        "x",
    ]
    for value in forged:
        client = served.client(Cookie=f"{COOKIE}={value}")
        assert (await client.get("/api/me")).status_code == 401, value
    monkeypatch.setattr("sigil.web.access.time.time", lambda: int(until) + 1.0)
    client = served.client(Cookie=f"{COOKIE}={cookie}")
    assert (await client.get("/api/me")).status_code == 401


async def test_a_changed_token_ends_its_cookies(serve: Serve) -> None:
    cookie = await sign_in(await serve(**GUARDED), TOKEN)
    other = await serve(gateway={"token": "another-token-now"})
    client = other.client(Cookie=f"{COOKIE}={cookie}")
    assert (await client.get("/api/me")).status_code == 401


# ---------------------------------------------------------------- as somebody else


async def test_the_owner_may_act_as_another(serve: Serve) -> None:
    served = await serve(**PEOPLE)
    me = (await served.client(X_Sigil_As="bob").get("/api/me")).json()
    assert me["user"]["id"] == "bob"
    answer = await served.client(X_Sigil_As="nobody").get("/api/me")
    assert answer.status_code == 422


async def test_others_may_not(serve: Serve) -> None:
    served = await serve(**PEOPLE)
    bob = served.client(Authorization="Bearer bobs-own-token", X_Sigil_As="ann")
    assert (await bob.get("/api/me")).status_code == 403


# ---------------------------------------------------------------- headers and logs


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


async def test_the_page_has_nothing_inline_or_foreign(served: Served) -> None:
    page = (await served.http.get("/")).text
    assert "<style" not in page
    assert "style=" not in page
    assert " on" not in page.replace(" once", "").replace(" one", "").replace(" on ", " ")
    assert page.count("<script") == page.count("<script src=") + page.count(
        '<script type="module" src='
    )
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


async def test_neither_query_nor_token_reaches_the_log(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    served = await serve(**GUARDED)
    await served.client(Authorization=f"Bearer {TOKEN}").get("/api/me?secret=query")
    seen = "".join(capsys.readouterr())
    assert "/api/me" in seen
    assert "query" not in seen
    assert TOKEN not in seen
