"""Sends events. The chunk's id is the transaction's, so that a chunk which may have been sent can
be sent again: the server answers with the event that it has."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from typing import TYPE_CHECKING

import structlog

from sigil.blobs.base import find_id, name_owner, read_file
from sigil.channels.base import Chunk, Place, Rendered
from sigil.channels.matrix.client import MatrixClient, make_path
from sigil.channels.matrix.events import (
    Content,
    make_edit,
    make_file,
    make_place_relation,
    make_relation,
    make_text,
)
from sigil.channels.matrix.spec import MatrixType
from sigil.errors import (
    AccountRefused,
    ChannelError,
    SendFailed,
    SigilError,
    StoreError,
)

if TYPE_CHECKING:
    from sigil.channels.base import AccountContext
    from sigil.channels.matrix.settings import MatrixSettings
    from sigil.messages.exchange import Attachment

log = structlog.get_logger(__name__)

TYPING_S = MatrixType.spec.typing_seconds
DRAFTS_REST_S = 60.0
"""How long no draft is shown after the server has limited the account: its answers come first.
By default a homeserver allows ten events at once and then one in five seconds."""


class MatrixSender:
    """The sender of one account."""

    def __init__(self, context: AccountContext, settings: MatrixSettings) -> None:
        self.name = context.name
        self._context = context
        self._client = MatrixClient(context.name, settings)
        self._no_drafts_before = 0.0
        self._typing: dict[str, float] = {}

    async def send(self, chunk: Chunk) -> str | None:
        """Sends the text and, with the last chunk, the files. Returns the event's id."""
        if chunk.replaces is not None:
            await self.edit(chunk, chunk.replaces)
            return chunk.replaces
        room, event_id = chunk.message.channel_id, None
        if chunk.text:
            content = make_text(_render(chunk)) | make_relation(chunk)
            event_id = await self._put(room, content, chunk.id)
        first_file = await self._send_files(chunk)
        await self._end_typing(room)
        return event_id or first_file

    async def edit(self, chunk: Chunk, platform_id: str) -> None:
        """Replaces an event's content. The transaction's id holds the content too: a chunk that
        is edited twice makes two events."""
        content = make_text(_render(chunk))
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
        room = chunk.message.channel_id
        await self._put(room, make_edit(content, platform_id), f"{chunk.id}-{key}")
        if chunk.replaces == platform_id:  # an answer that takes the place of its draft
            await self._send_files(chunk)
        await self._end_typing(room)

    async def show_draft(
        self, place: Place, draft_id: str, text: Rendered, shown: str | None
    ) -> str | None:
        """Sends the draft as a message of its own and then edits that. While the server limits the
        account, nothing is shown."""
        if time.monotonic() < self._no_drafts_before:
            return shown
        content = make_text(text)
        try:
            if shown is None:
                content |= make_place_relation(place)
                return await self._put(place.channel_id, content, draft_id)
            await self._put(place.channel_id, make_edit(content, shown), uuid.uuid4().hex)
        except AccountRefused:
            raise
        except SendFailed as error:
            if not error.rests_account:
                raise
            self._no_drafts_before = time.monotonic() + max(DRAFTS_REST_S, error.retry_after or 0)
        return shown

    async def show_typing(self, place: Place) -> None:
        """Shows it for half a minute, or until the next message."""
        self._typing[place.channel_id] = time.monotonic() + TYPING_S
        await self._put_typing(place.channel_id, {"typing": True, "timeout": int(TYPING_S * 1000)})

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.close()

    async def _send_files(self, chunk: Chunk) -> str | None:
        """Sends what goes with the last chunk; returns the first file's event."""
        files = chunk.message.media if chunk.final else ()
        sent = [
            await self._send_file(chunk, file, f"{chunk.id}-{index}")
            for index, file in enumerate(files)
        ]
        return sent[0] if sent else None

    async def _send_file(self, chunk: Chunk, attachment: Attachment, transaction: str) -> str:
        """Uploads a file that is kept and sends it; a link to any other. What the server does not
        take is told: the text has been sent, so the chunk cannot be refused as a whole."""
        try:
            content = await self._make_file(attachment)
        except SendFailed:
            raise
        except StoreError as error:
            raise SendFailed("the file cannot be read now.") from error
        except SigilError as error:
            log.warning("a file could not be sent", file=attachment.name, error=str(error))
            content = make_text(Rendered(f"The file {attachment.name} could not be sent."))
        relation = make_relation(chunk) if chunk.message.thread_id is not None else {}
        return await self._put(chunk.message.channel_id, content | relation, transaction)

    async def _make_file(self, attachment: Attachment) -> Content:
        if find_id(attachment.url) is None:
            return make_text(Rendered(f"{attachment.name}: {attachment.url}"))
        owner = name_owner(self._context.channel_type, self._context.account)
        most = MatrixType.spec.media.largest_out
        data = await read_file(self._context.stores.blobs, attachment, owner, most)
        address = await self._client.upload(data, attachment.mime_type, attachment.name)
        return make_file(attachment, address, len(data))

    async def _put(self, room: str, content: Content, transaction: str) -> str:
        path = make_path("rooms", room, "send", "m.room.message", transaction)
        answer = await self._client.call("PUT", path, content, room=True)
        event_id = answer.get("event_id")
        if not isinstance(event_id, str):
            raise SendFailed("the homeserver answered without an event's id.", outcome_unknown=True)
        return event_id

    async def _end_typing(self, room: str) -> None:
        """Clients go on showing it although the message has come."""
        now = time.monotonic()
        self._typing = {each: until for each, until in self._typing.items() if until > now}
        if self._typing.pop(room, None) is None:
            return
        try:
            await self._put_typing(room, {"typing": False})
        except ChannelError as error:
            log.info("typing could not be ended", room=room, error=str(error))

    async def _put_typing(self, room: str, body: Content) -> None:
        path = make_path("rooms", room, "typing", self._client.user_id)
        await self._client.call("PUT", path, body, room=True)


def _render(chunk: Chunk) -> Rendered:
    """What was rendered; the source, if nothing was."""
    return Rendered(chunk.message.content) if chunk.rendered is None else chunk.rendered
