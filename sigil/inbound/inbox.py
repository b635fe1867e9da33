"""What a listener gets for its account: the core's side of the seam."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sigil.blobs.base import name_owner
from sigil.channels.base import CommandName
from sigil.commands.table import COMMANDS
from sigil.errors import LeaseLost, MessageInvalid
from sigil.identity.pairing import admit
from sigil.inbound.media import MediaKeeper
from sigil.messages.exchange import MAX_ID_BYTES, InboundMessage
from sigil.outbound.moves import leads_back, note_move

if TYPE_CHECKING:
    from sigil.channels.base import Acceptance, Report
    from sigil.channels.router import Entry
    from sigil.gateway import Gateway

MOST_CURSOR_BYTES = 16 * 1024


class AccountInbox:
    """The `Inbox` of one account in this process. `token` is that of the account's lease while
    this process holds it; hooks are handed in also without."""

    def __init__(self, entry: Entry, gateway: Gateway) -> None:
        self.name = entry.name
        self.commands: Sequence[CommandName] = [
            CommandName(each.name, each.help) for each in COMMANDS.values()
        ]
        owner = name_owner(entry.channel_type, entry.account)
        self.keep_file = MediaKeeper(gateway.stores.blobs, entry.spec.media, owner).keep_file
        self.token: str | None = None
        self.active_at: float | None = None  # by the monotonic clock
        self._entry = entry
        self._gateway = gateway
        self._leases = gateway.stores.accounts

    async def receive(self, message: InboundMessage) -> Acceptance:
        accepted = await self._gateway.receive(message)
        self.note_activity()
        return accepted

    async def report(self, key: str, report: Report) -> None:
        await self._gateway.report(self.name, key, report)

    async def move_chat(self, channel_id: str, new_id: str) -> None:
        store = self._gateway.stores.directory
        directory = await self._gateway.directory.read((await store.load()).version)
        if not leads_back(directory, self.name, channel_id, new_id):
            await note_move(store, directory, self.name, channel_id, new_id)

    async def is_admitted(self, sender_id: str) -> bool:
        entry, stores = self._entry, self._gateway.stores
        try:
            # As if they had written. Nothing is stored.
            message = InboundMessage(
                channel_type=entry.channel_type,
                account=entry.account,
                channel_id=sender_id,
                message_id=sender_id,
                sender_id=sender_id,
                content=sender_id,
            )
        except MessageInvalid:  # servers let people choose nearly any id
            return False
        door = self._gateway.directory.current.door(entry.name, entry.spec)
        return (await admit(message, door, stores.users, stores.pairings)).admitted

    async def load_cursor(self) -> str | None:
        return await self._leases.load_cursor(self.name)

    async def save_cursor(self, cursor: str) -> None:
        if len(cursor.encode()) > MOST_CURSOR_BYTES:
            raise MessageInvalid(f"a cursor has more than {MOST_CURSOR_BYTES} bytes.")
        await self._leases.save_cursor(self.name, self._get_token(), cursor)
        self.note_activity()

    async def load_last_messages(self) -> Mapping[str, str]:
        return await self._leases.load_last_messages(self.name)

    async def save_last_message(self, channel_id: str, message_id: str) -> None:
        if max(len(channel_id.encode()), len(message_id.encode())) > MAX_ID_BYTES:
            raise MessageInvalid(f"an id has more than {MAX_ID_BYTES} bytes.")
        await self._leases.save_last_message(self.name, self._get_token(), channel_id, message_id)

    def note_activity(self) -> None:
        self.active_at = time.monotonic()

    def _get_token(self) -> str:
        if self.token is None:
            raise LeaseLost(f"this process does not listen for the channel {self.name}.")
        return self.token
