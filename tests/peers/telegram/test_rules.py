"""Each rule of the strict server bites."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.peers.telegram import TOKEN, Bot, Fault, Server, serve
from tests.peers.telegram.faults import DONE_THEN_CUT
from tests.peers.telegram.updates import Timing

DIRECT, GROUP, FORUM = 42, -100, -101
CHAT = {"chat_id": DIRECT}
ROBOT = "\N{ROBOT FACE}"  # two UTF-16 units
PNG = b"\x89PNG\r\n"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    bot = Bot()
    bot.updates.timing = Timing(conflict_hold=0.05, again=0.2, hook_first_delay=0.01, local=False)
    bot.add_chat(DIRECT)
    bot.add_chat(GROUP, "supergroup", title="G")
    bot.add_chat(FORUM, "supergroup", is_forum=True, topics={17})
    bot.add_chat(-7, "channel")
    for number, state in enumerate(("blocked", "deactivated", "kicked", "left", "deleted")):
        bot.add_chat(100 + number, state=state)
    bot.add_chat(-55, "group", state=-1001234567890)
    bot.pace.chat_s = bot.pace.group_minute = bot.pace.account_second = None
    bot.keep("BIG", b"", size=21 * 2**20)
    bot.keep("F", b"data", "a.txt")
    bot.write(DIRECT, "mine")
    async with serve(bot) as made:
        yield made


async def call(server: Server, method: str, given: dict[str, Any], token: str = TOKEN) -> Any:
    url = f"{server.url}/bot{token}/{method}"
    files = given.get("files", {})
    async with aiohttp.ClientSession() as session:
        if files:
            form = aiohttp.FormData()
            for name, data in files.items():
                form.add_field(name, io.BytesIO(data), filename=name)
            for name, value in given.items():
                if name != "files":
                    form.add_field(name, value if isinstance(value, str) else json.dumps(value))
            post = session.post(url, data=form)
        else:
            post = session.post(url, json=given)
        async with post as response:
            return response.status, await response.json()


def text(words: str, *entities: tuple[str, int, int], **more: Any) -> dict[str, Any]:
    listed = [{"type": kind, "offset": at, "length": size} for kind, at, size in entities]
    return CHAT | {"text": words, "entities": listed} | more


def album(*kinds: str) -> dict[str, Any]:
    return CHAT | {
        "media": [{"type": kind, "media": f"attach://f{at}"} for at, kind in enumerate(kinds)],
        "files": {f"f{at}": PNG for at in range(len(kinds))},
    }


BUTTON = {"inline_keyboard": [[{"text": "x", "callback_data": "d" * 65}]]}
COMMAND = {"command": "stop", "description": "Stops."}
REFUSED = {
    "too long": ("sendMessage", text("x" * 4097), 400, "message is too long"),
    "units, not characters": ("sendMessage", text(ROBOT * 2049), 400, "message is too long"),
    "empty": ("sendMessage", text(" \n"), 400, "message text is empty"),
    "a parse mode": (
        "sendMessage",
        text("*x*", parse_mode="Markdown"),
        400,
        "can't parse entities",
    ),
    "an unknown entity": ("sendMessage", text("x", ("strong", 0, 1)), 400, "can't parse entities"),
    "an entity past the end": ("sendMessage", text("x", ("bold", 0, 2)), 400, "ENTITY_BOUNDS"),
    "an entity of nothing": ("sendMessage", text("x", ("bold", 0, 0)), 400, "can't parse"),
    "half a character": ("sendMessage", text(ROBOT, ("bold", 0, 1)), 400, "can't parse"),
    "a partial overlap": (
        *("sendMessage", text("abc", ("bold", 0, 2), ("italic", 1, 2))),
        *(400, "overlap"),
    ),
    "bold in code": ("sendMessage", text("abc", ("bold", 0, 1), ("pre", 0, 3)), 400, "code stands"),
    "a quotation in one": (
        *("sendMessage", text("abc", ("blockquote", 0, 1), ("blockquote", 0, 3))),
        *(400, "quotation"),
    ),
    "a link to nothing": ("sendMessage", text("abc", ("text_link", 0, 1)), 400, "needs a url"),
    "a long button": ("sendMessage", text("x", reply_markup=BUTTON), 400, "BUTTON_DATA_INVALID"),
    "an unknown chat": ("sendMessage", {"chat_id": 9, "text": "x"}, 400, "chat not found"),
    "a reply to nothing": (
        *("sendMessage", text("x", reply_parameters={"message_id": 99})),
        *(400, "message to be replied not found"),
    ),
    "an unknown topic": (
        *("sendMessage", {"chat_id": FORUM, "message_thread_id": 3, "text": "x"}),
        *(400, "message thread not found"),
    ),
    "the General topic": (
        *("sendMessage", {"chat_id": FORUM, "message_thread_id": 1, "text": "x"}),
        *(400, "message thread not found"),
    ),
    "a topic in a private chat": (
        *("sendMessage", text("x", message_thread_id=17)),
        *(400, "message thread not found"),
    ),
    "blocked": ("sendMessage", {"chat_id": 100, "text": "x"}, 403, "bot was blocked by the user"),
    "deactivated": ("sendMessage", {"chat_id": 101, "text": "x"}, 403, "user is deactivated"),
    "kicked": ("sendMessage", {"chat_id": 102, "text": "x"}, 403, "bot was kicked from the super"),
    "not a member": ("sendMessage", {"chat_id": 103, "text": "x"}, 403, "bot is not a member"),
    "deleted": ("sendMessage", {"chat_id": 104, "text": "x"}, 403, "the group chat was deleted"),
    "moved": ("sendMessage", {"chat_id": -55, "text": "x"}, 400, "group chat was upgraded to a"),
    "a draft in a group": (
        *("sendMessageDraft", {"chat_id": GROUP, "draft_id": 1, "text": "x"}),
        *(400, "TEXTDRAFT_PEER_INVALID"),
    ),
    "a draft without an id": ("sendMessageDraft", text("x", draft_id=0), 400, "draft_id"),
    "a long draft": ("sendMessageDraft", text("x" * 4097, draft_id=1), 400, "message is too long"),
    "an edit of nothing": ("editMessageText", text("x", message_id=9), 400, "to edit not found"),
    "an edit of others'": ("editMessageText", text("x", message_id=1), 400, "can't be edited"),
    "an unknown action": ("sendChatAction", CHAT | {"action": "dance"}, 400, "wrong parameter"),
    "typing in a channel": (
        *("sendChatAction", {"chat_id": -7, "action": "typing"}),
        *(400, "to a channel"),
    ),
    "a long caption": (
        *("sendDocument", CHAT | {"caption": "x" * 1025, "files": {"document": b"x"}}),
        *(400, "message caption is too long"),
    ),
    "no picture": ("sendPhoto", CHAT | {"files": {"photo": b"text"}}, 400, "IMAGE_PROCESS_FAILED"),
    "a large picture": (
        *("sendPhoto", CHAT | {"files": {"photo": PNG + bytes(10 * 2**20)}}),
        *(413, "Request Entity Too Large"),
    ),
    "an empty file": ("sendDocument", CHAT | {"files": {"document": b""}}, 400, "non-empty"),
    "an unknown file": ("sendDocument", CHAT | {"document": "Z"}, 400, "wrong remote file id"),
    "an album of one": ("sendMediaGroup", album("photo"), 400, "from 2 to 10"),
    "an album of eleven": ("sendMediaGroup", album(*["photo"] * 11), 400, "from 2 to 10"),
    "a mixed album": ("sendMediaGroup", album("photo", "document"), 400, "can't be mixed"),
    "a large file in": ("getFile", {"file_id": "BIG"}, 400, "file is too big"),
    "a wrong file": ("getFile", {"file_id": "Z"}, 400, "wrong file_id or the file is temporarily"),
    "many commands": ("setMyCommands", {"commands": [COMMAND] * 101}, 400, "BOT_COMMANDS_TOO_MUCH"),
    "a bad command": (
        *("setMyCommands", {"commands": [COMMAND | {"command": "Stop!"}]}),
        *(400, "BOT_COMMAND_INVALID"),
    ),
    "a command without help": (
        *("setMyCommands", {"commands": [COMMAND | {"description": ""}]}),
        *(400, "BOT_COMMAND_DESCRIPTION_INVALID"),
    ),
    "an old query": ("answerCallbackQuery", {"callback_query_id": "q9"}, 400, "query is too old"),
    "two reactions": (
        *("setMessageReaction", CHAT | {"message_id": 1, "reaction": [{"emoji": "👍"}] * 2}),
        *(400, "REACTION_INVALID"),
    ),
    "a hook without TLS": ("setWebhook", {"url": "http://x/h"}, 400, "An HTTPS URL must be"),
    "a hook's port": ("setWebhook", {"url": "https://x:8444/h"}, 400, "443 or 8443"),
    "a hook's secret": (
        *("setWebhook", {"url": "https://x/h", "secret_token": "a b"}),
        *(400, "secret token contains unallowed characters"),
    ),
    "an unknown method": ("sendFax", CHAT, 404, "Not Found"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused(server: Server, name: str) -> None:
    method, given, status, words = REFUSED[name]
    found, body = await call(server, method, given)
    assert (found, body["ok"], body["error_code"]) == (status, False, status)
    assert words in body["description"]
    assert not server.bot.journal, "what was refused is seen by nobody"


@pytest.mark.parametrize(("token", "status"), [("4711:" + "x" * 35, 401), ("nonsense", 404)])
async def test_a_wrong_token(server: Server, token: str, status: int) -> None:
    assert (await call(server, "getMe", {}, token))[0] == status


async def test_what_is_taken_at_the_limits(server: Server) -> None:
    for method, given in (
        ("sendMessage", text(ROBOT * 2048)),
        ("sendMessage", text("abc", ("pre", 0, 2), ("blockquote", 0, 3))),
        ("sendMessageDraft", text("", draft_id=1)),
        ("sendMediaGroup", album("photo", "photo")),
        ("sendMessage", {"chat_id": FORUM, "message_thread_id": 17, "text": "x"}),
    ):
        assert (await call(server, method, given))[1]["ok"], given


async def test_an_edit_that_changes_nothing_is_an_error(server: Server) -> None:
    _, sent = await call(server, "sendMessage", text("x"))
    again = text("x", message_id=sent["result"]["message_id"])
    assert (
        "message is not modified: "
        in (await call(server, "editMessageText", again))[1]["description"]
    )


async def test_only_a_hundred_entities_are_shown(server: Server) -> None:
    _, sent = await call(
        server, "sendMessage", text("x" * 200, *[("bold", at, 1) for at in range(101)])
    )
    assert len(sent["result"]["entities"]) == 100


async def test_a_query_is_answered_once(server: Server) -> None:
    query = {"callback_query_id": server.bot.press(DIRECT, 1, "yes")}
    assert (await call(server, "answerCallbackQuery", query))[1]["ok"]
    assert not (await call(server, "answerCallbackQuery", query))[1]["ok"]


# ---------------------------------------------------------------- receiving


async def poll(server: Server, **given: Any) -> Any:
    return await call(server, "getUpdates", given)


async def test_only_the_offset_confirms(server: Server) -> None:
    server.bot.write(DIRECT, "second")
    first = (await poll(server))[1]["result"]
    assert (await poll(server, offset=first[0]["update_id"]))[1]["result"] == first
    after = (await poll(server, offset=first[1]["update_id"]))[1]["result"]
    assert [each["message"]["text"] for each in after] == ["second"]
    assert (await poll(server, offset=-1))[1]["result"] == after


async def test_a_second_poller_ends_the_older_call(server: Server) -> None:
    offset = 9002
    older = asyncio.create_task(poll(server, offset=offset, timeout=50))
    while server.bot.updates.polls < 1:
        await asyncio.sleep(0.005)
    newer = asyncio.create_task(poll(server, offset=offset, timeout=50))
    status, body = await older
    assert (status, body["description"][:36]) == (409, "Conflict: terminated by other getUpd")
    server.bot.write(DIRECT, "goes to the newer")
    assert (await newer)[1]["result"]


async def test_a_hook_and_a_poll_exclude_each_other(server: Server) -> None:
    older = asyncio.create_task(poll(server, offset=9002, timeout=50))
    while server.bot.updates.polls < 1:
        await asyncio.sleep(0.005)
    assert (await call(server, "setWebhook", {"url": "https://x/h"}))[1]["ok"]
    assert "terminated by setWebhook request" in (await older)[1]["description"]
    assert "while webhook is active" in (await poll(server))[1]["description"]
    status, body = await call(server, "setWebhook", {"url": "https://x/h"})
    assert (status, body["parameters"]) == (429, {"retry_after": 1})
    assert (await call(server, "deleteWebhook", {}))[1]["ok"]
    assert (await poll(server))[0] == 200


async def test_the_same_offset_again_is_slowed(server: Server) -> None:
    server.bot.write(DIRECT, "second")
    assert len((await poll(server, offset=9001))[1]["result"]) == 2
    assert len((await poll(server, offset=9001))[1]["result"]) == 1


async def test_updates_that_were_not_asked_for_do_not_come(server: Server) -> None:
    await poll(server, offset=9002, allowed_updates=["callback_query"])
    server.bot.write(DIRECT, "unheard")
    assert not server.bot.updates.pending
    await poll(server, offset=9003)
    server.bot.write(DIRECT, "unset keeps the previous ones")
    assert not server.bot.updates.pending


class Hooked:
    """A gateway that answers with the statuses it is given, then with 200."""

    def __init__(self, *answers: web.Response) -> None:
        self.answers = list(answers)
        self.got: list[tuple[int, str]] = []
        self.secrets: set[str | None] = set()
        self.at_once = self.most = 0

    async def take(self, request: web.Request) -> web.Response:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        message = (await request.json())["message"]
        self.got.append((message["chat"]["id"], message["text"]))
        self.secrets.add(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        await asyncio.sleep(0.01)
        self.at_once -= 1
        return self.answers.pop(0) if self.answers else web.Response()


async def hooked(server: Server, gateway: Hooked) -> None:
    server.bot.updates.timing.local = True
    app = web.Application()
    app.router.add_post("/h", gateway.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/h"
    assert (await call(server, "setWebhook", {"url": url, "secret_token": "s3"}))[1]["ok"]
    while server.bot.updates.pending:
        await asyncio.sleep(0.005)
    await runner.cleanup()


async def test_a_hook_gets_a_chats_updates_one_at_a_time_in_order_until_it_takes_them(
    server: Server,
) -> None:
    server.bot.write(DIRECT, "second")
    gateway = Hooked(
        web.Response(status=500), web.Response(status=503, headers={"Retry-After": "0"})
    )
    await hooked(server, gateway)
    assert [words for _, words in gateway.got] == ["mine", "mine", "mine", "second"]
    assert (gateway.most, gateway.secrets) == (1, {"s3"})
    assert server.bot.updates.info()["last_error_message"].startswith("Wrong response from the web")


async def test_chats_are_called_at_once(server: Server) -> None:
    server.bot.write(GROUP, "other")
    gateway = Hooked()
    await hooked(server, gateway)
    assert gateway.most == 2


async def test_a_hook_that_says_gone_for_long_is_removed(server: Server) -> None:
    server.bot.updates.timing.gone_after = 0.0
    gateway = Hooked(*[web.Response(status=410) for _ in range(9)])
    waiting = asyncio.create_task(hooked(server, gateway))
    while not server.bot.updates.hook_calls or server.bot.updates.hook.url:
        await asyncio.sleep(0.005)
    server.bot.updates.pending.clear()
    await waiting


async def test_old_updates_are_dropped(server: Server) -> None:
    server.bot.updates.timing.keep = 0.0
    assert (await poll(server))[1]["result"] == []


# ---------------------------------------------------------------- pace and faults


@pytest.mark.parametrize(
    ("chat", "limits", "sends", "method"),
    [
        (DIRECT, {"chat_s": 1.0}, 1, "sendMessage"),
        (GROUP, {"group_minute": 2}, 2, "sendMessage"),
        (DIRECT, {"account_second": 2}, 2, "sendMessage"),
    ],
    ids=["a chat", "a group", "the account"],
)
async def test_a_pace_is_enforced(
    server: Server, chat: int, limits: dict[str, Any], sends: int, method: str
) -> None:
    for name, value in limits.items():
        setattr(server.bot.pace, name, value)
    given = {"chat_id": chat, "text": "x"}
    for _ in range(sends):
        assert (await call(server, method, given))[0] == 200
    status, body = await call(server, method, given)
    seconds = body["parameters"]["retry_after"]
    assert (status, body["description"]) == (429, f"Too Many Requests: retry after {seconds}")


async def test_edits_have_a_pace(server: Server) -> None:
    _, sent = await call(server, "sendMessage", text("x"))
    server.bot.pace.chat_s = 1.0
    given = text("y", message_id=sent["result"]["message_id"])
    assert (await call(server, "editMessageText", given))[0] == 200
    assert (await call(server, "editMessageText", given | {"text": "z"}))[0] == 429


async def test_who_does_not_wait_is_noticed(server: Server) -> None:
    server.bot.faults.set_shares({"rate": 1.0})
    assert (await call(server, "sendMessage", text("x")))[0] == 429
    assert (await call(server, "sendMessage", text("x")))[0] == 429
    assert server.bot.pace.early == 1


async def test_done_then_cut(server: Server) -> None:
    server.bot.faults.order("sendMessage", DONE_THEN_CUT, Fault(cuts=True))
    for _ in range(2):
        with pytest.raises(aiohttp.ClientConnectionError):
            await call(server, "sendMessage", text("x"))
    assert server.bot.seen(DIRECT) == ["x"]


async def test_control(server: Server) -> None:
    async with aiohttp.ClientSession() as session:
        for what, given in (
            ("add_chat", {"id": 77}),
            ("write", {"chat": 77, "text": "hi", "user": 77}),
            ("shares", {"shares": {"internal": 1.0}}),
        ):
            async with session.post(f"{server.url}/control/{what}", json=given) as response:
                assert response.status == 200
        assert (await call(server, "sendMessage", {"chat_id": 77, "text": "x"}))[0] == 500
        async with session.post(f"{server.url}/control/report", json={}) as response:
            assert (await response.json())["journal"] == []
