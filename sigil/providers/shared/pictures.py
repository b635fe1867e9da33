"""Pictures and documents that are in the address itself."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import unquote_to_bytes

from sigil.messages.conversation import Document, Image


def read_data_url(image: Image | Document) -> tuple[str, str] | None:
    """The media type and the base64 of a picture or document in a `data:` URL (RFC 2397); None if
    it is at another address."""
    if image.url[:5].lower() != "data:":
        return None
    head, _, data = image.url[5:].partition(",")
    media_type, *parameters = head.split(";")
    if "base64" not in [parameter.strip().lower() for parameter in parameters]:
        data = b64encode(unquote_to_bytes(data)).decode()
    return media_type.strip().lower() or image.mime_type, data
