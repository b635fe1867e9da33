"""The event logs of live chats: one capped Redis stream each (see `ChatStore`)."""

from __future__ import annotations

import asyncio
import builtins
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sigil.channels.live import ChatEventRecord, DraftUpdate, LiveEvent, draft_event
from sigil.stores.redis.bounds import CHAT_TTL, MOST_CHAT_EVENTS, MOST_CHATS
from sigil.stores.redis.client import ANSWER_WITHIN_S, Client
from sigil.stores.redis.server import make_full_error

_READ_AT_ONCE = 200
# `json.dumps` would make an encoder for each draft, which costs as much as the encoding.
_encode = json.JSONEncoder(ensure_ascii=False).encode
# fakeredis cannot wait on a stream. There, a wait is cut into polls of this length.
_POLL_S = 0.05


class RedisChats:
    """A `ChatStore`. `can_block`: the server can wait for new entries of a stream."""

    def __init__(self, client: Client, *, can_block: bool = True) -> None:
        self._client = client
        self._keys = client.keys
        self._can_block = can_block

    async def show(self, chat: str, event_id: str, data: LiveEvent) -> None:
        draft = ""
        if data["type"] == "reply" and data["turn"]:
            draft = self._keys.draft(chat, data["turn"])
        stream, shown = self._keys.chat(chat), self._keys.chat_event_ids(chat)
        entry = _encode(data)
        args = (stream, shown, event_id, entry, MOST_CHAT_EVENTS, CHAT_TTL, draft)
        await self._client.run_script("show", args=args)

    async def draft(self, drafts: Sequence[DraftUpdate]) -> builtins.list[bool]:
        args: builtins.list[Any] = [CHAT_TTL]
        for each in drafts:
            stream, draft = self._keys.chat(each.chat), self._keys.draft(each.chat, each.turn)
            args += (stream, draft, each.token, each.revision, _encode(draft_event(each)))
        return [bool(answer) for answer in await self._client.run_script("draft", args=args)]

    async def read(
        self, chat: str, after: str = "0-0", *, block: float = 0.0
    ) -> list[ChatEventRecord]:
        deadline = time.monotonic() + block
        while True:
            wait = max(0.0, deadline - time.monotonic())
            records = await self._read_now(chat, after, wait if self._can_block else 0.0)
            if records or wait <= 0:
                return records
            if not self._can_block:
                await asyncio.sleep(min(wait, _POLL_S))

    async def _read_now(self, chat: str, after: str, wait: float) -> builtins.list[ChatEventRecord]:
        redis = self._client.blocking if wait > 0 else self._client.redis
        # A dead link gives no error, so an answer that is overdue ends the wait.
        with self._client.guard():
            async with asyncio.timeout(wait + ANSWER_WITHIN_S if wait > 0 else None):
                answer = await redis.xread(
                    {self._keys.chat(chat): after},
                    count=_READ_AT_ONCE,
                    block=max(1, round(wait * 1000)) if wait > 0 else None,
                )
        return [
            ChatEventRecord(entry_id.decode(), json.loads(fields[b"data"]))
            for entry_id, fields in _unpack_entries(answer)
        ]

    async def touch(self, user_id: str, channel: str, chat_id: str, title: str) -> None:
        owner = self._keys.chat_owner(channel, chat_id)
        index = self._keys.chats(user_id, channel)
        titles = self._keys.chat_titles(user_id, channel)
        args = (user_id, chat_id, title, CHAT_TTL, MOST_CHATS)
        if await self._client.run_script("touch", (owner, index, titles), args) == b"no_room":
            raise make_full_error()

    async def list(self, user_id: str, channel: str) -> builtins.list[Mapping[str, Any]]:
        with self._client.guard():
            index = await self._client.redis.zrevrange(
                self._keys.chats(user_id, channel), 0, MOST_CHATS - 1, withscores=True
            )
            titles = await self._client.redis.hgetall(self._keys.chat_titles(user_id, channel))
        return [
            {"id": chat.decode(), "title": titles.get(chat, b"").decode(), "at": at}
            for chat, at in index
        ]

    async def owner(self, channel: str, chat_id: str) -> str | None:
        with self._client.guard():
            owner = await self._client.redis.get(self._keys.chat_owner(channel, chat_id))
        return None if owner is None else owner.decode()


def _unpack_entries(answer: Any) -> Any:
    # XREAD answers per stream. In RESP2 that is a list of pairs; in RESP3 it is a mapping, whose
    # values may be nested once more.
    if not answer:
        return []
    if isinstance(answer, dict):
        (entries,) = answer.values()
        return entries[0] if entries and isinstance(entries[0], list) else entries
    return answer[0][1]
