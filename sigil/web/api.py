"""The chat API, for the page and for `sigil chat`."""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import sigil
from sigil.channels.live import DEFAULT_ACCOUNT, live_chat_key, take_message
from sigil.channels.web.listener import inbound
from sigil.channels.web.payloads import CHAT_ID_PATTERN, Login, SendText
from sigil.errors import ChannelNotFound, UserNotFound
from sigil.web.access import COOKIE, SESSION_S, Access
from sigil.web.answers import Refused, read
from sigil.web.events import Streams, last_id

if TYPE_CHECKING:
    from starlette.requests import Request

    from sigil.gateway import Gateway
    from sigil.identity import User


class ChatApi:
    """The routes below `/api`, and `/login` and `/logout`."""

    def __init__(self, gateway: Gateway, access: Access, streams: Streams) -> None:
        self._gateway = gateway
        self._access = access
        self._streams = streams
        self.routes = [
            Route("/login", self.login, methods=["POST"]),
            Route("/logout", self.logout, methods=["POST"]),
            Route("/api/me", self.me),
            Route("/api/chats", self.chats),
            Route("/api/chats", self.new_chat, methods=["POST"]),
            Route("/api/chats/{chat}/messages", self.send, methods=["POST"]),
            Route("/api/chats/{chat}/events", self.events),
        ]

    async def login(self, request: Request) -> Response:
        """A token for a cookie."""
        token = (await read(request, Login)).token
        user = self._access.by_token(token)
        answer = JSONResponse(_shown(user))
        answer.set_cookie(
            COOKIE,
            self._access.session(token),
            max_age=SESSION_S,
            httponly=True,
            samesite="strict",
            secure=request.headers.get("origin", "").startswith("https://"),
        )
        return answer

    async def logout(self, request: Request) -> Response:
        """Takes the cookie back."""
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    async def me(self, request: Request) -> Response:
        """Who is asking, and what time it is here (milliseconds since the epoch)."""
        user = await self._person(request)
        return JSONResponse(
            {
                "user": _shown(user),
                "token_required": self._access.token_required,
                "model": self._gateway.settings.models.default,
                "version": sigil.__version__,
                "now": int(time.time() * 1000),
            }
        )

    async def chats(self, request: Request) -> Response:
        """The user's chats, newest first."""
        user, channel = await self._person(request), self._channel(request)
        listed = await self._gateway.stores.chats.list(user.id, channel)
        return JSONResponse({"chats": [dict(chat) for chat in listed]})

    async def new_chat(self, request: Request) -> Response:
        """An unused id. The chat comes to be, and is its user's, with its first message."""
        await self._person(request)
        self._channel(request)
        return JSONResponse({"id": secrets.token_urlsafe(12)}, 201)

    async def send(self, request: Request) -> Response:
        """Takes a message; 202 once it is kept. The same `message_id` again is no new one."""
        user, channel, chat = await self._person(request), self._channel(request), _chat(request)
        payload = await read(request, SendText)
        message = inbound(channel, chat, user, payload)
        accepted = await take_message(self._gateway.stores.chats, self._gateway.receive, message)
        if accepted is None:
            raise _no_such_chat()
        return JSONResponse({"id": accepted.id, "duplicate": accepted.duplicate}, 202)

    async def events(self, request: Request) -> Response:
        """The chat's log from where the reader left off, as server-sent events."""
        user, channel, chat = await self._person(request), self._channel(request), _chat(request)
        after = last_id(request.headers.get("last-event-id"), request.query_params.get("after"))
        if await self._gateway.stores.chats.owner(channel, chat) != user.id:
            raise _no_such_chat()
        key = live_chat_key(channel, DEFAULT_ACCOUNT, chat)
        html = self._gateway.channels.get(channel).capabilities.html
        return self._streams.respond(user.id, key, after, html=html)

    async def _person(self, request: Request) -> User:
        user = self._access.person(request)
        other = request.headers.get("x-sigil-as")
        if other is None or other == user.id:
            return user
        if user.role != "owner":
            raise Refused(403, "http.owner_only", "Only the owner may act as somebody else.")
        try:
            return await self._gateway.stores.users.get(other)
        except UserNotFound as error:
            raise Refused(422, error.code, str(error)) from None

    def _channel(self, request: Request) -> str:
        name = request.query_params.get("channel", "web")
        try:
            can = self._gateway.channels.get(name).capabilities
        except ChannelNotFound:
            can = None
        if can is None or not (can.live and can.authenticated):
            raise Refused(422, "channel.not_found", "This channel has no chats to be shown here.")
        return name


def _shown(user: User) -> dict[str, str]:
    return {"id": user.id, "name": user.name, "role": user.role}


def _chat(request: Request) -> str:
    chat = str(request.path_params["chat"])
    if not re.fullmatch(CHAT_ID_PATTERN, chat):
        raise _no_such_chat()
    return chat


def _no_such_chat() -> Refused:
    return Refused(404, "chat.not_found", "There is no such chat.")
