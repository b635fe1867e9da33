"""The accounts that this gateway process hears, each with its listener and its inbox."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sigil.inbound.inbox import AccountInbox
from sigil.inbound.listening import Listening

if TYPE_CHECKING:
    from sigil.channels.base import Listener
    from sigil.channels.router import Entry
    from sigil.gateway import Gateway


@dataclass(frozen=True, slots=True)
class HeardAccount:
    """One configured entry whose channel has a listener."""

    entry: Entry
    listener: Listener
    inbox: AccountInbox
    listen: Callable[[], Coroutine[Any, Any, None]]


def open_accounts(gateway: Gateway) -> list[HeardAccount]:
    """Makes the listeners; opens no connection. Raises `ConfigError`."""
    accounts = []
    for entry in gateway.channels.entries:
        listener = entry.listener
        if listener is not None:
            inbox = AccountInbox(entry, gateway)
            listening = Listening(listener, inbox, gateway.stores.accounts)
            accounts.append(HeardAccount(entry, listener, inbox, listening.keep))
    return accounts
