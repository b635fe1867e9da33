"""The chat API: messages, chats and their owners."""

import asyncio
import json
import re
from typing import Any

import pytest

from sigil.errors import StoreError, StoreFull
from tests.web.serving import Serve, Served, Sse, read_events, typed

PEOPLE = {
    "users": {
        "ann": {"name": "Ann", "role": "owner"},
        "bob": {"name": "Bob", "token": "bobs-own-token"},
    }
}


def is_final(event: Sse) -> bool:
    return event.kind == "reply" and json.loads(event.data)["final"]


async def test_a_message_is_taken_answered_and_listed(served: Served) -> None:
    chat = await served.new_chat()
    text = " \nHello   there, **friend** " + "x" * 100 + "\nmore"
    answer = await served.http.post(f"/api/chats/{chat}/messages", json=typed(text, "message-1"))
    assert answer.status_code == 202
    assert answer.json()["duplicate"] is False

    await served.settle()
    events = [e for e in await read_events(served, chat, is_final) if e.kind != "ready"]
    user, reply = json.loads(events[0].data), json.loads(events[-1].data)
    assert [events[0].kind, events[-1].kind] == ["user", "reply"]
    assert (user["text"], user["message_id"]) == (text, "message-1")
    assert "friend" in reply["text"]
    assert reply["html"].startswith("<p>")
    assert user["at"] <= reply["at"]

    listed = (await served.http.get("/api/chats")).json()["chats"]
    assert [each["id"] for each in listed] == [chat]
    assert listed[0]["title"].startswith("Hello there, **friend** xxx")
    assert len(listed[0]["title"]) == 80


async def test_a_retry_is_one_message(served: Served) -> None:
    chat, body = await served.new_chat(), typed("once")
    path = f"/api/chats/{chat}/messages"
    first = (await served.http.post(path, json=body)).json()
    again = (await served.http.post(path, json=body)).json()
    assert again == {"id": first["id"], "duplicate": True}
    await served.settle()
    events = await read_events(served, chat, lambda event: event.kind == "ready")
    assert [event.kind for event in events].count("user") == 1
    assert len({event.id for event in events if is_final(event)}) == 1


async def test_a_chat_is_its_users_alone(serve: Serve) -> None:
    served = await serve(**PEOPLE)
    bob = served.client(Authorization="Bearer bobs-own-token")
    chat = await served.new_chat()
    assert (await bob.get(f"/api/chats/{chat}/events")).status_code == 404  # nobody's yet
    path = f"/api/chats/{chat}/messages"
    assert (await served.http.post(path, json=typed("mine"))).status_code == 202
    assert (await bob.get(f"/api/chats/{chat}/events")).status_code == 404
    assert (await bob.post(path, json=typed("yours?"))).status_code == 404
    assert (await bob.get("/api/chats")).json() == {"chats": []}
    await served.settle()
    events = await read_events(served, chat, is_final)
    assert not any("yours?" in event.data for event in events)


async def test_of_two_who_claim_a_chat_one_gets_it(serve: Serve) -> None:
    served = await serve(**PEOPLE)
    bob = served.client(Authorization="Bearer bobs-own-token")
    answers = await asyncio.gather(
        *(who.post("/api/chats/shared/messages", json=typed("x")) for who in (served.http, bob))
    )
    assert sorted(answer.status_code for answer in answers) == [202, 404]


async def test_the_terminal_has_chats_of_its_own(served: Served) -> None:
    chat = await served.new_chat()
    path = f"/api/chats/{chat}/messages"
    terminal = {"channel": "terminal"}
    assert (await served.http.post(path, json=typed("x"), params=terminal)).status_code == 202
    assert (await served.http.get("/api/chats")).json() == {"chats": []}
    assert len((await served.http.get("/api/chats", params=terminal)).json()["chats"]) == 1
    other = {"channel": "nowhere"}
    assert (await served.http.post(path, json=typed("x"), params=other)).status_code == 422


async def test_channels_that_need_pairing_cannot_be_written_to(serve: Serve) -> None:
    served = await serve(channels={"memory": {}})
    answer = await served.http.post("/api/chats", params={"channel": "memory"})
    assert answer.status_code == 422


