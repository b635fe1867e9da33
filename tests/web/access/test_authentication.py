"""Who is asking: tokens, cookies, and an owner who acts as somebody else."""

import pytest

from sigil.web.access.authentication import COOKIE
from tests.web.serving import TOKEN, Serve, sign_in

GUARDED = {"gateway": {"token": TOKEN, "allowed_hosts": ["chat.example", "alt.example:8443"]}}

PEOPLE = {
    "users": {
        "ann": {"role": "owner", "token": "anns-own-token"},
        "bob": {"name": "Bob", "token": "bobs-own-token"},
    }
}


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
    monkeypatch.setattr("sigil.web.access.authentication.time.time", lambda: int(until) + 1.0)
    client = served.client(Cookie=f"{COOKIE}={cookie}")
    assert (await client.get("/api/me")).status_code == 401


async def test_a_changed_token_ends_its_cookies(serve: Serve) -> None:
    cookie = await sign_in(await serve(**GUARDED), TOKEN)
    other = await serve(gateway={"token": "another-token-now"})
    client = other.client(Cookie=f"{COOKIE}={cookie}")
    assert (await client.get("/api/me")).status_code == 401


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
