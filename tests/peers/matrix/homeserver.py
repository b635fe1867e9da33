"""A homeserver in the test's own process that plays what a real one does not do on demand.

It keeps to the specification where a careless client would get it wrong: it takes a token only
while it is the newest of its device, answers a transaction id it knows with the same event,
refuses a join without a body, events over 65,536 bytes, and media without a token. What it answers
to `/sync`, and the faults, are the test's. The error bodies are Synapse's, word by word.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.peers.matrix.script import Call, Fault, Json

BOT, PASSWORD, TOKEN = "@bot:hs", "correct horse", "syt_first"
MAX_EVENT = 65_536


@dataclass
class Homeserver:
    """`sent` holds the events of the bot in their order, `edits` of drafts included."""

    address: str = ""
    tokens: dict[str, str] = field(default_factory=lambda: {TOKEN: "SIGIL"})
    syncs: deque[Json | Fault] = field(default_factory=deque)
    pages: dict[str, list[Json]] = field(default_factory=dict)
    events: dict[str, Json] = field(default_factory=dict)
    members: dict[str, dict[str, str]] = field(default_factory=dict)
    media: dict[str, bytes] = field(default_factory=dict)
    states: dict[tuple[str, str], Json] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    sent: list[Json] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    uploads: list[tuple[str, bytes]] = field(default_factory=list)
    log: list[tuple[str, Json]] = field(default_factory=list)
    runner: web.AppRunner | None = None
    _faults: dict[str, deque[Fault]] = field(default_factory=dict)
    _transactions: dict[tuple[str, str], str] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _batches: int = 0

    def push(self, *answers: Json | Fault) -> None:
        """What the next calls of `/sync` answer; without any they wait."""
        self.syncs.extend(answers)
        self._news.set()

    @property
    def position(self) -> str:
        """From here on `/sync` gives what was posted, as often as it is asked."""
        return f"p{len(self.log)}"

    def post(self, room: str, event: Json) -> None:
        """Somebody says something."""
        self.events[event["event_id"]] = event
        self.log.append((room, event))
        self._news.set()

    def list_shown(self) -> list[str]:
        """What people see of the bot, edits applied."""
        shown: dict[str, str] = {}
        for index, sent in enumerate(self.sent):
            content = sent["content"]
            relation = content.get("m.relates_to", {})
            is_edit = relation.get("rel_type") == "m.replace"
            target = relation["event_id"] if is_edit else f"$sent{index}"
            shown[target] = (content["m.new_content"] if is_edit else content)["body"]
        return list(shown.values())

    async def go_away(self) -> None:
        """From now on nothing answers at the address."""
        assert self.runner is not None
        await self.runner.cleanup()

    def fail(self, endpoint: str, fault: Fault, *, times: int = 1) -> None:
        """`endpoint` is one of `send`, `sync`, `join`, `login`, `whoami`, `upload`, …"""
        self._faults.setdefault(endpoint, deque()).extend([fault] * times)

    def called(self, part: str) -> list[Call]:
        """The calls whose path has this in it."""
        return [call for call in self.calls if part in call.path]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.calls.append(Call(request.method, request.path, dict(request.query), body))
        endpoint = request.match_info.route.name or "unknown"
        parts = dict(request.match_info)
        faults = self._faults.get(endpoint)
        fault = faults.popleft() if faults else None
        answer: web.StreamResponse | None = None
        if fault is None or fault.done:
            answer = await self._answer(endpoint, parts, request, body)
        if fault is None:
            assert answer is not None
            return answer
        if fault.cut:
            assert request.transport is not None
            request.transport.abort()
        if isinstance(fault.body, dict):
            return web.json_response(fault.body, status=fault.status, headers=fault.headers)
        return web.Response(body=fault.body, status=fault.status, headers=fault.headers)

    async def _answer(
        self, endpoint: str, parts: dict[str, str], request: web.Request, body: bytes
    ) -> web.StreamResponse:
        if endpoint == "versions":
            return web.json_response({"versions": ["v1.15"]})
        if endpoint == "unknown":
            return _refuse(404, "M_UNRECOGNIZED", "Unrecognized request")
        if endpoint == "login":
            return self._log_in(body)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not token:
            return _refuse(401, "M_MISSING_TOKEN", "Missing access token")
        if token not in self.tokens:
            said = "Invalid access token passed."
            return _refuse(401, "M_UNKNOWN_TOKEN", said, soft_logout=False)
        if request.method in {"POST", "PUT"} and endpoint != "upload":
            try:
                json.loads(body)
            except ValueError:
                return _refuse(400, "M_NOT_JSON", "Content not JSON.")
        handler = getattr(self, f"_{endpoint}")
        response: web.StreamResponse = await handler(parts, request, body)
        return response

    def _log_in(self, body: bytes) -> web.Response:
        asked = json.loads(body)
        if asked["identifier"]["user"] != BOT or asked["password"] != PASSWORD:
            return _refuse(403, "M_FORBIDDEN", "Invalid username or password")
        device = asked.get("device_id", "MADEUP")
        # At most one token of a device is valid at any time.
        self.tokens = {token: of for token, of in self.tokens.items() if of != device}
        token = f"syt_{len(self.calls)}"
        self.tokens[token] = device
        return web.json_response({"user_id": BOT, "access_token": token, "device_id": device})

    async def _whoami(self, parts: Json, request: web.Request, body: bytes) -> web.Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        return web.json_response({"user_id": BOT, "device_id": self.tokens[token]})

    async def _logout(self, parts: Json, request: web.Request, body: bytes) -> web.Response:
        self.tokens.pop(request.headers["authorization"].removeprefix("Bearer "))
        return web.json_response({})

    async def _profile(self, parts: Json, request: web.Request, body: bytes) -> web.Response:
        return web.json_response({"displayname": "Sigil"})

    async def _sync(self, parts: Json, request: web.Request, body: bytes) -> web.Response:
        wait = float(request.query.get("timeout", "0")) / 1000
        since = request.query.get("since", "")
        if since.startswith("p"):
            return await self._sync_log(int(since[1:]), wait)
        if not self.syncs and wait:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), wait)
            except TimeoutError:
                pass
        if request.transport is None or request.transport.is_closing():
            return web.Response()  # nobody waits for it any more
        self._batches += 1
        answer = self.syncs.popleft() if self.syncs else {}
        if isinstance(answer, Fault):
            return web.json_response(answer.body, status=answer.status)
        return web.json_response({"next_batch": f"s{self._batches}", **answer})

    async def _sync_log(self, start: int, wait: float) -> web.Response:
        if len(self.log) <= start:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), wait)
            except TimeoutError:
                pass
        rooms: dict[str, Json] = {}
        for room, event in self.log[start:]:
            rooms.setdefault(room, {"timeline": {"events": []}})["timeline"]["events"].append(event)
        return web.json_response({"next_batch": self.position, "rooms": {"join": rooms}})

    async def _messages(self, parts: Json, request: web.Request, body: bytes) -> web.Response:
        pages = self.pages.get(parts["room"])
        return web.json_response(pages.pop(0) if pages else {"chunk": []})

    async def _event(self, parts: Json, request: web.Request, body: bytes) -> web.Response:
        if parts["event"] not in self.events:
            return _refuse(404, "M_NOT_FOUND", "Event not found.")
        return web.json_response(self.events[parts["event"]])

    async def _members(self, parts: Json, request: web.Request, body: bytes) -> web.Response:
        found = self.members.get(parts["room"], {BOT: "Sigil", "@alice:hs": "Alice"})
        joined = {user: {"display_name": name} for user, name in found.items()}
        return web.json_response({"joined": joined})

    async def _rooms(self, parts: Json, request: web.Request, body: bytes) -> web.Response:
        return web.json_response({"joined_rooms": list(self.members)})

    async def _state(self, parts: Json, request: web.Request, body: bytes) -> web.Response:
        found = self.states.get((parts["room"], parts["kind"]))
        if found is None:
            return _refuse(404, "M_NOT_FOUND", "State event not found.")
        return web.json_response(found)

    async def _join(self, parts: Json, request: web.Request, body: bytes) -> web.Response:
        self.joined.append(parts["room"])
        return web.json_response({"room_id": parts["room"]})

    async def _leave(self, parts: Json, request: web.Request, body: bytes) -> web.Response:
        self.left.append(parts["room"])
        return web.json_response({})

    async def _typing(self, parts: Json, request: web.Request, body: bytes) -> web.Response:
        return web.json_response({})

    async def _send(self, parts: Json, request: web.Request, body: bytes) -> web.Response:
        content = json.loads(body)
        if len(json.dumps(content, ensure_ascii=False).encode()) > MAX_EVENT - 500:
            return _refuse(413, "M_TOO_LARGE", "event too large")
        token = request.headers["authorization"].removeprefix("Bearer ")
        scope = (self.tokens[token], request.path)
        if scope not in self._transactions:
            self._transactions[scope] = f"$sent{len(self.sent)}"
            self.sent.append({"room": parts["room"], "type": parts["kind"], "content": content})
        return web.json_response({"event_id": self._transactions[scope]})

    async def _upload(self, parts: Json, request: web.Request, body: bytes) -> web.Response:
        self.uploads.append((request.content_type, body))
        return web.json_response({"content_uri": f"mxc://hs/up{len(self.uploads)}"})

    async def _download(self, parts: Json, request: web.Request, body: bytes) -> web.Response:
        data = self.media.get(f"{parts['server']}/{parts['media']}")
        if data is None:
            return _refuse(404, "M_NOT_FOUND", "Not found")
        return web.Response(body=data)

    async def _config(self, parts: Json, request: web.Request, body: bytes) -> web.Response:
        return web.json_response({"m.upload.size": 50 * 1024 * 1024})


_CLIENT = "/_matrix/client/v3"
_ROUTES = (
    ("GET", "/_matrix/client/versions", "versions"),
    ("POST", f"{_CLIENT}/login", "login"),
    ("POST", f"{_CLIENT}/logout", "logout"),
    ("GET", f"{_CLIENT}/account/whoami", "whoami"),
    ("GET", _CLIENT + "/profile/{user}/displayname", "profile"),
    ("GET", f"{_CLIENT}/sync", "sync"),
    ("GET", f"{_CLIENT}/joined_rooms", "rooms"),
    ("POST", _CLIENT + "/rooms/{room}/join", "join"),
    ("POST", _CLIENT + "/rooms/{room}/leave", "leave"),
    ("GET", _CLIENT + "/rooms/{room}/messages", "messages"),
    ("GET", _CLIENT + "/rooms/{room}/event/{event}", "event"),
    ("GET", _CLIENT + "/rooms/{room}/joined_members", "members"),
    ("GET", _CLIENT + "/rooms/{room}/state/{kind}/", "state"),
    ("PUT", _CLIENT + "/rooms/{room}/send/{kind}/{transaction}", "send"),
    ("PUT", _CLIENT + "/rooms/{room}/typing/{user}", "typing"),
    ("POST", "/_matrix/media/v3/upload", "upload"),
    ("GET", "/_matrix/client/v1/media/download/{server}/{media}", "download"),
    ("GET", "/_matrix/client/v1/media/config", "config"),
)


def _refuse(status: int, errcode: str, error: str, **more: Any) -> web.Response:
    return web.json_response({"errcode": errcode, "error": error, **more}, status=status)


@asynccontextmanager
async def run_homeserver() -> AsyncIterator[Homeserver]:
    """Serves on a free port of loopback."""
    server = Homeserver()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    for method, path, name in _ROUTES:
        app.router.add_route(method, path, server.handle, name=name)
    app.router.add_route("*", "/{rest:.*}", server.handle)
    runner = server.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
