"""What a channel's folder gives to the contract suites.

`tests/channels/<type>/case.py` has `open_sender` and, if the channel listens, `open_listener`, and
the suites in `tests/contracts` run on each folder that has one. Both are async context managers:

    open_sender(stores: Stores) -> AsyncIterator[SenderCase]
    open_listener(stores: Stores, inbox: FakeInbox) -> AsyncIterator[ListenerCase]

A module with `open_sender` names in `FAULTS` the faults that its platform knows; its channel is not
tested for the others.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Protocol

from sigil.channels.base import (
    Acceptance,
    ChannelSpec,
    CommandName,
    Listener,
    MediaKind,
    Report,
    Sender,
)
from sigil.errors import SigilError
from sigil.messages.exchange import Attachment, InboundMessage

RETRY_AFTER_S = 7


class Fault(Enum):
    """What the platform does with the next call that sends."""

    BUSY = "refuses for now, and says when to come again: after `RETRY_AFTER_S`"
    AWAY = "cannot be reached; nothing was sent"
    CUT = "does it, then cuts the connection"
    BROKEN = "does it, then answers with a 5xx"
    GONE = "says that the bot was blocked, or that the chat is gone"
    LOCKED = "refuses the account's credentials"
    MARKUP = "does not take the markup"


class SenderCase(Protocol):
    """A sender and the platform that it talks to. `chat` exists there; `address` is what messages
    carry as type and account, and `secret` must not be seen anywhere."""

    sender: Sender
    spec: ChannelSpec
    address: tuple[str, str]
    chat: str
    secret: str | None

    async def list_shown(self) -> list[str]:
        """What the people in the chat see, in order, as plain text."""
        ...

    async def break_next(self, fault: Fault) -> None:
        """Lets the next call that sends meet a fault."""
        ...


class ListenerCase(Protocol):
    """A listener and the platform that it hears."""

    listener: Listener
    spec: ChannelSpec
    address: tuple[str, str]

    async def write(self, text: str) -> None:
        """A person writes in a direct chat."""
        ...

    async def edit(self, text: str) -> bool:
        """The person changes what they wrote last; False if the platform knows no edits."""
        ...

    async def write_as_bot(self, text: str) -> bool:
        """Sigil's own account writes in the chat, from elsewhere; False if it cannot."""
        ...

    async def open_again(self) -> Listener:
        """A new listener for the same account, as after a restart."""
        ...


@dataclass
class FakeInbox:
    """An `Inbox` that keeps what it is given. `error` is raised by the next call of `receive`."""

    received: list[InboundMessage] = field(default_factory=list)
    reports: list[tuple[str, Report]] = field(default_factory=list)
    files: list[tuple[Attachment, bytes]] = field(default_factory=list)
    cursor: str | None = None
    error: SigilError | None = None
    admitted: bool = True
    commands: Sequence[CommandName] = (CommandName("stop", "Stop."), CommandName("help", "Help."))
    activity: int = 0
    moves: list[tuple[str, str]] = field(default_factory=list)
    seen: set[tuple[str, ...]] = field(default_factory=set)
    last: dict[str, str] = field(default_factory=dict)
    duplicates: int = 0

    async def receive(self, message: InboundMessage) -> Acceptance:
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        key = (message.channel_id, message.message_id, message.kind, message.revision or "")
        duplicate = key in self.seen
        self.seen.add(key)
        if duplicate:
            self.duplicates += 1
        else:
            self.received.append(message)
        return Acceptance("/".join(key), duplicate)

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
        kept = Attachment(f"blob:{len(self.files)}", name, mime_type, len(content), kind)
        self.files.append((kept, content))
        return kept

    async def move_chat(self, channel_id: str, new_id: str) -> None:
        self.moves.append((channel_id, new_id))

    async def is_admitted(self, sender_id: str) -> bool:
        return self.admitted

    async def load_cursor(self) -> str | None:
        return self.cursor

    async def save_cursor(self, cursor: str) -> None:
        self.cursor = cursor

    async def load_last_messages(self) -> Mapping[str, str]:
        return self.last

    async def save_last_message(self, channel_id: str, message_id: str) -> None:
        self.last[channel_id] = message_id

    def note_activity(self) -> None:
        self.activity += 1


def find_cases(name: str) -> dict[str, ModuleType]:
    """The cases that have a function of this name: those of the folders, by the channel's type, and
    the modules that CHANNEL_CASES names."""
    here = Path(__file__).parent
    modules = {
        file.parent.name: import_module(f"tests.channels.{file.parent.name}.case")
        for file in sorted(here.glob("*/case.py"))
    }
    for plug_in in os.environ.get("CHANNEL_CASES", "").split():
        modules[plug_in] = import_module(plug_in)
    return {kind: module for kind, module in modules.items() if hasattr(module, name)}
