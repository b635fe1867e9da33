"""A channel with every optional face, and one that its sender lacks."""

from __future__ import annotations

from typing import Any

from sigil.channels.base import ChannelSpec, Chunk, Place, Rendered
from sigil.channels.memory import MemoryChannel
from sigil.errors import ChannelError


class FakeSender(MemoryChannel):
    """Keeps what was sent, edited, looked up and shown. `refused` says no to edits."""

    def __init__(self, spec: ChannelSpec | None = None) -> None:
        super().__init__("memory", spec=spec)
        self.edits: list[tuple[str, str]] = []
        self.drafts: list[tuple[str, str, str | None]] = []
        self.typing: list[Place] = []
        self.refuses_edits: ChannelError | None = None

    @property
    def texts(self) -> list[str]:
        return [chunk.text for chunk in self.chunks]

    async def edit(self, chunk: Chunk, platform_id: str) -> None:
        if self.refuses_edits is not None:
            raise self.refuses_edits
        self.edits.append((platform_id, chunk.text))

    async def show_draft(
        self, place: Place, draft_id: str, text: Rendered, shown: str | None
    ) -> str | None:
        self.drafts.append((draft_id, text.text, shown))
        return shown or f"draft-{len(self.drafts)}"

    async def show_typing(self, place: Place) -> None:
        self.typing.append(place)


class SearchableSender(FakeSender):
    """Its platform can be asked whether a chunk was sent. `lookup_fails` is raised once each."""

    def __init__(self, spec: ChannelSpec | None = None) -> None:
        super().__init__(spec)
        self.looked_up: list[str] = []
        self.lookup_fails: list[ChannelError] = []

    async def look_up(self, chunk: Chunk) -> str | None:
        self.looked_up.append(chunk.id)
        if self.lookup_fails:
            raise self.lookup_fails.pop(0)
        found = [n for n, sent in enumerate(self.chunks, 1) if sent.id == chunk.id]
        return str(found[0]) if found else None


def fake(t: Any) -> FakeSender:
    """The sender of a talk that was made with one."""
    assert isinstance(t.channel, FakeSender)
    return t.channel
