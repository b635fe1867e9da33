"""Files on their way out: which method takes them, and several pictures as an album."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sigil.channels.telegram.client import Upload
from sigil.errors import MediaRefused

if TYPE_CHECKING:
    from sigil.channels.base import AccountContext
    from sigil.messages.exchange import Attachment

LARGEST, LARGEST_PHOTO = 50 * 1024 * 1024, 10 * 1024 * 1024
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
    """One call that sends a file, or an album. `names` are those of its files."""

    method: str
    given: Mapping[str, Any]
    files: Mapping[str, Upload] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    def as_document(self) -> Parcel | None:
        """The same as a plain file; None if it is one, or several."""
        if self.method in ("sendDocument", "sendMediaGroup", "sendMessage"):
            return None
        (name,) = self.given or self.files
        value = self.given.get(name, "attach://file")
        files = {"file": each for each in self.files.values()}
        return Parcel("sendDocument", {"document": value}, files, self.names)

    def describe(self) -> str:
        """What a person reads in the place of a file that could not be sent."""
        links = [value for value in self.given.values() if str(value).startswith("http")]
        return "\n".join(links) or f"({', '.join(self.names)}: this file could not be sent here.)"
