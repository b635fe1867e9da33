"""Files that a program names by their address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from sigil.blobs.base import make_refused
from sigil.errors import MediaRefused

if TYPE_CHECKING:
    from sigil.channels.base import Inbox, MediaKind
    from sigil.channels.webhook.payloads import LinkedFile
    from sigil.messages.exchange import Attachment


async def keep_files(
    files: Sequence[LinkedFile], fetch: Callable[[str], AsyncIterator[bytes]], inbox: Inbox
) -> list[Attachment]:
    """Fetches the files and keeps them. What is refused stands in the place of its file."""
    return [await _keep(file, fetch, inbox) for file in files]


async def _keep(
    file: LinkedFile, fetch: Callable[[str], AsyncIterator[bytes]], inbox: Inbox
) -> Attachment:
    kind, name, mime_type = choose_kind(file.mime_type), file.name, file.mime_type
    try:
        data = fetch(file.url)
        return await inbox.keep_file(data, kind=kind, name=name, mime_type=mime_type)
    except MediaRefused as error:
        return make_refused(error, kind=kind, name=name, mime_type=mime_type)


def choose_kind(mime_type: str) -> MediaKind:
    """The kind of media that a MIME type stands for."""
    kinds: dict[str, MediaKind] = {"image": "image", "audio": "audio", "video": "video"}
    return kinds.get(mime_type.partition("/")[0].lower(), "file")
