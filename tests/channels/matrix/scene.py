"""A bot and Alice on a real homeserver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sigil.channels.matrix.listener import MatrixListener
from sigil.channels.matrix.settings import MatrixSettings
from sigil.messages.exchange import OutboundMessage
from tests.channels.inbox import WaitingInbox
from tests.channels.matrix.accounts import CONTEXT, run_listener
from tests.peers.synapse.server import Person, Synapse


@dataclass
class Scene:
    """A bot that listens, and Alice, in a room of their own."""

    synapse: Synapse
    bot: Person
    alice: Person
    inbox: WaitingInbox = field(default_factory=WaitingInbox)
    room: str = ""

    def settings(self, **given: Any) -> MatrixSettings:
        values = {"access_token": self.bot.token, **given}
        return MatrixSettings(
            homeserver=self.synapse.address,
            user_id=self.bot.user_id,
            **{name: value for name, value in values.items() if value is not None},
        )

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[WaitingInbox]:
        async with run_listener(MatrixListener(CONTEXT, self.settings()), self.inbox) as inbox:
            await inbox.wait_for_cursor()
            yield inbox

    async def meet(self) -> None:
        """Alice invites the bot, and it comes."""
        self.room = self.alice.create_room(self.bot.user_id, is_direct=True)
        await self.wait_until(lambda: self.bot.user_id in self.alice.members(self.room))

    async def wait_until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not is_so():
                await asyncio.sleep(0.05)

    def reply(self, text: str, **more: Any) -> OutboundMessage:
        return OutboundMessage(channel_type="matrix", channel_id=self.room, content=text, **more)

    def texts(self) -> list[str]:
        """What Alice sees, edits applied."""
        shown: dict[str, str] = {}
        for event in self.alice.read(self.room):
            content = event["content"]
            if event["type"] != "m.room.message" or event["sender"] != self.bot.user_id:
                continue
            relation = content.get("m.relates_to", {})
            if relation.get("rel_type") == "m.replace":
                shown[relation["event_id"]] = content["m.new_content"]["body"]
            else:
                shown[event["event_id"]] = content["body"]
        return list(shown.values())
