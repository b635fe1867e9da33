"""Makes the content of the events that are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigil.channels.base import Chunk, Place, Rendered

if TYPE_CHECKING:
    from sigil.messages.exchange import Attachment

Content = dict[str, Any]

_FALLBACK_CHARS = 200
_MSGTYPES = {"image": "m.image", "audio": "m.audio", "video": "m.video", "voice": "m.audio"}


def make_text(rendered: Rendered) -> Content:
    """A text, plain and as HTML.

    It is an `m.text`, although bots may send `m.notice`: by the default push rules nobody hears of
    a notice, and an answer is waited for. An empty `m.mentions` says that nobody is called, even
    where the text holds a name or `@room`.
    """
    content: Content = {"msgtype": "m.text", "body": rendered.text, "m.mentions": {}}
    html = rendered.extras.get("formatted_body")
    if html:
        content |= {"format": "org.matrix.custom.html", "formatted_body": html}
    return content


def make_relation(chunk: Chunk) -> Content:
    """Where a chunk belongs: a thread, or the message that it replies to. Only the first chunk of
    a reply says what it replies to."""
    message = chunk.message
    reply_to = message.reply_to if chunk.index == 0 else None
    return _relate(message.thread_id, reply_to)


def make_place_relation(place: Place) -> Content:
    """The same for a draft."""
    return _relate(place.thread_id, None)


def _relate(thread_id: str | None, reply_to: str | None) -> Content:
    if thread_id is not None:
        # Clients that know no threads show it as a reply.
        return {
            "m.relates_to": {
                "rel_type": "m.thread",
                "event_id": thread_id,
                "is_falling_back": True,
                "m.in_reply_to": {"event_id": reply_to or thread_id},
            }
        }
    if reply_to is not None:
        return {"m.relates_to": {"m.in_reply_to": {"event_id": reply_to}}}
    return {}


def make_edit(content: Content, event_id: str) -> Content:
    """The event that replaces another one. The text for clients that know no edits is short: an
    event has little room, and would hold the whole text twice."""
    body = content["body"]
    short = body if len(body) <= _FALLBACK_CHARS else f"{body[:_FALLBACK_CHARS]}…"
    return {
        "msgtype": content["msgtype"],
        "body": f"* {short}",
        "m.mentions": {},
        "m.new_content": content,
        "m.relates_to": {"rel_type": "m.replace", "event_id": event_id},
    }


def make_file(attachment: Attachment, address: str, size: int) -> Content:
    """A file that was uploaded to an `mxc://` address."""
    content: Content = {
        "msgtype": _MSGTYPES.get(attachment.kind, "m.file"),
        "body": attachment.name,
        "filename": attachment.name,
        "url": address,
        "info": {"mimetype": attachment.mime_type, "size": size},
        "m.mentions": {},
    }
    if attachment.kind == "voice":
        content["org.matrix.msc3245.voice"] = {}
    return content