async def test_a_text_over_its_bound_is_explained_and_leaves_no_chat(served: Served) -> None:
    answer = await served.http.post("/api/chats/abc/messages", json=typed("x" * 70_000))
    assert answer.status_code == 422
    assert "at most 65536" in answer.json()["error"]["message"]
    assert (await served.http.get("/api/chats")).json() == {"chats": []}


@pytest.mark.parametrize("chat", ["a%2Fb", "a.b", "x" * 65, "a%00b", "a%0A", "%F0%9F%98%80"])
async def test_a_bad_chat_id_is_no_chat(served: Served, chat: str) -> None:
    answer = await served.http.post(f"/api/chats/{chat}/messages", json=typed("x"))
    assert answer.status_code == 404


class Away:
    """Stands before a store and fails while `is_away`."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.is_away = True

    def __getattr__(self, name: str) -> Any:
        async def fails(*args: Any, **kwargs: Any) -> Any:
            if self.is_away:
                raise StoreError("Redis at 10.0.0.1:6379 did not answer.")
            return await getattr(self._real, name)(*args, **kwargs)

        return fails


async def test_a_full_store_is_said_as_such(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_full(_: object) -> None:
        raise StoreFull("the memory of Redis is nearly full.")

    monkeypatch.setattr(served.gateway, "receive", is_full)
    chat = await served.new_chat()
    answer = await served.http.post(f"/api/chats/{chat}/messages", json=typed("hello"))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 10
    error = answer.json()["error"]
    assert error["code"] == "store.full"
    assert "memory is full" in error["message"]


async def test_a_store_that_is_away_is_said_and_nothing_is_lost(served: Served) -> None:
    real = served.gateway.stores
    lanes = Away(real.lanes)
    object.__setattr__(real, "lanes", lanes)
    chat, body = await served.new_chat(), typed("keep me")
    path = f"/api/chats/{chat}/messages"
    answer = await served.http.post(path, json=body)
    assert answer.status_code == 503
    assert re.fullmatch(r"\d+", answer.headers["retry-after"])
    assert "10.0.0.1" not in answer.text
    lanes.is_away = False
    assert (await served.http.post(path, json=body)).json()["duplicate"] is False
    await served.settle()
    events = await read_events(served, chat, is_final)
    assert [event.kind for event in events].count("user") == 1


async def test_which_model_answers_in_a_chat_and_which_may_be_chosen(serve: Serve) -> None:
    names = ["fake/a", "fake/b"]
    served = await serve(
        **PEOPLE,
        providers={"fake": {"type": "echo"}},
        models={"default": "fake/a", "allowed": names},
    )
    chat = await served.new_chat()
    path = f"/api/chats/{chat}"
    usual = {"current": "fake/a", "usual": "fake/a", "allowed": names}
    assert (await served.http.get(f"{path}/model")).json() == usual, "before its first message"
    await served.http.post(f"{path}/messages", json=typed("/model fake/b"))
    await served.settle()
    assert (await served.http.get(f"{path}/model")).json() == usual | {"current": "fake/b"}
    other = await served.new_chat()
    assert (await served.http.get(f"/api/chats/{other}/model")).json() == usual
    bob = served.client(Authorization="Bearer bobs-own-token")
    assert (await bob.get(f"{path}/model")).status_code == 404
    assert (await bob.get(f"/api/chats/{other}/model")).json() == usual
    unknown = served.client(Authorization="Bearer nobodys")
    assert (await unknown.get(f"{path}/model")).status_code == 401


async def test_who_is_no_member_is_shown_no_models(serve: Serve) -> None:
    bound = {"members": ["ann"], "bindings": [{"channel": "web", "channel_id": "room"}]}
    served = await serve(**PEOPLE, workspaces={"home": bound})
    bob = served.client(Authorization="Bearer bobs-own-token")
    assert (await served.http.get("/api/chats/room/model")).status_code == 200
    assert (await bob.get("/api/chats/room/model")).status_code == 403
