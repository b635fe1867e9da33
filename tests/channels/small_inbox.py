"""An inbox that keeps what a listener hands in, and refuses repeats as the gateway does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from sigil.channels.base import Acceptance, CommandName, MediaKind, Report
from sigil.errors import MediaRefused, SigilError
from sigil.messages.exchange import Attachment, InboundMessage


class SmallInbox:
    """`failing` is raised by `receive`, until it is taken away."""

    def __init__(self, *, cursor: str | None = None, largest: int = 1_000_000) -> None:
        self.commands: Sequence[CommandName] = ()
        self.messages: list[InboundMessage] = []
        self.reports: list[tuple[str, Report]] = []
        self.files: list[bytes] = []
        self.duplicates = 0
        self.cursor = cursor
        self.failing: SigilError | None = None
        self._largest = largest
        self._seen: dict[tuple[str, str], str] = {}

    async def receive(self, message: InboundMessage) -> Acceptance:
        if self.failing is not None:
            raise self.failing
        key = (message.channel_id, message.message_id)
        if key in self._seen:
            self.duplicates += 1
            return Acceptance(self._seen[key], duplicate=True)
        self._seen[key] = f"in-{len(self._seen)}"
        self.messages.append(message)
        return Acceptance(self._seen[key], duplicate=False)

    async def report(self, key: str, report: Report) -> None:
        self.reports.append((key, report))

    async def keep_file(
        self,
        data: AsyncIterator[bytes],
        *,
        kind: MediaKind,
        name: str,
        mime_type: str,
        size: int | None = None,
    ) -> Attachment:
        content = b"".join([piece async for piece in data])
        if len(content) > self._largest:
            raise MediaRefused(f"it is larger than {self._largest} bytes.")
        self.files.append(content)
        return Attachment(f"blob:{len(self.files)}", name, mime_type, len(content), kind)

    async def is_admitted(self, sender_id: str) -> bool:
        return True

    async def load_cursor(self) -> str | None:
        return self.cursor

    async def save_cursor(self, cursor: str) -> None:
        self.cursor = cursor

    def note_activity(self) -> None:
        pass
