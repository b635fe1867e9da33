"""Looks at the outside world for `sigil doctor`. Each look gives up after a few seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sigil.cli.backend import open_stores
from sigil.cli.channel_accounts import list_heard_accounts, read_records
from sigil.config import Settings
from sigil.config.addresses import find_free_port, local_host
from sigil.host.pages import fetch_page
from sigil.lanes.fleet import read_backlogs

if TYPE_CHECKING:
    from sigil.channels.account_leases import AccountRecord
    from sigil.lanes.effects import Stage
    from sigil.lanes.fleet import ProcessRecord

PATIENCE_S = 3.0


async def read_redis_warnings(settings: Settings) -> list[str]:
    """What about the server may lose data. Raises `ConfigError` if no process may work on it, and
    `StoreError` if it does not answer or takes no messages."""
    async with open_stores(settings) as stores:
        await stores.backend.check_start()
        await stores.backend.check_room()
        return await stores.backend.list_warnings()


async def read_problems(settings: Settings) -> Sequence[str]:
    """What is wrong with the lanes and their counts, as sentences that say what to do. Raises
    `ConfigError` or `StoreError`."""
    async with open_stores(settings) as stores:
        problems: Sequence[str] = (await stores.lanes.verify())["problems"]
        return problems


async def read_fleet(settings: Settings) -> tuple[Sequence[ProcessRecord], dict[Stage, int]]:
    """What is known of the processes, and how many wake-ups wait for each stage. Raises
    `ConfigError` or `StoreError`."""
    from workers.publisher import wakeups

    publisher = wakeups(settings)
    try:
        async with open_stores(settings) as stores:
            return await stores.fleet.list(), await read_backlogs(publisher)
    finally:
        publisher.close()


async def read_accounts(settings: Settings) -> Sequence[AccountRecord]:
    """What is known of each account that a gateway process listens for. Raises `ConfigError` or
    `StoreError`."""
    async with open_stores(settings) as stores:
        return await read_records(stores, list_heard_accounts(settings))


def find_port_problem(host: str, port: int) -> str | None:
    """Why no server could listen there now; None if one could."""
    try:
        find_free_port(host, port)
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def is_sigil(host: str, port: int) -> bool:
    """Whether a gateway of Sigil answers there."""
    page = fetch_page(local_host(host), port, "/healthz", timeout=PATIENCE_S)
    return page is not None and page[0] == 200 and b"ok" in page[1].lower()
