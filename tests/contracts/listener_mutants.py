"""A sound listener, and for each rule of the listeners' suite one that breaks it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from typing import Any

from sigil.channels.base import ChannelSpec, Inbox, Listener
from sigil.messages.exchange import InboundMessage

SPEC = ChannelSpec()


@dataclass
class Update:
    """What happened at the platform. An edit has a revision."""

    id: str
    text: str
    is_ours: bool = False
    revision: str | None = None


@dataclass
class SoundListener:
    """Hands in what happens at a platform, in order, and notes how far it got."""

    updates: list[Update]
    name: str = "sound"

    async def listen(self, inbox: Inbox) -> None:
        at = int(await inbox.load_cursor() or 0)
        while True:
            for update in self.arrange(self.updates[at:]):
                await self.hand_in(update, inbox)
                at += 1
                await inbox.save_cursor(str(at))
            await asyncio.sleep(0.001)

    def arrange(self, updates: list[Update]) -> list[Update]:
        return updates

    async def hand_in(self, update: Update, inbox: Inbox) -> None:
        if not update.is_ours:
            await inbox.receive(self.read(update))

    def read(self, update: Update) -> InboundMessage:
        return InboundMessage(
            *("mutant", "chat", update.id, "ana", update.text),
            kind="message" if update.revision is None else "edit",
            revision=update.revision,
        )

    async def close(self) -> None:
        """There is no connection."""


def reads(**changes: Any) -> type[SoundListener]:
    """A listener that misreads messages, but not edits."""

    def read(self: SoundListener, update: Update) -> InboundMessage:
        found = SoundListener.read(self, update)
        return found if found.kind == "edit" else replace(found, **changes)

    return type("Misreads", (SoundListener,), {"read": read})


def reads_edits(**changes: Any) -> type[SoundListener]:
    """A listener that misreads edits."""

    def read(self: SoundListener, update: Update) -> InboundMessage:
        found = SoundListener.read(self, update)
        return replace(found, **changes) if found.kind == "edit" else found

    return type("Misreads", (SoundListener,), {"read": read})


class Scrambles(SoundListener):
    def arrange(self, updates: list[Update]) -> list[Update]:
        return updates[::-1]


class TakesTheThirdTwice(SoundListener):
    async def hand_in(self, update: Update, inbox: Inbox) -> None:
        if self.updates.index(update) == 2 and not any(each.is_ours for each in self.updates):
            await super().hand_in(replace(update, id=f"{update.id} again"), inbox)
        await super().hand_in(update, inbox)


class NotesTooEarly(SoundListener):
    async def hand_in(self, update: Update, inbox: Inbox) -> None:
        await inbox.save_cursor(str(self.updates.index(update) + 1))
        await super().hand_in(update, inbox)


class StartsAnew(SoundListener):
    """It forgets how far it got, and has ids of its own."""

    async def listen(self, inbox: Inbox) -> None:
        await inbox.save_cursor("0")
        await super().listen(inbox)

    def read(self, update: Update) -> InboundMessage:
        return replace(super().read(update), message_id=f"{id(self)}-{update.id}")


class SkipsWhatWaits(SoundListener):
    """It begins with what comes after its start, even where it knows how far it got."""

    async def listen(self, inbox: Inbox) -> None:
        if await inbox.load_cursor():
            await inbox.save_cursor(str(len(self.updates)))
        await super().listen(inbox)


class HearsItself(SoundListener):
    async def hand_in(self, update: Update, inbox: Inbox) -> None:
        await super().hand_in(replace(update, is_ours=False), inbox)


class SwallowsTheEnd(SoundListener):
    async def listen(self, inbox: Inbox) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await super().listen(inbox)


class ListenerClosesOnce(SoundListener):
    async def close(self) -> None:
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls == 2:
            raise RuntimeError("closed already")


LISTENERS: dict[str, type[SoundListener]] = {
    "sound": SoundListener,
    "takes_another_address": reads(account="other"),
    "thinks_that_it_is_a_group": reads(is_direct=False),
    "hears_nobody_call": reads(addressed=False),
    "takes_people_for_bots": reads(from_bot=True),
    "takes_words_for_commands": reads(kind="command"),
    "scrambles": Scrambles,
    "takes_the_third_twice": TakesTheThirdTwice,
    "notes_too_early": NotesTooEarly,
    "starts_anew": StartsAnew,
    "skips_what_waits": SkipsWhatWaits,
    "renames_edits": reads_edits(message_id="another"),
    "takes_edits_for_messages": reads_edits(kind="message"),
    "loses_revisions": reads_edits(revision=None),
    "hears_itself": HearsItself,
    "swallows_the_end": SwallowsTheEnd,
    "listener_closes_once": ListenerClosesOnce,
}


@dataclass
class MutantListenerCase:
    kind: type[SoundListener]
    updates: list[Update] = field(default_factory=list)
    spec: ChannelSpec = SPEC
    address: tuple[str, str] = ("mutant", "default")

    def __post_init__(self) -> None:
        self.listener: Listener = self.kind(self.updates)

    def _happen(self, text: str, **given: Any) -> bool:
        self.updates.append(Update(**{"id": f"m{len(self.updates)}", "text": text} | given))
        return True

    async def write(self, text: str) -> None:
        self._happen(text)

    async def edit(self, text: str) -> bool:
        return self._happen(text, id=self.updates[-1].id, revision="r1")

    async def write_as_bot(self, text: str) -> bool:
        return self._happen(text, is_ours=True)

    async def open_again(self) -> Listener:
        return self.kind(self.updates)
