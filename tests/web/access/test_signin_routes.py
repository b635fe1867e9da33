"""Signing in and out, and who is signed in."""

from sigil.web.access.authentication import COOKIE
from tests.web.serving import TOKEN, Serve, sign_in

GUARDED = {"gateway": {"token": TOKEN, "allowed_hosts": ["chat.example", "alt.example:8443"]}}

PEOPLE = {
    "users": {
        "ann": {"name": "Ann", "role": "owner"},
        "bob": {"name": "Bob", "token": "bobs-own-token"},
    }
}


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


async def test_me(serve: Serve) -> None:
    served = await serve(gateway={"token": TOKEN}, **PEOPLE)
    me = (await served.client(Authorization=f"Bearer {TOKEN}").get("/api/me")).json()
    assert me["user"] == {"id": "ann", "name": "Ann", "role": "owner"}
    assert me["token_required"] is True
    assert me["model"] == "echo/echo"
