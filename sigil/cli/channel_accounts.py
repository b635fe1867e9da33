"""What the commands say of the accounts of channels, and of who listens for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from sigil.channels.account_leases import describe_trouble
from sigil.channels.table import find_channel_type
from sigil.cli.process_table import describe_time
from sigil.errors import ConfigError

if TYPE_CHECKING:
    from sigil.channels.account_leases import AccountRecord
    from sigil.channels.account_rests import AccountRest
    from sigil.config import Settings
    from sigil.stores.base import Stores

COLUMNS = ("channel", "state", "process", "since", "last activity", "cursor saved", "trouble")


def list_heard_accounts(settings: Settings) -> list[str]:
    """The entries that a gateway process listens for. One whose type cannot be loaded counts."""
    return [name for name in settings.channels if _is_heard(name, settings)]


async def read_records(stores: Stores, names: Sequence[str]) -> Sequence[AccountRecord]:
    """What gateway processes and outbound workers say of these entries. Raises `StoreError`."""
    records = await stores.accounts.list(names)
    rests = {rest.entry: rest for rest in await stores.account_rests.list(names)}
    return [
        replace(each, unsent=_describe_rest(rests[each.id])) if each.id in rests else each
        for each in records
    ]


def _describe_rest(rest: AccountRest) -> str:
    again = f"in {rest.seconds:.0f} s" if rest.seconds else "with the next message"
    return f"{rest.why} It is tried again {again}"


def _is_heard(name: str, settings: Settings) -> bool:
    try:
        return find_channel_type(name, settings.channels[name]).listener is not None
    except ConfigError:
        return True


def make_row(record: AccountRecord) -> tuple[str, ...]:
    """What a table says of an account, by `COLUMNS`."""
    return (
        record.id,
        record.state if record.is_held else "nobody listens",
        record.process if record.is_held else "-",
        describe_time(record.since) if record.is_held else "-",
        _describe_ago(record.silence),
        _describe_ago(record.cursor_age),
        describe_trouble(record) or "-",
    )


def describe_record(record: AccountRecord) -> dict[str, Any]:
    """The same as JSON."""
    return asdict(record) | {"works": record.works, "trouble": describe_trouble(record) or None}


def _describe_ago(seconds: float | None) -> str:
    return "-" if seconds is None else f"{describe_time(seconds)} ago"
