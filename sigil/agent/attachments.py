"""What a model is given of the files that people attach.

    history    AttachedFile(url="blob:ID")      a reference; no bytes are kept
    request    a picture      ─▶ Image          for models that see
               a PDF          ─▶ Document       for models whose vendor takes them
               a text         ─▶ its lines, each marked as data, below the message's words
               anything else  ─▶ a note         also for what is gone, or too much for one call

The newest files win what one request may carry. About the files of what is asked now the person is
told, too, whatever the model makes of its note.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sigil.agent import file_notes
from sigil.blobs.base import REFUSED, clean_name, find_id, name_owner
from sigil.blobs.types import HEAD, PDF, find_type
from sigil.errors import BlobGone, MediaRefused
from sigil.messages.conversation import AttachedFile, Document, Image

if TYPE_CHECKING:
    from sigil.agent.reply import Reply
    from sigil.blobs.base import BlobStore
    from sigil.http.fetch import Fetcher
    from sigil.messages.conversation import Message
    from sigil.messages.exchange import InboundMessage
    from sigil.providers.base import ChatRequest, Provider

MB = 1024 * 1024
MOST_BYTES = 14 * MB
"""Of pictures and documents in one request. Base64 makes them a third longer, and Google takes
20 MB in all (https://ai.google.dev/gemini-api/docs/files)."""
MOST_FILES = 20
LARGEST_PICTURE = 15 * MB // 4
"""Anthropic takes 5 MB of base64 (https://platform.claude.com/docs/en/build-with-claude/vision)."""
LARGEST_TEXT = 32 * 1024
MOST_TEXT = 64 * 1024

_SEEN = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_HEARD = {"voice", "audio", "video"}


@dataclass(slots=True)
class Attached:
    """A request with its files in it. `notes` are for the person. `answers_nothing`: there is
    nothing to ask a model, since all that was sent are files that no model is given."""

    request: ChatRequest
    notes: list[str] = field(default_factory=list)
    answers_nothing: bool = False

    async def note_blindness(self, models: Provider, reply: Reply) -> None:
        """Notes what of the question the model that answered could not see."""
        asked = self.request.messages[-1]
        if not (asked.images or asked.documents) or reply.error or not reply.attempts:
            return
        infos = {info.id: info for info in await models.list_models()}
        info = infos.get(reply.attempts[-1].model)
        if info is not None and asked.images and not info.vision:
            self.notes.append(file_notes.BLIND)
        if info is not None and asked.documents and not info.documents:
            self.notes.append(file_notes.UNREAD)


def list_files(messages: Sequence[InboundMessage]) -> tuple[AttachedFile, ...]:
    """The attached files of a turn's messages, as the history keeps them."""
    return tuple(
        AttachedFile(
            each.url,
            name_owner(message.channel_type, message.account),
            clean_name(each.name),
            each.mime_type,
            each.kind,
        )
        for message in messages
        for each in message.attachments
    )


class FileGiver:
    """Puts the bytes of attached files into requests."""

    def __init__(self, blobs: BlobStore, fetcher: Fetcher) -> None:
        self._blobs = blobs
        self._fetcher = fetcher

    async def keep_links(self, question: Message) -> Message:
        """The question with files that are kept in the place of those at an address. A vendor is
        never given an address: it might fetch for people what only Sigil can reach."""
        if not question.files:
            return question
        files = await asyncio.gather(*map(self._keep_link, question.files))
        return replace(question, files=tuple(files))

    async def attach(
        self, request: ChatRequest, asked: Sequence[InboundMessage], boundary: str
    ) -> Attached:
        """Reads the files of all messages, those of the newest first, which answers what is
        `asked`. Lines about them begin with `boundary`. Raises `StoreError`."""
        if not any(message.files for message in request.messages):
            return Attached(request)
        basket, messages = _Basket(boundary), list(request.messages)
        last = len(messages) - 1
        for at in range(last, -1, -1):
            if messages[at].files:
                messages[at] = await self._fill(messages[at], basket, is_asked=at == last)
        given = bool(messages[last].images or messages[last].documents or basket.has_text)
        has_subject = given or any(map(_says_something, asked))
        return Attached(
            replace(request, messages=tuple(messages)),
            list(dict.fromkeys(basket.notes)),
            answers_nothing=bool(basket.notes) and not has_subject,
        )

    async def _keep_link(self, file: AttachedFile) -> AttachedFile:
        if not file.url.startswith(("https://", "http://")):
            return file
        data = self._fetcher.fetch(file.url, most=min(MOST_BYTES, self._blobs.largest))
        try:
            blob = await self._blobs.put(
                data, name=file.name, mime_type=file.mime_type, owner=file.owner
            )
        except MediaRefused as error:
            return replace(file, url=REFUSED + file_notes.describe_unfetched(file.name, error))
        return replace(file, url=blob.url)

    async def _fill(self, message: Message, basket: _Basket, *, is_asked: bool) -> Message:
        images: list[Image] = []
        documents: list[Document] = []
        lines = [message.content]
        for file in message.files:
            try:
                found, data = await self._read(file, basket)
            except MediaRefused as error:
                lines.append(
                    file_notes.tell_model(
                        basket.boundary, file.name, error.message, is_new=is_asked
                    )
                )
                if is_asked:
                    basket.notes.append(error.message)
                continue
            if isinstance(data, str):
                lines.append(data)
                basket.has_text = basket.has_text or is_asked
            elif found == PDF:
                documents.append(Document(await _encode(found, data), file.name))
            else:
                images.append(Image(await _encode(found, data), found))
        return replace(
            message,
            content="\n".join(lines),
            images=tuple(images),
            documents=tuple(documents),
            files=(),
        )

    async def _read(self, file: AttachedFile, basket: _Basket) -> tuple[str, bytes | str]:
        """The type of a file, and its bytes; if it is a text, what the model reads. Raises
        `MediaRefused` with what the person is told if no model is given it."""
        if file.url.startswith(REFUSED):
            raise MediaRefused(file.url.removeprefix(REFUSED))
        if file.kind in _HEARD:
            raise MediaRefused(file_notes.UNHEARD[file.kind])
        try:
            blob = await self._blobs.get(find_id(file.url) or "", owner=file.owner)
            if blob.size > MOST_BYTES:
                raise MediaRefused(file_notes.describe_size(file.name, blob.size, MOST_BYTES))
            basket.check_count(file.name)
            data = b"".join([piece async for piece in self._blobs.read(blob)])
        except BlobGone:
            raise MediaRefused(file_notes.describe_gone(file.name)) from None
        found = find_type(data[:HEAD], file.mime_type)
        if found in _SEEN:
            if len(data) > LARGEST_PICTURE:
                raise MediaRefused(file_notes.describe_size(file.name, len(data), LARGEST_PICTURE))
            return found, basket.add(file.name, data)
        if found == PDF:
            return found, basket.add(file.name, data)
        text = file_notes.read_text(data, found, file.name)
        if text is None:
            raise MediaRefused(file_notes.describe_kind(file.name, found))
        return found, basket.add_text(file.name, text)


def _says_something(message: InboundMessage) -> bool:
    """Whether there is something to answer beside files that were sent. An address is something:
    a model may know what is there."""
    has_links = any(file.url.startswith("http") for file in message.attachments)
    return bool(message.content.strip() or message.quote or has_links)


@dataclass(slots=True)
class _Basket:
    """What one request carries so far."""

    boundary: str
    files: int = 0
    size: int = 0
    text: int = 0
    has_text: bool = False  # of what is asked
    notes: list[str] = field(default_factory=list)

    def check_count(self, name: str) -> None:
        if self.files >= MOST_FILES:
            raise MediaRefused(file_notes.describe_too_many(name))
        self.files += 1

    def add(self, name: str, data: bytes) -> bytes:
        if self.size + len(data) > MOST_BYTES:
            raise MediaRefused(file_notes.describe_too_many(name))
        self.size += len(data)
        return data

    def add_text(self, name: str, text: str) -> str:
        if self.text >= MOST_TEXT:
            raise MediaRefused(file_notes.describe_too_many(name))
        cut = text[: min(LARGEST_TEXT, MOST_TEXT - self.text)]
        self.text += len(cut)
        return file_notes.quote_text(self.boundary, name, cut, is_cut=len(cut) < len(text))


async def _encode(mime_type: str, data: bytes) -> str:
    """A `data:` URL. Several megabytes would hold up the loop."""
    text = await asyncio.to_thread(b64encode, data)
    return f"data:{mime_type};base64,{text.decode()}"
