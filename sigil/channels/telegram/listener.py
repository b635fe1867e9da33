"""Hears a bot: by asking Telegram for updates, or by being called.

An update is confirmed, by the next offset or by the answer to the call, only after all that came
with it was accepted. Telegram keeps updates for 24 hours
(https://core.telegram.org/bots/api#getting-updates).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import ValidationError

from sigil.channels.base import Check, HookRequest, HookResponse
from sigil.channels.telegram.checks import check_account, find_hook_url
from sigil.channels.telegram.client import TelegramClient
from sigil.channels.telegram.intake import Intake, is_open, read_updates
from sigil.channels.telegram.message_parts import Me
from sigil.channels.telegram.payloads import ALLOWED_UPDATES, User
from sigil.errors import AccountRefused, SendFailed, SendRefused
from sigil.http.signatures import is_same_secret

if TYPE_CHECKING:
    from sigil.channels.base import AccountContext, Inbox
    from sigil.channels.telegram.settings import TelegramSettings

log = structlog.get_logger(__name__)

POLL_S = 30.0
"""How long Telegram holds a call that has nothing to tell; it allows 50 s."""
MARGIN_S = 10.0
BATCH = 100
REST_S = 0.8
"""How long we wait for the rest of an album or of a long text; their parts come at once."""
LOOK_EVERY = 5
"""After so many empty answers in a row we ask whether something waits that we are not given."""
HOOK_HEADER = "x-telegram-bot-api-secret-token"
_MOST_CONNECTIONS = 40
_MOST_RESTS = 4


class TelegramListener:
    """Listens to one bot. A poll that brings nothing is answered too, so a connection that stays
    silent is broken."""

    silence = 2 * (POLL_S + MARGIN_S)

    def __init__(self, context: AccountContext, settings: TelegramSettings) -> None:
        self.name = context.name
        self._context = context
        self._settings = settings
        self._client = TelegramClient(context.name, settings)
        self._me: Me | None = None

    async def listen(self, inbox: Inbox) -> None:
        """See `sigil.channels.base.Listener`."""
        me = self._me = await self._ask_who(inbox)
        inbox.note_activity()
        await self._show_commands(inbox)
        if self._settings.mode == "webhook":
            await self._register_hook()
            return
        await self._end_hook()
        await self._poll(inbox, me)

    async def receive_hook(self, request: HookRequest, inbox: Inbox) -> HookResponse:
        """See `sigil.channels.base.ReceivesHooks`. Telegram signs nothing; it repeats the secret
        that the hook was registered with."""
        given, secret = request.headers.get(HOOK_HEADER), self._settings.find_secret(self.name)
        has_token = self._settings.token is not None or self._settings.secret is not None
        if not is_same_secret(given, secret) or not has_token:
            return HookResponse(401)
        if self._settings.mode != "webhook":
            return HookResponse(404)
        try:
            update = json.loads(request.body)
        except (ValueError, RecursionError):
            return HookResponse(400)
        try:
            me = self._me = self._me or await self._ask_who(inbox)
            await Intake(self._context, self._client, inbox).take(read_updates([update]), me)
        except SendFailed as error:
            log.warning("telegram update put off", channel=self.name, reason=error.message)
            return HookResponse(503, headers={"Retry-After": "5"})
        return HookResponse(200)

    async def check(self) -> Sequence[Check]:
        """See `sigil.channels.base.ChecksAccount`."""
        return await check_account(self._client, self._context, self._settings)

    async def close(self) -> None:
        """See `sigil.channels.base.Listener`."""
        await self._client.close()

    # ------------------------------------------------------------ the beginning

    async def _ask_who(self, inbox: Inbox) -> Me:
        try:
            user = User.model_validate(await self._client.call("getMe"))
        except ValidationError:
            raise SendFailed("Telegram answered getMe with something that is no bot.") from None
        commands = frozenset(command.name for command in inbox.commands)
        return Me(user.id, user.username or "", commands)

    async def _show_commands(self, inbox: Inbox) -> None:
        """Puts Sigil's commands into the menu of the app."""
        listed = [
            {"command": command.name, "description": command.help[:256]}
            for command in inbox.commands[:100]
        ]
        try:
            await self._client.call("setMyCommands", {"commands": listed})
        except (SendRefused, SendFailed) as error:
            if isinstance(error, AccountRefused):
                raise
            log.warning("telegram menu not set", channel=self.name, reason=error.message)

    async def _register_hook(self) -> None:
        url = find_hook_url(self._context, self._settings)
        if url is None:
            raise AccountRefused(
                "mode is webhook, and there is no address that Telegram could call.",
                hint=f"Set gateway.public_url or channels.{self.name}.public_url.",
            )
        given = {
            "url": url,
            "secret_token": self._settings.find_secret(self.name),
            "allowed_updates": ALLOWED_UPDATES,
            "max_connections": _MOST_CONNECTIONS,
        }
        try:
            await self._client.call("setWebhook", given)
        except SendRefused as error:
            raise AccountRefused(
                error.message,
                hint=f"Correct gateway.public_url or channels.{self.name}.public_url.",
            ) from None
        log.info("telegram calls the hook", channel=self.name)

    async def _end_hook(self) -> None:
        """Telegram answers no poll while it calls a hook. What waits there comes by the poll."""
        info = await self._client.call("getWebhookInfo")
        if isinstance(info, dict) and info.get("url"):
            log.warning("telegram webhook removed, since mode is polling", channel=self.name)
            await self._client.call("deleteWebhook", {"drop_pending_updates": False})

    # ------------------------------------------------------------ polling

    async def _poll(self, inbox: Inbox, me: Me) -> None:
        intake = Intake(self._context, self._client, inbox)
        offset, end = _read_cursor(await inbox.load_cursor())
        empty = 0
        while True:
            given = await self._get_updates(offset, POLL_S)
            inbox.note_activity()
            if not given:
                empty += 1
                if empty % LOOK_EVERY == 0 and await self._is_deaf(offset):
                    offset = end = 0
                continue
            empty = 0
            begun = [each for each in given if each["update_id"] < end]
            given = begun or await self._wait_for_rest(offset, given)
            updates = read_updates(given)
            end = max(each["update_id"] for each in given) + 1
            if is_open(updates):
                # Should this process die now, what came later must not be joined to what was
                # accepted: it would be taken for the same message.
                await inbox.save_cursor(f"{offset}-{end}")
            await intake.take(updates, me)
            offset = end
            await inbox.save_cursor(str(offset))

    async def _get_updates(self, offset: int, seconds: float) -> list[Any]:
        asked = {
            "offset": offset,
            "limit": BATCH,
            "timeout": int(seconds),
            "allowed_updates": ALLOWED_UPDATES,
        }
        found = await self._client.call("getUpdates", asked, silence=seconds + MARGIN_S)
        if not isinstance(found, list) or not all(map(_has_id, found)):
            raise SendFailed("Telegram answered getUpdates with something that is no updates.")
        return found

    async def _wait_for_rest(self, offset: int, given: list[Any]) -> list[Any]:
        """Asks again, confirming nothing, until an album or a long text has all its parts."""
        for _ in range(_MOST_RESTS):
            if len(given) >= BATCH or not is_open(read_updates(given)):
                break
            await asyncio.sleep(REST_S)
            more = await self._get_updates(offset, 0)
            if len(more) <= len(given):
                break
            given = more
        return given[: _find_cut(given)] if len(given) >= BATCH else given

    async def _is_deaf(self, offset: int) -> bool:
        """Whether updates wait that polls do not bring. Ids of updates begin anew after a quiet
        week, so an old offset may be above them; and a connection may be alive and useless."""
        info = await self._client.call("getWebhookInfo")
        waiting = info.get("pending_update_count") if isinstance(info, dict) else 0
        if not waiting or await self._get_updates(offset, 0):
            return False
        log.warning("telegram polls bring nothing although updates wait", channel=self.name)
        await self._client.close()
        return True


def _read_cursor(cursor: str | None) -> tuple[int, int]:
    """The first update to ask for, and the first one after those that were begun together."""
    first, _, end = (cursor or "").partition("-")
    if not first.isdecimal():
        return 0, 0
    return int(first), int(end) if end.isdecimal() else 0


def _has_id(update: Any) -> bool:
    return isinstance(update, dict) and type(update.get("update_id")) is int


def _find_cut(given: Sequence[Any]) -> int:
    """Where a full batch is to end, so that no album is cut in two."""
    messages = [each.get("message") for each in given]
    groups = [
        message.get("media_group_id") if isinstance(message, dict) else None for message in messages
    ]
    last = groups[-1]
    if last is None or groups.count(last) == len(groups):
        return len(given)
    return groups.index(last) or len(given)
