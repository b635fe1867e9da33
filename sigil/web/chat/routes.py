"""The routes of the chat API, for the page and for `sigil chat`."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, NoReturn

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sigil.channels.live import live_chat_key, take_message
from sigil.channels.web.listener import to_inbound_message
from sigil.channels.web.payloads import CHAT_ID_PATTERN, SendText
from sigil.errors import ChannelNotFound, NotAMember
from sigil.sessions import session_key
from sigil.web.chat.events import read_position
from sigil.web.responses import RequestRefused, read_json
from sigil.workspace.manager import request_route

if TYPE_CHECKING:
    from starlette.requests import Request

    from sigil.channels.base import Receive
    from sigil.channels.live import ChatStore
    from sigil.channels.router import ChannelRouter, Entry
    from sigil.directory import LiveDirectory
    from sigil.web.access.authentication import Access
    from sigil.web.chat.streams import Streams
    from sigil.workspace.manager import WorkspaceManager


class ChatRoutes:
    """The routes below `/api/chats`. Each takes `?channel=`, a live channel's name (`web`)."""

    def __init__(
        self,
        *,
        access: Access,
        channels: ChannelRouter,
        chats: ChatStore,
        receive: Receive,
        streams: Streams,
        directory: LiveDirectory,
        workspaces: WorkspaceManager,
    ) -> None:
        self._access = access
        self._directory = directory
        self._workspaces = workspaces
        self._channels = channels
        self._chats = chats
        self._receive = receive
        self._streams = streams
        self.routes = [
            Route("/api/chats", self.list_chats),
            Route("/api/chats", self.create_chat, methods=["POST"]),
            Route("/api/chats/{chat}/messages", self.send_message, methods=["POST"]),
            Route("/api/chats/{chat}/events", self.stream_events),
            Route("/api/chats/{chat}/model", self.show_model),
        ]

    async def list_chats(self, request: Request) -> Response:
        """The user's chats, newest first."""
        user, channel = await self._access.identify(request), self._find_channel(request)
        chats = await self._chats.list(user.id, channel.name)
        return JSONResponse({"chats": [dict(chat) for chat in chats]})

    async def create_chat(self, request: Request) -> Response:
        """An unused chat id. The first message creates the chat and makes its sender the owner."""
        await self._access.identify(request)
        self._find_channel(request)
        return JSONResponse({"id": secrets.token_urlsafe(12)}, 201)

    async def send_message(self, request: Request) -> Response:
        """Takes a message: 202 once it is stored. Repeating a `message_id` adds no message."""
        user, channel = await self._access.identify(request), self._find_channel(request)
        chat_id = _read_chat_id(request)
        payload = await read_json(request, SendText)
        message = to_inbound_message(channel, chat_id, user, payload)
        accepted = await take_message(self._chats, self._receive, message)
        if accepted is None:
            _refuse_unknown_chat()
        return JSONResponse({"id": accepted.id, "duplicate": accepted.duplicate}, 202)

    async def stream_events(self, request: Request) -> Response:
        """The chat's log from where the reader left off, as server-sent events."""
        user, channel = await self._access.identify(request), self._find_channel(request)
        chat_id = _read_chat_id(request)
        after = read_position(
            request.headers.get("last-event-id"), request.query_params.get("after")
        )
        if await self._chats.owner(channel.name, chat_id) != user.id:
            _refuse_unknown_chat()
        key = live_chat_key(channel.channel_type, channel.account, chat_id)
        return self._streams.open_stream(user.id, key, after, html=channel.spec.html)

    async def show_model(self, request: Request) -> Response:
        """The model that answers in a chat, the one that does so without a choice, and those that
        may be chosen by the message `/model NAME`."""
        user, channel = await self._access.identify(request), self._find_channel(request)
        chat_id = _read_chat_id(request)
        if await self._chats.owner(channel.name, chat_id) not in {None, user.id}:
            _refuse_unknown_chat()
        directory = self._directory.current
        asking = SendText(text="/model", message_id="which-model")
        message = to_inbound_message(channel, chat_id, user, asking)
        where = request_route(message, user.id, paired=True)  # they have signed in
        try:
            workspace = await self._workspaces.route(where, directory.workspaces)
        except NotAMember as error:
            raise RequestRefused(403, error.code, error.message) from error
        key = session_key(workspace.id, message, user, channel.spec)
        session = await self._workspaces.stores.sessions.load(key)
        models = directory.models
        usual = models.first(workspace.id)
        return JSONResponse(
            {
                "current": models.admit(workspace.id, session.model) or usual,
                "usual": usual,
                "allowed": models.allowed(workspace.id),
            }
        )

    def _find_channel(self, request: Request) -> Entry:
        try:
            channel = self._channels.find_entry(request.query_params.get("channel", "web"))
        except ChannelNotFound:
            channel = None
        # On other channels people would have to prove who they are, and this API could not.
        if channel is None or not (channel.spec.live and channel.spec.authenticated):
            raise RequestRefused(
                422, "channel.not_found", "This channel has no chats that can be shown here."
            )
        return channel


def _read_chat_id(request: Request) -> str:
    chat_id = str(request.path_params["chat"])
    if not re.fullmatch(CHAT_ID_PATTERN, chat_id):
        _refuse_unknown_chat()
    return chat_id


def _refuse_unknown_chat() -> NoReturn:
    raise RequestRefused(404, "chat.not_found", "This chat does not exist.")
