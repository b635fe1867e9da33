"""How a bot gets its updates: by asking (getUpdates) or by being called (a webhook)."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tests.peers.telegram.limits import (
    BATCH_BYTES,
    POLL_S,
    SECRET,
    bad,
    conflict,
    too_many,
)

ONLY_IF_ASKED = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
HOOK_PORTS = frozenset({443, 80, 88, 8443})
OTHER_POLLER = (
    "terminated by other getUpdates request; make sure that only one bot instance is running"
)
HOOK_ACTIVE = (
    "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook "
    "first"
)


@dataclass
class Timing:
    """Telegram's own times in seconds; tests shorten them. `local` is the mode of a server of
    one's own, which calls webhooks over HTTP on any port."""

    conflict_hold: float = 3.0
    again: float = 3.0
    hook_first_delay: float = 1.0
    hook_longest_delay: float = 60.0
    hook_timeout: float = 60.0
    hook_set_pause: float = 1.0
    gone_after: float = 23 * 3600.0
    keep: float = 24 * 3600.0
    local: bool = True


@dataclass
class Hook:
    url: str = ""
    secret: str = ""
    max_connections: int = 40
    set_at: float = 0.0
    gone_since: float | None = None
    last_error: tuple[int, str] | None = None


@dataclass
class Updates:
    """The updates that were not confirmed yet, oldest first."""

    timing: Timing = field(default_factory=Timing)
    pending: dict[int, dict[str, Any]] = field(default_factory=dict)
    allowed: list[str] = field(default_factory=list)
    hook: Hook = field(default_factory=Hook)
    polls: int = 0  # how often it was asked
    hook_calls: list[tuple[int, int]] = field(default_factory=list)  # (update id, status)
    at_once: dict[str, int] = field(default_factory=dict)  # calls that are out, per chat
    _next_id: int = 9001
    _born: dict[int, float] = field(default_factory=dict)
    _poll: int = 0
    _last: tuple[int | None, float] = (None, 0.0)
    _bell: asyncio.Event = field(default_factory=asyncio.Event)
    _calling: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(40))

    def push(self, kind: str, content: dict[str, Any]) -> int | None:
        """Keeps an update if the bot wants its kind; returns its id."""
        if kind not in self.allowed if self.allowed else kind in ONLY_IF_ASKED:
            return None
        number, self._next_id = self._next_id, self._next_id + 1
        self.pending[number] = {"update_id": number, kind: content}
        self._born[number] = time.monotonic()
        self._ring()
        self._call_hook()
        return number

    def put(self, update: dict[str, Any]) -> None:
        """Keeps a whole update as it is, its id too."""
        self.pending[update["update_id"]] = update
        self._born[update["update_id"]] = time.monotonic()
        self._next_id = max(self._next_id, update["update_id"] + 1)
        self._ring()
        self._call_hook()

    # ------------------------------------------------------------ asking

    async def poll(
        self, offset: int, limit: int, timeout: float, allowed: list[str] | None
    ) -> list[dict[str, Any]]:
        """One getUpdates. Raises the conflicts. It ends an older call that still waits."""
        self.polls += 1
        if self.hook.url:
            raise conflict(HOOK_ACTIVE)
        self._poll += 1
        mine, now = self._poll, time.monotonic()
        self._ring()
        if allowed is not None:
            self.allowed = allowed
        timeout, limit = self._slow_down(offset, min(timeout, POLL_S), limit, now)
        self._last = (offset, now)
        if offset:
            self._confirm(offset)
        until = now + timeout
        while True:
            bell = self._bell
            if self._poll != mine:
                await asyncio.sleep(self.timing.conflict_hold)
                raise conflict(
                    "terminated by setWebhook request" if self.hook.url else OTHER_POLLER
                )
            found = self._batch(offset, limit)
            if found or time.monotonic() >= until:
                return found
            with suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), until - time.monotonic())

    def _slow_down(self, offset: int, timeout: float, limit: int, now: float) -> tuple[float, int]:
        """Who asks for the same again and again is slowed."""
        last, at = self._last
        if offset == last and now < at + self.timing.again:
            timeout = max(timeout, self.timing.again)
            limit = 1 if now < at + 0.5 else limit
        return timeout, limit

    def _confirm(self, offset: int) -> None:
        for number in [number for number in self.pending if offset > 0 and number < offset]:
            self._drop(number)

    def _batch(self, offset: int, limit: int) -> list[dict[str, Any]]:
        self._drop_old()
        numbers = sorted(self.pending)
        if offset < 0:
            numbers = numbers[offset:]
        found, size = [], 0
        for number in numbers[:limit]:
            size += len(json.dumps(self.pending[number]))
            if found and size > BATCH_BYTES:
                break
            found.append(self.pending[number])
        return found

    # ------------------------------------------------------------ being called

    def set_hook(self, url: str, secret: str, most: int, allowed: list[str] | None) -> None:
        parts = urlsplit(url)
        if time.monotonic() < self.hook.set_at + self.timing.hook_set_pause:
            raise too_many(1)
        if url and not self.timing.local:
            if parts.scheme != "https":
                raise bad("bad webhook: An HTTPS URL must be provided for webhook")
            if (parts.port or 443) not in HOOK_PORTS:
                raise bad("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
        if secret and not SECRET.fullmatch(secret):
            raise bad("secret token contains unallowed characters")
        if not 1 <= most <= 100:
            raise bad("max_connections must be from 1 to 100")
        if allowed is not None:
            self.allowed = allowed
        self.hook = Hook(url, secret, most, set_at=time.monotonic())
        self._slots = asyncio.Semaphore(most)
        self._poll += 1
        self._ring()
        self._call_hook()

    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "url": self.hook.url,
            "has_custom_certificate": False,
            "pending_update_count": len(self.pending),
            "max_connections": self.hook.max_connections,
        }
        if self.allowed:
            found["allowed_updates"] = self.allowed
        if self.hook.last_error is not None:
            at, text = self.hook.last_error
            found |= {"last_error_date": at, "last_error_message": text}
        return found

    def _call_hook(self) -> None:
        if not self.hook.url:
            return
        for update in self.pending.values():
            chat = _chat_of(update)
            if chat not in self._calling or self._calling[chat].done():
                self._calling[chat] = asyncio.create_task(self._call_for(chat))

    async def _call_for(self, chat: str) -> None:
        """Hands over a chat's updates in order, one at a time."""
        delay = self.timing.hook_first_delay
        async with aiohttp.ClientSession() as session:
            while self.hook.url and (update := self._head(chat)) is not None:
                async with self._slots:
                    self.at_once[chat] = self.at_once.get(chat, 0) + 1
                    status, wait = await self._call(session, update)
                    self.at_once[chat] -= 1
                self.hook_calls.append((update["update_id"], status))
                if 200 <= status < 300:
                    self._drop(update["update_id"])
                    self.hook.gone_since, delay = None, self.timing.hook_first_delay
                    continue
                self._note_gone(status)
                await asyncio.sleep(delay if wait is None else min(wait, 3600.0))
                delay = min(2 * delay, self.timing.hook_longest_delay)

    async def _call(
        self, session: aiohttp.ClientSession, update: dict[str, Any]
    ) -> tuple[int, float | None]:
        headers = {"X-Telegram-Bot-Api-Secret-Token": self.hook.secret} if self.hook.secret else {}
        try:
            async with session.post(
                self.hook.url,
                json=update,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=self.timing.hook_timeout),
            ) as response:
                wait = response.headers.get("Retry-After")
                if response.status >= 300:
                    text = f"Wrong response from the webhook: {response.status} {response.reason}"
                    self.hook.last_error = (int(time.time()), text)
                return response.status, None if wait is None else float(wait)
        except TimeoutError:
            self.hook.last_error = (int(time.time()), "Read timeout expired")
        except aiohttp.ClientError:
            self.hook.last_error = (int(time.time()), "Connection refused")
        return 0, None

    def _note_gone(self, status: int) -> None:
        now = time.monotonic()
        if status != 410:
            self.hook.gone_since = None
        elif self.hook.gone_since is None:
            self.hook.gone_since = now
        elif now > self.hook.gone_since + self.timing.gone_after:
            self.hook = Hook()

    def _head(self, chat: str) -> dict[str, Any] | None:
        self._drop_old()
        return next((each for each in self.pending.values() if _chat_of(each) == chat), None)

    def _drop_old(self) -> None:
        oldest = time.monotonic() - self.timing.keep
        for number in [number for number, born in self._born.items() if born < oldest]:
            self._drop(number)

    def _drop(self, number: int) -> None:
        self.pending.pop(number, None)
        self._born.pop(number, None)

    def _ring(self) -> None:
        self._bell.set()
        self._bell = asyncio.Event()

    async def close(self) -> None:
        for task in self._calling.values():
            task.cancel()
        await asyncio.gather(*self._calling.values(), return_exceptions=True)


def _chat_of(update: dict[str, Any]) -> str:
    content: Any = next(value for key, value in update.items() if key != "update_id")
    chat = content.get("chat") or content.get("message", {}).get("chat") or content.get("from", {})
    return str(chat.get("id", ""))
