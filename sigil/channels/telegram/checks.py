"""What `sigil channel test` asks Telegram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sigil.channels.base import Check
from sigil.errors import ChannelError, SendFailed

if TYPE_CHECKING:
    from sigil.channels.base import AccountContext
    from sigil.channels.telegram.client import TelegramClient
    from sigil.channels.telegram.settings import TelegramSettings


async def check_account(
    client: TelegramClient, context: AccountContext, settings: TelegramSettings
) -> list[Check]:
    """The token, the privacy mode, and the way by which updates come."""
    name = context.name
    try:
        me = await client.call("getMe")
        info = await client.call("getWebhookInfo")
    except ChannelError as error:
        return [_explain(error, settings, name)]
    if not isinstance(me, dict) or not isinstance(info, dict):
        return [Check("this is no Bot API server", False, f"Correct channels.{name}.base_url.")]
    found = [Check(f"the token works: @{me.get('username')}", True), _check_privacy(me, settings)]
    if settings.mode == "webhook":
        return [*found, _check_hook(info, find_hook_url(context, settings), name)]
    return [*found, _check_polling(info)]


def find_hook_url(context: AccountContext, settings: TelegramSettings) -> str | None:
    """Where Telegram is to call the gateway for this account."""
    if settings.public_url is not None:
        return f"{settings.public_url.rstrip('/')}/hooks/{context.name}"
    return context.hook_url


def _explain(error: ChannelError, settings: TelegramSettings, name: str) -> Check:
    if isinstance(error, SendFailed) and error.hint is None:
        host = urlsplit(settings.base_url).netloc
        hint = f"Check the network, proxies, and channels.{name}.base_url ({host})."
        return Check(error.message.rstrip("."), False, hint)
    return Check(error.message.rstrip("."), False, error.hint or "")


def _check_privacy(me: dict[str, Any], settings: TelegramSettings) -> Check:
    if me.get("can_read_all_group_messages"):
        return Check("privacy mode is off: the bot gets every message of its groups", True)
    wants_all = getattr(settings, "groups", "addressed") == "all"
    return Check(
        "privacy mode is on: in groups the bot gets commands, mentions and replies only",
        not wants_all,
        "For every message, send /setprivacy to @BotFather, then add the bot to the group again.",
    )


def _check_polling(info: dict[str, Any]) -> Check:
    if info.get("url"):
        return Check(
            "a webhook is set, so polls are refused",
            False,
            "A gateway removes it when it starts; stop the program that sets it.",
        )
    return Check(f"polling: {info.get('pending_update_count', 0)} updates wait", True)


def _check_hook(info: dict[str, Any], wanted: str | None, name: str) -> Check:
    if wanted is None:
        return Check(
            "there is no address that Telegram could call",
            False,
            f"Set gateway.public_url or channels.{name}.public_url, or mode: polling.",
        )
    waiting = info.get("pending_update_count", 0)
    if info.get("url") != wanted:
        return Check(
            f"Telegram does not call {wanted}", False, "Start a gateway: it registers the webhook."
        )
    if waiting and (said := info.get("last_error_message")):
        return Check(
            f"Telegram cannot deliver to {wanted}: {str(said)[:200]}; {waiting} updates wait",
            False,
            "Make the address reachable from outside, with a valid certificate, on port 443, 80, "
            "88 or 8443.",
        )
    return Check(f"Telegram calls {wanted}; {waiting} updates wait", True)
