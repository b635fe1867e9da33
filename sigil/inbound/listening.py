"""Listens for one account: one gateway process at a time does so, until it ends or dies.

    wait for the lease ─▶ listen ─┬─ fails ─────────────▶ rest, longer each time ─▶ listen …
            ▲                     ├─ account refused ───▶ rest for minutes
            │                     ├─ silent for too long ▶ listen again
            │                     └─ returns ───────────▶ only hooks come from now on
            └── the lease is lost (the listener is stopped first), or another process had it

Each account has a task of its own, so the trouble of one touches no other. The lease is renewed
beside the listener, also while it rests: what is wrong with an account is wrong in every process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import secrets
import socket
import time
from typing import TYPE_CHECKING

import structlog

from sigil.channels.account_leases import AccountRecord
from sigil.errors import AccountRefused, SendFailed, SigilError, StoreError
from sigil.waiting import end

if TYPE_CHECKING:
    from sigil.channels.account_leases import AccountLeases, State
    from sigil.channels.base import Listener
    from sigil.inbound.inbox import AccountInbox

log = structlog.get_logger(__name__)

# An account whose process died is taken over after LEASE_S and one look at most, which is within
# 15 s. A process that ended gave the lease up, and the next look finds that.
LEASE_S, RENEW_EVERY_S, LOOK_EVERY_S = 10.0, 3.0, 1.0
# The listener is stopped so long before somebody else can have the lease.
MARGIN_S = 2.0
GIVE_UP_WITHIN_S = 1.0

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
# Nothing changes until somebody has mended the account.
REFUSED_PAUSE_S = 300.0
STORE_PAUSE_S = 2.0
# A platform that asks for more is tried after this all the same.
LONGEST_ASKED_S = 3600.0
# A listener that has run for so long works.
PROVEN_AFTER_S = 60.0


class Listening:
    """The chore of a gateway process for one account."""

    def __init__(self, listener: Listener, inbox: AccountInbox, leases: AccountLeases) -> None:
        self._listener = listener
        self._inbox = inbox
        self._leases = leases
        self._account = inbox.name
        self._silence: float | None = getattr(listener, "silence", None)
        self._place = f"{socket.gethostname()}:{os.getpid()}"
        self._state: State = "listening"
        self._changed_at = time.monotonic()
        self._rests_until = 0.0
        self._error: str | None = None
        self._failed_at = 0.0
        self._changed = asyncio.Event()
        self._is_store_away = False

    async def keep(self) -> None:
        """Listens whenever this process has the lease, until cancelled."""
        while True:
            # The same until it has held: a lease whose grant got lost on its way is granted again.
            token = secrets.token_hex(16)
            try:
                asked_at = time.monotonic()
                while not await self._hold(token, takes=True):
                    await asyncio.sleep(_vary(LOOK_EVERY_S))
                    asked_at = time.monotonic()
                await self._listen_under(token, asked_at)
            finally:
                await self._give_up(token)

    # ------------------------------------------------------------ the lease

    async def _listen_under(self, token: str, asked_at: float) -> None:
        self._inbox.token = token
        self._error = None
        log.info("listens for the channel", channel=self._account)
        work = asyncio.create_task(self._keep_listening())
        work.add_done_callback(lambda _: self._changed.set())  # it ends by a bug only
        try:
            await self._keep_lease(token, asked_at, work)
        finally:
            await end([work])
            self._inbox.token = None
        if not work.cancelled():
            work.result()

    async def _keep_lease(self, token: str, asked_at: float, work: asyncio.Task[None]) -> None:
        """Renews the lease until it is lost, or may be lost as far as this process knows."""
        safe_until = asked_at + LEASE_S - MARGIN_S
        while not work.done():
            left = safe_until - time.monotonic()
            if left <= 0:
                log.warning("the store does not answer, stops listening", channel=self._account)
                return
            self._changed.clear()
            pause = 1.0 if self._is_store_away else RENEW_EVERY_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(pause, left)):
                    await self._changed.wait()
            asked_at = time.monotonic()
            try:
                async with asyncio.timeout(max(0.0, safe_until - asked_at)):
                    is_held = await self._hold(token, takes=False)
            except TimeoutError:
                continue
            if is_held:
                safe_until = asked_at + LEASE_S - MARGIN_S
            elif not self._is_store_away:
                log.warning("another process listens for the channel", channel=self._account)
                return

    async def _give_up(self, token: str) -> None:
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(GIVE_UP_WITHIN_S):
                await self._leases.give_up(self._account, token)

    async def _hold(self, token: str, *, takes: bool) -> bool:
        """Whether the lease is held; false if the store does not answer."""
        try:
            held = await self._leases.hold(self._describe(), token, ttl=LEASE_S, takes=takes)
        except StoreError as error:
            if not self._is_store_away:  # once per outage
                log.warning("lease not asked for", channel=self._account, reason=error.code)
            self._is_store_away = True
            return False
        self._is_store_away = False
        return held

    def _describe(self) -> AccountRecord:
        now, active_at = time.monotonic(), self._inbox.active_at
        if self._error is not None and self._state == "listening":
            is_active = active_at is not None and active_at > self._failed_at
            if is_active or now - self._changed_at > PROVEN_AFTER_S:
                self._note_success()
        return AccountRecord(
            self._account,
            self._place,
            # Until it has shown that it works, it is only tried again.
            "resting" if self._state == "listening" and self._error else self._state,
            since=now - self._changed_at,
            silence=None if active_at is None else now - active_at,
            error=self._error,
            rests=max(0.0, self._rests_until - now),
        )

    # ------------------------------------------------------------ the listener

    async def _keep_listening(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            started = time.monotonic()
            self._change("listening")
            try:
                await self._listen()
            except Exception as raised:  # noqa: BLE001  # a channel's library may raise anything
                error = _unwrap(raised)
                if time.monotonic() - started > LONGEST_PAUSE_S:
                    pause = FIRST_PAUSE_S
                await self._rest(error, pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
            else:
                self._note_success()
                self._change("hooks")
                await asyncio.Event().wait()

    async def _listen(self) -> None:
        """Runs the listener. Raises what it raises, and `SigilError` for one that is silent."""
        inbox, silence = self._inbox, self._silence
        opened_at = time.monotonic()
        listening = asyncio.create_task(_call(self._listener, inbox))
        try:
            while not listening.done():
                left = None
                if silence is not None:
                    left = max(inbox.active_at or 0.0, opened_at) + silence - time.monotonic()
                    if left <= 0:
                        raise SigilError(f"the connection was silent for {silence:g} s.")
                await asyncio.wait([listening], timeout=left)
        finally:
            await end([listening])
        if listening.cancelled():
            raise SigilError("the listener was cancelled from inside.")
        listening.result()

    async def _rest(self, error: Exception, pause: float) -> None:
        is_first = self._error is None
        state: State = "resting"
        asked = 0.0
        if isinstance(error, AccountRefused):
            pause, state = REFUSED_PAUSE_S, "refused"
        elif isinstance(error, StoreError):
            pause = min(pause, STORE_PAUSE_S)
        elif isinstance(error, SendFailed):
            asked = min(error.retry_after or 0.0, LONGEST_ASKED_S)
        pause = max(_vary(pause), asked)
        self._failed_at = time.monotonic()
        self._rests_until = self._failed_at + pause
        self._error = _describe_error(error)
        self._change(state)
        self._log_failure(error, pause, is_first=is_first)
        await asyncio.sleep(pause)
        self._rests_until = 0.0

    def _log_failure(self, error: Exception, pause: float, *, is_first: bool) -> None:
        """Loud at the beginning of an episode, quiet from then on."""
        level = logging.INFO
        if is_first:
            level = logging.ERROR if self._state == "refused" else logging.WARNING
        log.log(
            level,
            "the channel does not listen",
            channel=self._account,
            reason=self._error,
            again_in=round(pause, 1),
            exc_info=error if is_first and not isinstance(error, SigilError) else None,
        )

    def _note_success(self) -> None:
        if self._error is not None:
            log.info("the channel works again", channel=self._account)
            self._error = None

    def _change(self, state: State) -> None:
        self._state, self._changed_at = state, time.monotonic()
        self._changed.set()


async def _call(listener: Listener, inbox: AccountInbox) -> None:
    try:
        await listener.listen(inbox)
    except (SystemExit, BaseExceptionGroup) as error:
        if isinstance(error, Exception):
            raise
        # A plug-in's exit would end the process.
        raise RuntimeError("the listener wanted to end the process") from error


def _unwrap(error: Exception) -> Exception:
    """What a listener's group of tasks raised: that the account is refused, if that is in it."""
    while isinstance(error, ExceptionGroup):
        inner = error.exceptions
        error = next((each for each in inner if isinstance(each, AccountRefused)), inner[0])
    return error


def _describe_error(error: Exception) -> str:
    """In plain words. The text of a library's error may hold a token, so only its class is told."""
    if isinstance(error, SigilError):
        return str(error).removesuffix(".")
    return f"{type(error).__name__}; the log of the gateway says more"


def _vary(seconds: float) -> float:
    """A quarter more or less, so that many accounts or processes do not come at once."""
    return seconds * (0.75 + random.random() / 2)  # noqa: S311  # no secret
