"""By what a platform's later word finds the chunk that it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.lanes.effects import ReportKey
from sigil.messages.exchange import MAX_ID_BYTES

if TYPE_CHECKING:
    from sigil.channels.base import ChannelSpec, Chunk


def make_report_keys(
    account: str, spec: ChannelSpec, item_id: str, chunk: Chunk, platform_id: str | None
) -> list[ReportKey]:
    """The effects that belong into the commit of the chunk's receipt: the chunk is found by the
    platform's id of it, and by its own id, which some platforms give back. None where the platform
    never reports. `account` is the configured entry."""
    if not spec.reports:
        return []
    keys = {chunk.id, platform_id or chunk.id}
    return [
        ReportKey(account, key, item_id, chunk.index)
        for key in sorted(keys)
        if len(key.encode()) <= MAX_ID_BYTES
    ]
