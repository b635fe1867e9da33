"""The leases of accounts, one hash for each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from sigil.channels.account_leases import MOST_LAST_MESSAGES, AccountRecord
from sigil.errors import LeaseLost
from sigil.stores.redis.bounds import ACCOUNT_TTL, LAST_MESSAGE_TTL

if TYPE_CHECKING:
    from sigil.stores.redis.client import Client

# What is known only when it is read.
_NOT_WRITTEN = frozenset({"id", "is_held", "cursor_age", "age"})
_WRITTEN = frozenset(field.name for field in fields(AccountRecord)) - _NOT_WRITTEN
_FIELDS = TypeAdapter(dict[str, Any])
_RECORD = TypeAdapter(AccountRecord)


class RedisAccountLeases:
    """An `AccountLeases`. The server's clock says when a lease runs out."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keys = client.keys

    async def hold(self, record: AccountRecord, token: str, *, ttl: float, takes: bool) -> bool:
        said = {name: value for name, value in asdict(record).items() if name in _WRITTEN}
        args = (token, round(ttl * 1000), int(takes), ACCOUNT_TTL, json.dumps(said))
        held = await self._client.run_script("hold_account", (self._keys.account(record.id),), args)
        return bool(held)

    async def give_up(self, account: str, token: str) -> None:
        args = (token, 0, 0, ACCOUNT_TTL, "")
        await self._client.run_script("hold_account", (self._keys.account(account),), args)

    async def list(self, accounts: Sequence[str]) -> Sequence[AccountRecord]:
        names = ("record", "reported_at", "held", "lease_until", "saved_at")
        now, *found = await asyncio.gather(
            self._client.read_time(),
            *(self._client.call("HMGET", self._keys.account(each), *names) for each in accounts),
        )
        now_ms = now.timestamp() * 1000
        return [_read(id, each, now_ms) for id, each in zip(accounts, found, strict=True)]

    async def load_cursor(self, account: str) -> str | None:
        cursor = await self._client.call("HGET", self._keys.account(account), "cursor")
        return None if cursor is None else cursor.decode()

    async def save_cursor(self, account: str, token: str, cursor: str) -> None:
        keys = (self._keys.account(account),)
        if not await self._client.run_script("save_cursor", keys, (token, cursor)):
            raise _describe_loss(account)

    async def load_last_messages(self, account: str) -> Mapping[str, str]:
        found = await self._client.call("HGETALL", self._keys.last_messages(account))
        return {chat.decode(): message.decode() for chat, message in found.items()}

    async def save_last_message(
        self, account: str, token: str, channel_id: str, message_id: str
    ) -> None:
        keys = (
            self._keys.account(account),
            self._keys.last_messages(account),
            self._keys.last_chats(account),
        )
        args = (token, channel_id, message_id, MOST_LAST_MESSAGES, LAST_MESSAGE_TTL)
        if not await self._client.run_script("save_last_message", keys, args):
            raise _describe_loss(account)


def _describe_loss(account: str) -> LeaseLost:
    return LeaseLost(f"another process listens for the channel {account} by now.")


def _read(id: str, fields: Sequence[bytes | None], now_ms: float) -> AccountRecord:
    """Reads what was said of an account. A newer process may have said more."""
    said, reported_at, held, lease_until, saved_at = fields
    try:
        found = _FIELDS.validate_json(said or b"")
        known = {name: value for name, value in found.items() if name in _WRITTEN}
        record = _RECORD.validate_python(known | {"id": id})
    except ValidationError:
        record = AccountRecord(id)
    if reported_at is not None:
        record = record.after(_measure_age(reported_at, now_ms))
    return replace(
        record,
        is_held=held == b"1" and _read_ms(lease_until) > now_ms,
        cursor_age=None if saved_at is None else _measure_age(saved_at, now_ms),
    )


def _measure_age(at: bytes, now_ms: float) -> float:
    return max(0.0, now_ms - _read_ms(at)) / 1000


def _read_ms(text: bytes | None) -> int:
    """0 for a time that somebody has overwritten."""
    return int(text) if text is not None and text.isdigit() else 0
