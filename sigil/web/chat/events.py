"""From entries of a live chat's log to server-sent events."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from sse_starlette import ServerSentEvent

from sigil.web.responses import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigil.channels.live import ChatEventRecord
    from sigil.web.chat.html_cache import HtmlCache

_ENTRY_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


def read_position(header: str | None, query: str | None) -> str:
    """Where a reader left off: its `Last-Event-ID`, else `?after=`, else the beginning.
    Refuses with 400."""
    position = header or query or "0-0"
    if not _ENTRY_ID.fullmatch(position):
        raise RequestRefused(
            400, "http.bad_event_id", "Last-Event-ID and ?after= must be the id of an event."
        )
    return position


def drop_superseded(records: Sequence[ChatEventRecord]) -> list[ChatEventRecord]:
    """Leaves out each draft that is followed by a newer draft, or the reply, of its turn."""
    remaining: list[ChatEventRecord] = []
    newer: set[str | None] = set()
    for record in reversed(records):
        event = record.data
        if event["type"] == "draft" and event["turn"] in newer:
            continue
        if event["type"] == "draft" or event["type"] == "reply":
            newer.add(event["turn"])
        remaining.append(record)
    return remaining[::-1]


async def render_event(record: ChatEventRecord, html: HtmlCache | None) -> ServerSentEvent:
    """The log's event with its time (`at`, milliseconds since the epoch). With `html`, replies
    and drafts carry their text as HTML; a draft then has only that, to save bandwidth."""
    event = record.data
    data: dict[str, Any] = {**event, "at": int(record.id.partition("-")[0])}
    del data["type"]
    if html is not None and (event["type"] == "draft" or event["type"] == "reply"):
        data["html"] = await html.render(event["text"])
        if event["type"] == "draft":
            del data["text"]
    payload = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return ServerSentEvent(payload, event=event["type"], id=record.id)
