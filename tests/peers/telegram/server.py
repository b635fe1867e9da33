"""The HTTP side of the server, and how a fault run controls it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.peers.telegram.bot import Bot, Chat
from tests.peers.telegram.faults import RATE, SENDS, Fault
from tests.peers.telegram.limits import ApiError, too_many
from tests.peers.telegram.methods import METHODS
from tests.peers.telegram.params import Params, read_params

_CONTROLS = frozenset({"add_chat", "write", "rewrite", "press", "report"})


class Server:
    """Serves bots at `/bot<token>/<method>` and their files at `/file/bot<token>/<path>`."""

    def __init__(self, *bots: Bot) -> None:
        self.bots = {bot.token: bot for bot in bots or (Bot(),)}
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def bot(self) -> Bot:
        """The first bot."""
        return next(iter(self.bots.values()))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/bot{token}/{method}", self._call)
        app.router.add_get("/file/bot{token}/{path:.+}", self._download)
        app.router.add_post("/control/{what}", self._control)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        for bot in self.bots.values():
            await bot.updates.close()
        if self._runner is not None:
            await self._runner.cleanup()

    # ------------------------------------------------------------ the API

    async def _call(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        try:
            bot = self._find_bot(request)
            method = METHODS.get(name)
            if method is None or request.method not in ("GET", "POST"):
                raise ApiError(404, "Not Found")
            params = await read_params(request)
            bot.calls.append((name, params.given))
            fault = bot.faults.pick(name)
            if isinstance(fault, Fault):
                return await self._fail(fault, request, bot, params)
            self._check_pace(bot, name, params, fault)
            return web.json_response({"ok": True, "result": await method(bot, params)})
        except ApiError as error:
            return web.json_response(error.body(), status=error.code)

    async def _fail(
        self, fault: Fault, request: web.Request, bot: Bot, params: Params
    ) -> web.StreamResponse:
        await asyncio.sleep(fault.wait)
        name = request.match_info["method"]
        if fault.does:
            self._check_pace(bot, name, params, None)
            await METHODS[name](bot, params)
        if fault.cuts:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        text = fault.body if isinstance(fault.body, str) else json.dumps(fault.body)
        kind = "text/html" if isinstance(fault.body, str) else "application/json"
        return web.Response(
            status=fault.status, text=text, content_type=kind, headers=dict(fault.headers)
        )

    @staticmethod
    def _check_pace(bot: Bot, name: str, params: Params, fault: str | None) -> None:
        chat = bot.chats.get(params.number("chat_id", 0))
        if name not in SENDS or chat is None:
            return
        is_group = chat.type != "private"
        bot.pace.check(chat.id, group=is_group, edits=name == "editMessageText")
        if fault == RATE:
            seconds = bot.faults.pick_wait()
            bot.pace.close(chat.id, seconds)
            raise too_many(seconds)

    def _find_bot(self, request: web.Request) -> Bot:
        """A token of the right form that nobody has is "Unauthorized", any other "Not Found"."""
        token = request.match_info["token"]
        if token in self.bots:
            return self.bots[token]
        number, _, secret = token.partition(":")
        if number.isdigit() and len(secret) >= 30:
            raise ApiError(401, "Unauthorized")
        raise ApiError(404, "Not Found")

    async def _download(self, request: web.Request) -> web.StreamResponse:
        try:
            bot = self._find_bot(request)
        except ApiError as error:
            return web.json_response(error.body(), status=error.code)
        file = bot.files.get(request.match_info["path"].split("/")[1])
        if file is None:
            return web.json_response(ApiError(404, "Not Found").body(), status=404)
        fault = bot.faults.pick("download")
        if isinstance(fault, Fault):
            return await self._fail(fault, request, bot, Params())
        # Telegram does not promise a type.
        return web.Response(body=file.data, content_type="application/octet-stream")

    # ------------------------------------------------------------ control

    async def _control(self, request: web.Request) -> web.Response:
        """`POST /control/<what>` with the arguments of a method of `Bot` as JSON."""
        what, given = request.match_info["what"], await request.json()
        bot = self.bots.get(given.pop("token", ""), self.bot)
        if what == "shares":
            bot.faults.set_shares(**given)
            result: Any = None
        elif what in _CONTROLS:
            result = getattr(bot, what)(**given)
        else:
            raise web.HTTPNotFound
        return web.json_response(None if isinstance(result, Chat) else result)


@asynccontextmanager
async def serve(*bots: Bot) -> AsyncIterator[Server]:
    """A server in the loop of a test."""
    server = Server(*bots)
    await server.start()
    try:
        yield server
    finally:
        await server.close()
