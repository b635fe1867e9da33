"""`python -m tests.channels.one_role ROLE CONFIG [LANE…]`: does the work of one role in a process
of its own, and prints which lanes it woke and which modules it has loaded, as JSON.

The gateway takes a message from each channel; the workers work on the lanes that are named.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sigil.bootstrap import NoWakeups, build
from sigil.config import load_settings
from sigil.messages.exchange import InboundMessage

if TYPE_CHECKING:
    from sigil.gateway import Gateway

SECRETS = {
    "gateway": {"TOKEN": "123:abc"},
    "routing": {},
    "agent": {},
    "outbound": {"TOKEN": "123:abc"},
}
CHATS = {
    ("telegram", "default"): "42",
    ("matrix", "default"): "!room:hs",
    ("email", "default"): "ana@example.org",
    ("webhook", "hook"): "kitchen",
}


class Woken(NoWakeups):
    def __init__(self) -> None:
        self.lanes: list[str] = []

    def wake(self, lane: str) -> None:
        self.lanes.append(lane)


async def work(role: str, config: Path, lanes: Sequence[str]) -> dict[str, Any]:
    woken = Woken()
    settings = load_settings(config, role=role, environ=SECRETS[role])
    gateway = build(settings, wakeups=woken)
    try:
        if role == "gateway":
            await _receive(gateway)
        else:
            import_module("workers").celery.loader.import_default_modules()
            steps = {"routing": gateway.route, "agent": gateway.turn, "outbound": gateway.deliver}
            for lane in lanes:
                await steps[role](lane)
    finally:
        await gateway.close()
    return {"lanes": woken.lanes, "modules": sorted(sys.modules)}


async def _receive(gateway: Gateway) -> None:
    from sigil.inbound.accounts import open_accounts
    from sigil.web.app import create_app

    accounts = open_accounts(gateway)
    assert len(accounts) == len(CHATS)
    create_app(
        *(gateway.directory, gateway.stores, gateway.channels, gateway.receive, gateway.wakeups),
        accounts=accounts,
    )
    for (kind, account), chat in CHATS.items():
        message = InboundMessage(kind, chat, "$m1:hs", "ana@example.org", "Hello", account=account)
        await gateway.receive(message)


if __name__ == "__main__":
    role, config, *lanes = sys.argv[1:]
    print(json.dumps(asyncio.run(work(role, Path(config), lanes))))
