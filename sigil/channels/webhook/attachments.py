"""Files that a program names by their address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Literal

from sigil.errors import MediaRefused

if TYPE_CHECKING:
    from sigil.channels.base import Inbox, MediaKind
    from sigil.channels.webhook.payloads import LinkedFile
    from sigil.messages.exchange import Attachment

_KINDS: dict[str, Literal["image", "audio", "video"]] = {
    "image": "image",
    "audio": "audio",
    "video": "video",
}


async def keep_files(
    files: Sequence[LinkedFile], fetch: Callable[[str], AsyncIterator[bytes]], inbox: Inbox
) -> tuple[list[Attachment], list[str]]:
    """Fetches the files and keeps them. Returns what was kept, and a line for the message about
    each file that was not."""
    kept: list[Attachment] = []
    notes: list[str] = []
    for file in files:
        try:
            kept.append(
                await inbox.keep_file(
                    fetch(file.url),
                    kind=choose_kind(file.mime_type),
                    name=file.name,
                    mime_type=file.mime_type,
                )
            )
        except MediaRefused as error:
            notes.append(f"[The file {file.name} was not taken: {error.message}]")
    return kept, notes


def choose_kind(mime_type: str) -> MediaKind:
    """The kind of media that a MIME type stands for."""
    return _KINDS.get(mime_type.partition("/")[0].lower(), "file")


def fetch_refused(url: str) -> AsyncIterator[bytes]:
    """Fetches nothing, where there is nothing to fetch with."""
    raise MediaRefused("files cannot be fetched from addresses here.")
