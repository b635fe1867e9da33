"""Files on their way out: which method takes them, and several pictures as an album."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sigil.blobs.base import SCHEME, name_owner
from sigil.channels.telegram.client import Upload
from sigil.errors import BlobGone

if TYPE_CHECKING:
    from sigil.channels.base import AccountContext
    from sigil.messages.exchange import Attachment

LARGEST_PHOTO = 10 * 1024 * 1024
MOST_IN_ALBUM = 10
_VOICE_TYPES = frozenset({"audio/ogg", "audio/opus", "audio/mpeg", "audio/mp4", "audio/x-m4a"})
_METHODS = {
    "photo": "sendPhoto",
    "video": "sendVideo",
    "voice": "sendVoice",
    "audio": "sendAudio",
    "document": "sendDocument",
}


@dataclass(frozen=True, slots=True)
class Parcel:
    """One call that sends a file, or an album. `given` are its parameters, `files` its uploads, and
    `names` those of its files. Without a method there is nothing to send: the file is gone."""

    method: str
    given: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Upload] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    def as_document(self) -> Parcel | None:
        """The same as a plain file; None if it is one, or several."""
        if self.method in ("", "sendDocument", "sendMediaGroup"):
            return None
        if self.files:
            (upload,) = self.files.values()
            return Parcel("sendDocument", {}, {"document": upload}, self.names)
        (address,) = self.given.values()
        return Parcel("sendDocument", {"document": address}, {}, self.names)

    def describe(self) -> str:
        """What a person reads in the place of a file that could not be sent."""
        links = [value for value in self.given.values() if isinstance(value, str)]
        return "\n".join(links) or f"(I could not send this here: {', '.join(self.names)}.)"


async def load_parcels(context: AccountContext, media: Sequence[Attachment]) -> list[Parcel]:
    """The calls that send these files, in their order. Neighbouring pictures and videos become an
    album. Raises `StoreError`."""
    found: list[Parcel] = []
    album: list[Parcel] = []
    for attachment in media:
        parcel = await _load(context, attachment)
        if parcel.method in ("sendPhoto", "sendVideo") and len(album) < MOST_IN_ALBUM:
            album.append(parcel)
            continue
        found += [*_make_album(album), parcel]
        album = []
    return found + _make_album(album)


def _make_album(parts: Sequence[Parcel]) -> list[Parcel]:
    if len(parts) < 2:
        return list(parts)
    media: list[dict[str, Any]] = []
    files: dict[str, Upload] = {}
    for number, part in enumerate(parts):
        kind = "photo" if part.method == "sendPhoto" else "video"
        where = part.given.get(kind)
        if where is None:
            where, files[f"f{number}"] = f"attach://f{number}", part.files[kind]
        media.append({"type": kind, "media": where})
    names = tuple(name for part in parts for name in part.names)
    return [Parcel("sendMediaGroup", {"media": media}, files, names)]


async def _load(context: AccountContext, attachment: Attachment) -> Parcel:
    """One file. Telegram fetches what has an address by itself."""
    names = (attachment.name,)
    if not attachment.url.startswith(SCHEME):
        kind = _find_kind(attachment, attachment.size or 0)
        return Parcel(_METHODS[kind], {kind: attachment.url}, names=names)
    try:
        data = await _read_blob(context, attachment)
    except BlobGone:
        return Parcel("", names=names)
    kind = _find_kind(attachment, len(data))
    upload = Upload(attachment.name, attachment.mime_type, data)
    return Parcel(_METHODS[kind], {}, {kind: upload}, names)


async def _read_blob(context: AccountContext, attachment: Attachment) -> bytes:
    blobs = context.stores.blobs
    owner = name_owner(context.channel_type, context.account)
    blob = await blobs.get(attachment.url.removeprefix(SCHEME), owner=owner)
    return b"".join([piece async for piece in blobs.read(blob)])


def _find_kind(attachment: Attachment, size: int) -> str:
    match attachment.kind:
        case "image" if size <= LARGEST_PHOTO:
            return "photo"
        case "voice" if attachment.mime_type in _VOICE_TYPES:
            return "voice"
        case "audio" | "voice":
            return "audio"
        case "video":
            return "video"
        case _:
            return "document"
