"""Takes updates in: joins what belongs together, fetches the files, hands the messages over.

updates ─▶ read ─▶ join albums and long texts ─▶ chat by chat: files ─▶ receive ─▶ acknowledge
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import ValidationError

from sigil.blobs.base import make_refused
from sigil.channels.telegram.incoming import Incoming, Moved, read_update
from sigil.channels.telegram.message_parts import LARGEST_FILE, Me, RemoteFile
from sigil.channels.telegram.payloads import Update
from sigil.errors import (
    AccountRefused,
    ChannelError,
    MediaRefused,
    MessageInvalid,
    SendFailed,
    SendRefused,
)
from sigil.messages.exchange import MAX_ATTACHMENTS, MAX_CONTENT_BYTES

if TYPE_CHECKING:
    from sigil.channels.base import AccountContext, Inbox
    from sigil.channels.telegram.client import TelegramClient
    from sigil.messages.exchange import Attachment

log = structlog.get_logger(__name__)

LONG_UNITS, MOST_UNITS = 4000, 4096
"""An app cuts what somebody pastes into texts of at most 4,096 UTF-16 units, at the end of a line
if it can. A text of at least so many may go on in the next."""
_AT_ONCE = 8  # chats whose messages are taken at the same time
_PAUSES_S = (1.0, 2.0, 4.0)  # before a file is loaded again
_LONGEST_PAUSE_S = 30.0


def read_updates(given: Sequence[Any]) -> list[Update]:
    """The updates that can be read; others are logged and left out, or they would come for ever."""
    found = []
    for each in given:
        try:
            found.append(Update.model_validate(each))
        except ValidationError as error:
            places = [".".join(map(str, flaw["loc"])) for flaw in error.errors()[:3]]
            log.warning("telegram update not understood", places=places)
    return found


def is_open(updates: Sequence[Update]) -> bool:
    """Whether more may belong to what has come: to an album, or to a long text."""
    return any(
        message.media_group_id is not None or _is_long(message.text or "")
        for message in (update.message for update in updates)
        if message is not None
    )


def join(incoming: Iterable[Incoming]) -> list[Incoming]:
    """Makes one message of an album, and of a long text that came in parts. What was given in
    order stays in order within each chat."""
    joined: list[Incoming] = []
    last: dict[str, tuple[int, Incoming]] = {}  # by chat: its last message's place, and last part
    for each in incoming:
        at, part = last.get(each.chat, (0, None))
        longer = None if part is None else _append(joined[at], part, each)
        if longer is None:
            at = len(joined)
            joined.append(each)
        else:
            joined[at] = longer
        last[each.chat] = (at, each)
    return joined


def _append(message: Incoming, last: Incoming, following: Incoming) -> Incoming | None:
    """The message with one more part after its last one; None if that does not belong to it."""
    if (last.sender, last.thread) != (following.sender, following.thread):
        return None
    if last.album is not None and last.album == following.album:
        between = "\n" if message.text and following.text else ""
    elif last.kind == following.kind == "message" and _goes_on(last) and not following.files:
        between = "" if _count_units(last.text) == MOST_UNITS else "\n"  # cut at a line's end
    else:
        return None
    text, files = message.text + between + following.text, message.files + following.files
    if len(text.encode("utf-8", "replace")) > MAX_CONTENT_BYTES or len(files) > MAX_ATTACHMENTS:
        return None
    addressed = message.addressed or following.addressed
    return replace(message, text=text, files=files, addressed=addressed)


def _goes_on(part: Incoming) -> bool:
    return not part.files and _is_long(part.text)


def _is_long(text: str) -> bool:
    return _count_units(text) >= LONG_UNITS


def _count_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class Intake:
    """Hands an account's updates to the core."""

    def __init__(self, context: AccountContext, client: TelegramClient, inbox: Inbox) -> None:
        self._context = context
        self._client = client
        self._inbox = inbox
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def take(self, updates: Sequence[Update], me: Me) -> None:
        """Returns when all of them are accepted, or nothing for Sigil. Raises `StoreError`,
        `SendFailed` and `AccountRefused`; some may have been accepted then, which does no harm."""
        incoming: list[Incoming] = []
        for update in updates:
            found = read_update(update, me)
            if isinstance(found, Moved):
                await self._inbox.move_chat(found.chat, found.to)
            elif found is not None:
                incoming.append(found)
        by_chat = groupby(sorted(join(incoming), key=_get_chat), key=_get_chat)
        work = [self._take_chat(list(messages)) for _, messages in by_chat]
        for result in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _take_chat(self, messages: Sequence[Incoming]) -> None:
        async with self._slots:
            for message in messages:
                await self._take_one(message)

    async def _take_one(self, incoming: Incoming) -> None:
        attachments = [await self._keep(file) for file in incoming.files]
        context = self._context
        try:
            message = incoming.make_message(context.channel_type, context.account, attachments)
            await self._inbox.receive(message)
        except MessageInvalid as error:
            log.warning("telegram message not taken", chat=incoming.chat, reason=error.message)
        if incoming.query is not None:
            await self._acknowledge(incoming.query)

    async def _acknowledge(self, query: str) -> None:
        """The app shows that a press is being worked on until it hears of it, for seconds."""
        try:
            await self._client.call("answerCallbackQuery", {"callback_query_id": query})
        except ChannelError as error:  # the press counts all the same
            log.info("telegram press not acknowledged", reason=error.message)

    async def _keep(self, file: RemoteFile) -> Attachment:
        """Keeps a file; what stands for it if it is refused, and then the answer says why."""
        try:
            return await self._fetch(file)
        except MediaRefused as error:
            return make_refused(
                error, kind=file.kind, name=file.name, mime_type=file.mime_type, size=file.size
            )

    async def _fetch(self, file: RemoteFile) -> Attachment:
        """Keeps a file. Raises `MediaRefused` if it is too large, or does not come in spite of
        several tries."""
        for pause in (*_PAUSES_S, None):
            try:
                return await self._inbox.keep_file(
                    self._load(file),
                    kind=file.kind,
                    name=file.name,
                    mime_type=file.mime_type,
                    size=file.size,
                )
            except AccountRefused:
                raise
            except (SendFailed, _NotLoaded) as error:
                if pause is None:
                    log.warning("telegram file not loaded", reason=error.message)
                    break
                asked = error.retry_after if isinstance(error, SendFailed) else None
                await asyncio.sleep(min(max(pause, asked or 0.0), _LONGEST_PAUSE_S))
        raise MediaRefused(f"The file {file.name} could not be loaded. Please send it again.")

    async def _load(self, file: RemoteFile) -> AsyncIterator[bytes]:
        if file.size is not None and file.size > LARGEST_FILE:
            raise MediaRefused(_too_large(file))
        try:
            found = await self._client.call("getFile", {"file_id": file.id})
        except MediaRefused as error:
            if "too big" in error.message:
                raise MediaRefused(_too_large(file)) from None
            raise _NotLoaded(error.message) from None
        except SendRefused as error:
            raise _NotLoaded(error.message) from None
        path = found.get("file_path") if isinstance(found, dict) else None
        if not isinstance(path, str):
            raise SendFailed("Telegram named no path for a file.")
        async with self._client.open_file(path) as pieces:
            async for piece in pieces:
                yield piece


class _NotLoaded(MediaRefused):
    """Telegram does not give the file out now."""


def _too_large(file: RemoteFile) -> str:
    most = LARGEST_FILE // (1024 * 1024)
    return f"The file {file.name} is too large: Telegram gives bots at most {most} MB."


def _get_chat(incoming: Incoming) -> str:
    return incoming.chat
