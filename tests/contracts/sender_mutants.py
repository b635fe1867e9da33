"""A sound sender, and for each rule of the senders' suite one that breaks it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import ClassVar

from sigil.channels.base import ChannelSpec, Chunk
from sigil.errors import AccountRefused, ChannelError, MarkupRefused, SendFailed, SendRefused
from tests.channels.cases import RETRY_AFTER_S, Fault

SECRET = "hide-me"
SPEC = ChannelSpec(markup="plain", idempotent_send=True)


class SoundSender:
    """Keeps what is sent, once for each chunk, and fails as it is told to."""

    name = "sound"
    errors: ClassVar[dict[Fault, ChannelError]] = {
        Fault.BUSY: SendFailed("busy", retry_after=RETRY_AFTER_S),
        Fault.AWAY: SendFailed("away"),
        Fault.CUT: SendFailed("cut", outcome_unknown=True),
        Fault.BROKEN: SendFailed("broken", outcome_unknown=True),
        Fault.GONE: SendRefused("gone", closes_chat=True),
        Fault.LOCKED: AccountRefused("locked", hint="Mend it."),
        Fault.MARKUP: MarkupRefused("markup"),
    }
    taken = frozenset({Fault.CUT, Fault.BROKEN})  # the chunk arrives all the same

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.ids: dict[str, str] = {}  # by chunk
        self.fault: Fault | None = None
        self.closed = False

    async def send(self, chunk: Chunk) -> str | None:
        await self.wait()
        fault, self.fault = self.fault, None
        if fault is None or fault in self.taken:
            self.keep(chunk)
        if fault is not None:
            raise self.errors[fault]
        return self.ids[chunk.id]

    async def wait(self) -> None:
        await asyncio.sleep(0.001)

    def keep(self, chunk: Chunk) -> None:
        if chunk.id not in self.ids:
            self.shown.append(chunk.text)
            self.ids[chunk.id] = str(len(self.shown))

    async def edit(self, chunk: Chunk, platform_id: str) -> None:
        self.shown[int(platform_id) - 1] = chunk.text

    async def look_up(self, chunk: Chunk) -> str | None:
        return self.ids.get(chunk.id)

    async def close(self) -> None:
        self.closed = True


def fails(fault: Fault, error: ChannelError) -> type[SoundSender]:
    """A sender that fails otherwise than it should."""
    return type("Fails", (SoundSender,), {"errors": SoundSender.errors | {fault: error}})


def shows(*faults: Fault) -> type[SoundSender]:
    """A sender on which these faults let the chunk arrive."""
    return type("Shows", (SoundSender,), {"taken": frozenset(faults)})


class Nameless(SoundSender):
    name = ""


class KeepsItsSecretInTheOpen(SoundSender):
    def __init__(self) -> None:
        super().__init__()
        self.token = SECRET


class Reorders(SoundSender):
    def keep(self, chunk: Chunk) -> None:
        super().keep(chunk)
        if len(self.shown) == 3:
            self.shown[1:] = reversed(self.shown[1:])


class OneId(SoundSender):
    def keep(self, chunk: Chunk) -> None:
        super().keep(chunk)
        self.ids[chunk.id] = str(min(2, int(self.ids[chunk.id])))


class Repeats(SoundSender):
    """It knows a chunk again only if its fate was unknown."""

    def keep(self, chunk: Chunk) -> None:
        self.ids.pop(chunk.id, None)
        super().keep(chunk)

    async def send(self, chunk: Chunk) -> str | None:
        if chunk.id in self.ids and self.is_unknown:
            return self.ids[chunk.id]
        self.is_unknown = self.fault is not None
        return await super().send(chunk)


class RepeatsTheUnknown(SoundSender):
    """It forgets a chunk whose fate was unknown."""

    async def send(self, chunk: Chunk) -> str | None:
        try:
            return await super().send(chunk)
        except ChannelError:
            self.ids.clear()
            raise


class RenamesRepeats(SoundSender):
    async def send(self, chunk: Chunk) -> str | None:
        is_known, sent = chunk.id in self.ids, await super().send(chunk)
        return "again" if is_known else sent


class RefusesLongTexts(SoundSender):
    def keep(self, chunk: Chunk) -> None:
        if len(chunk.text) > 1000:
            raise SendRefused("too long")
        super().keep(chunk)


class EditsByAppending(SoundSender):
    async def edit(self, chunk: Chunk, platform_id: str) -> None:
        self.shown.append(chunk.text)


class RefusesSameEdits(SoundSender):
    async def edit(self, chunk: Chunk, platform_id: str) -> None:
        if self.shown[int(platform_id) - 1] == chunk.text:
            raise SendRefused("message is not modified")
        await super().edit(chunk, platform_id)


class FindsNothing(SoundSender):
    async def look_up(self, chunk: Chunk) -> str | None:
        return None


class FindsEverything(SoundSender):
    async def look_up(self, chunk: Chunk) -> str | None:
        return "1"


class SwallowsCancellation(SoundSender):
    async def wait(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await super().wait()


class ClosesOnce(SoundSender):
    async def close(self) -> None:
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls == 2:
            raise RuntimeError("closed already")


class TellsTheCause(SoundSender):
    """The cause of an error holds the secret."""

    async def send(self, chunk: Chunk) -> str | None:
        fault = self.fault
        try:
            return await super().send(chunk)
        except ChannelError as error:
            if fault is not Fault.LOCKED:
                raise
            raise AccountRefused("locked", hint="Mend it.") from OSError(f"{SECRET}: {error}")


SENDERS: dict[str, type[SoundSender]] = {
    "sound": SoundSender,
    "nameless": Nameless,
    "shows_its_secret": KeepsItsSecretInTheOpen,
    "reorders": Reorders,
    "gives_one_id_twice": OneId,
    "repeats": Repeats,
    "renames_repeats": RenamesRepeats,
    "forgets_the_pause": fails(Fault.BUSY, SendFailed("busy")),
    "thinks_that_busy_is_unknown": fails(
        Fault.BUSY, SendFailed("busy", retry_after=RETRY_AFTER_S, outcome_unknown=True)
    ),
    "sends_while_busy": shows(*SoundSender.taken, Fault.BUSY),
    "thinks_that_away_is_unknown": fails(Fault.AWAY, SendFailed("away", outcome_unknown=True)),
    "thinks_that_cut_is_known": fails(Fault.CUT, SendFailed("cut")),
    "thinks_that_broken_is_known": fails(Fault.BROKEN, SendFailed("broken")),
    "repeats_the_unknown": RepeatsTheUnknown,
    "keeps_the_chat_open": fails(Fault.GONE, SendRefused("gone")),
    "tries_again_when_gone": fails(Fault.GONE, SendFailed("gone")),
    "gives_no_hint": fails(Fault.LOCKED, AccountRefused("locked")),
    "blames_the_message": fails(Fault.LOCKED, SendRefused("locked")),
    "tells_its_secret": TellsTheCause,
    "gives_markup_up": fails(Fault.MARKUP, SendRefused("markup")),
    "refuses_long_texts": RefusesLongTexts,
    "edits_by_appending": EditsByAppending,
    "refuses_same_edits": RefusesSameEdits,
    "finds_nothing": FindsNothing,
    "finds_everything": FindsEverything,
    "swallows_cancellation": SwallowsCancellation,
    "closes_once": ClosesOnce,
}


@dataclass
class MutantSenderCase:
    sender: SoundSender
    spec: ChannelSpec = SPEC
    address: tuple[str, str] = ("mutant", "default")
    chat: str = "chat"
    secret: str | None = SECRET

    async def list_shown(self) -> list[str]:
        return self.sender.shown

    async def break_next(self, fault: Fault) -> None:
        self.sender.fault = fault
