"""Sends to a bot's chats.

Texts go out with their entities beside them, never with a parse mode, so Telegram has no markup to
misread. It knows no key by which a repeated send could be recognised.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import structlog

from sigil.channels.base import Chunk, Place, Rendered
from sigil.channels.telegram.client import TelegramClient
from sigil.channels.telegram.errors import EditRefused, NothingChanged, ReplyRefused
from sigil.channels.telegram.message_parts import BUSINESS
from sigil.channels.telegram.parameters import (
    count_units,
    fit,
    make_address,
    make_entities,
    make_keyboard,
    make_number,
    make_reply,
    make_text,
    read_id,
)
from sigil.channels.telegram.spec import TelegramType
from sigil.channels.telegram.uploads import Parcel, load_parcels
from sigil.errors import MediaRefused, SendFailed, SendRefused

if TYPE_CHECKING:
    from sigil.channels.base import AccountContext
    from sigil.channels.telegram.settings import TelegramSettings

log = structlog.get_logger(__name__)

CAPTION_LIMIT = 1024
EDIT_EVERY_S = 1.0
_LONGEST_WAIT_S = 60.0
_REMEMBERED = 1000
_TEXT_LIMIT = TelegramType.spec.text_limit


class TelegramSender:
    """Sends to one account."""

    def __init__(self, context: AccountContext, settings: TelegramSettings) -> None:
        self.name = context.name
        self._context = context
        self._client = TelegramClient(context.name, settings)
        self._edited_at: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def send(self, chunk: Chunk) -> str | None:
        """See `sigil.channels.base.Sender`."""
        if chunk.replaces is not None:
            try:
                await self.edit(chunk, chunk.replaces)
            except EditRefused:
                pass  # somebody has deleted the draft
            else:
                if chunk.message.media:
                    await self._send_parcels(chunk, chunk.replaces, has_text=True)
                return chunk.replaces
        if chunk.message.media:
            return await self._send_with_media(chunk)
        return await self._send_text(chunk)

    async def edit(self, chunk: Chunk, platform_id: str) -> None:
        """See `sigil.channels.base.EditsMessages`."""
        if not platform_id.isdecimal():
            raise EditRefused(f"{platform_id!r} is no id of a message.")
        given = make_address(chunk.message.channel_id, None) | {
            "message_id": int(platform_id),
            **make_text(chunk.text, chunk.rendered),
            **make_keyboard(chunk.message.actions if chunk.final else ()),
        }
        try:
            await self._client.call("editMessageText", given)
        except NothingChanged:
            pass

    async def show_draft(
        self, place: Place, draft_id: str, text: Rendered, shown: str | None
    ) -> str | None:
        """See `sigil.channels.base.ShowsDrafts`. Only a private chat has drafts; in a group a
        message is sent and edited, until it is full."""
        is_full = count_units(text.text) > _TEXT_LIMIT
        if not place.is_direct:
            return shown if shown and is_full else await self._edit_draft(place, text, shown)
        if BUSINESS in place.channel_id:
            return None
        given = make_address(place.channel_id, place.thread_id) | {
            "draft_id": make_number(draft_id),
            "can_stop": True,
            **make_text(fit(text.text), None if is_full else text),
        }
        await self._client.call("sendMessageDraft", given)
        return None

    async def show_typing(self, place: Place) -> None:
        """See `sigil.channels.base.ShowsTyping`."""
        given = make_address(place.channel_id, place.thread_id) | {"action": "typing"}
        await self._client.call("sendChatAction", given)

    async def close(self) -> None:
        """See `sigil.channels.base.Sender`."""
        await self._client.close()

    # ------------------------------------------------------------ texts

    async def _send_text(self, chunk: Chunk) -> str:
        message = chunk.message
        given = make_address(message.channel_id, message.thread_id) | {
            **make_text(chunk.text, chunk.rendered),
            "link_preview_options": {"is_disabled": True},
            **make_reply(chunk),
            **make_keyboard(message.actions if chunk.final else ()),
        }
        return read_id(await self._call("sendMessage", given))

    async def _call(self, method: str, given: dict[str, Any], **files: Any) -> Any:
        """Makes a call; once more without its reply if what it replies to is gone."""
        try:
            return await self._client.call(method, given, **files)
        except ReplyRefused:
            if "reply_parameters" not in given:
                raise
            rest = {name: value for name, value in given.items() if name != "reply_parameters"}
            return await self._client.call(method, rest, **files)

    async def _edit_draft(self, place: Place, text: Rendered, shown: str | None) -> str | None:
        address = make_address(place.channel_id, place.thread_id)
        if shown is None:
            given = address | make_text(fit(text.text), text)
            given["link_preview_options"] = {"is_disabled": True}
            shown = read_id(await self._client.call("sendMessage", given))
            self._note_edit(place, shown)
            return shown
        if time.monotonic() < self._edited_at.get((place.channel_id, shown), 0.0) + EDIT_EVERY_S:
            return shown
        self._note_edit(place, shown)
        address.pop("message_thread_id", None)
        given = address | {"message_id": int(shown), **make_text(text.text, text)}
        try:
            await self._client.call("editMessageText", given)
        except NothingChanged:
            pass
        return shown

    def _note_edit(self, place: Place, shown: str) -> None:
        self._edited_at[place.channel_id, shown] = time.monotonic()
        while len(self._edited_at) > _REMEMBERED:
            self._edited_at.popitem(last=False)

    # ------------------------------------------------------------ files

    async def _send_with_media(self, chunk: Chunk) -> str | None:
        """A short text is the caption of its only file; another goes before the files."""
        fits = 0 < count_units(chunk.text) <= CAPTION_LIMIT and len(chunk.message.media) == 1
        if not chunk.text.strip() or fits:
            return await self._send_parcels(chunk, None, has_text=False)
        return await self._send_parcels(chunk, await self._send_text(chunk), has_text=True)

    async def _send_parcels(self, chunk: Chunk, sent: str | None, *, has_text: bool) -> str | None:
        """Sends the files; returns the id of the first message of the chunk."""
        parcels = await load_parcels(self._context, chunk.message.media)
        for parcel in parcels:
            caption = "" if has_text else chunk.text
            try:
                found = await self._send_parcel(chunk, parcel, caption, is_first=sent is None)
            except SendFailed as error:
                if sent is not None:  # what went before must not simply be repeated
                    error.outcome_unknown = True
                raise
            sent, has_text = sent or found, True
        return sent

    async def _send_parcel(
        self, chunk: Chunk, parcel: Parcel, caption: str, *, is_first: bool
    ) -> str:
        message = chunk.message
        given = make_address(message.channel_id, message.thread_id) | dict(parcel.given)
        if is_first:
            given |= make_reply(chunk)
        else:
            await self._keep_pace(message.is_direct)
        if caption and parcel.method != "sendMediaGroup":
            given |= {"caption": caption, **make_entities("caption_entities", chunk.rendered)}
            given |= make_keyboard(message.actions if chunk.final else ())
        if not parcel.method:
            return await self._send_instead(chunk, parcel, caption)
        try:
            return await self._send_patiently(parcel.method, given, parcel, waits=not is_first)
        except (SendRefused, MediaRefused) as error:
            if isinstance(error, SendRefused) and error.closes_chat:
                raise
            log.warning("telegram file not sent", channel=self.name, reason=error.message)
            return await self._send_instead(chunk, parcel, caption)

    async def _send_patiently(
        self, method: str, given: dict[str, Any], parcel: Parcel, *, waits: bool
    ) -> str:
        """Once something of a chunk is sent, a short pause that Telegram asks for is kept here."""
        while True:
            try:
                return read_id(await self._call(method, given, files=parcel.files))
            except SendFailed as error:
                wait = error.retry_after
                if not waits or wait is None or wait > _LONGEST_WAIT_S or error.outcome_unknown:
                    raise
                await asyncio.sleep(wait)

    async def _send_instead(self, chunk: Chunk, parcel: Parcel, caption: str) -> str:
        """A picture that is none goes out as a file; of what is not taken at all, a line tells."""
        message = chunk.message
        if (plain := parcel.as_document()) is not None:
            return await self._send_parcel(chunk, plain, caption, is_first=True)
        text = "\n\n".join(part for part in (caption, parcel.describe()) if part)
        given = make_address(message.channel_id, message.thread_id) | {"text": fit(text)}
        return read_id(await self._client.call("sendMessage", given))

    async def _keep_pace(self, is_direct: bool) -> None:
        pace = TelegramType.spec.pace
        await asyncio.sleep(pace.chat if is_direct else pace.group)
