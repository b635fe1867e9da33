"""Asks platforms whether the accounts work, for `sigil channel test` and `sigil doctor`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sigil.channels.account_leases import describe_trouble
from sigil.channels.base import Check, ChecksAccount
from sigil.channels.router import load_channel
from sigil.channels.table import find_channel_type
from sigil.cli.finding import Finding, State
from sigil.errors import ConfigError, SigilError

if TYPE_CHECKING:
    from sigil.channels.account_leases import AccountRecord
    from sigil.channels.router import ConfiguredChannel
    from sigil.config import Settings

WITHIN_S = 60.0
"""How long a platform may take over all that is asked of it."""


async def ask_platform(
    settings: Settings, name: str, *, within: float = WITHIN_S
) -> Sequence[Check]:
    """What the platform of the entry `name` says of its account. `within` is in seconds. Raises
    `ConfigError` if the entry cannot be used."""
    from sigil.stores import connect

    stores = connect(_find_store_url(settings), prefix=settings.redis.prefix)
    public_url = settings.gateway.public_url
    channel = load_channel(name, settings.channels[name], stores, public_url)
    try:
        return await _ask(channel, within)
    finally:
        await channel.close()
        await stores.backend.close()


async def _ask(channel: ConfiguredChannel, within: float) -> Sequence[Check]:
    try:
        listener = channel.listener
        if listener is None:
            return [Check("it is built in: there is no account to ask for", ok=True)]
        if not isinstance(listener, ChecksAccount):
            return [Check("its configuration can be used; it has no test of its own", ok=True)]
        async with asyncio.timeout(within):
            return await listener.check()
    except TimeoutError:
        text = f"the platform did not answer within {within:g} s"
        return [Check(text, ok=False, hint="Try again later.")]
    except SigilError as error:
        return [Check(error.message, ok=False, hint=error.hint or "")]
    except Exception as error:  # noqa: BLE001  # whatever a plug-in raises
        # The text of a library's error may hold a token.
        return [Check(f"the test itself failed ({type(error).__name__})", ok=False)]


async def ask_platforms(
    settings: Settings, names: Sequence[str], *, within: float
) -> Mapping[str, Sequence[Check]]:
    """The same of several entries at once, without those whose type cannot be loaded."""
    usable = [name for name in names if _is_usable(name, settings)]
    found = await asyncio.gather(*(ask_platform(settings, name, within=within) for name in usable))
    return dict(zip(usable, found, strict=True))


def _is_usable(name: str, settings: Settings) -> bool:
    try:
        find_channel_type(name, settings.channels[name])
    except ConfigError:
        return False
    return True


def find_failed(answers: Mapping[str, Sequence[Check]]) -> frozenset[str]:
    """The entries with which something is wrong."""
    return frozenset(
        name for name, checks in answers.items() if not all(check.ok for check in checks)
    )


def judge_answers(answers: Mapping[str, Sequence[Check]]) -> Iterator[Finding]:
    """What `sigil doctor` says of them: a line for each trouble, or one that all is well."""
    for name, checks in answers.items():
        failed = [check for check in checks if not check.ok]
        for check in failed:
            advice = check.hint or f"`sigil channel test {name}` asks again."
            yield Finding("channels", "fail", f"{name}: {check.what}", advice)
        if not failed:
            said = "; ".join(check.what for check in checks) or "works"
            yield Finding("channels", "ok", f"{name}: {said}")


def check_records(records: Sequence[AccountRecord], told: Collection[str]) -> Iterator[Finding]:
    """What `sigil doctor` says of those who listen. `told` are the accounts whose platform has just
    said what is wrong with them."""
    for record in records:
        if record.works or (record.is_held and record.id in told):
            continue
        advice = "Start a gateway: `sigil gateway`, or `sigil up`."
        if record.is_held:
            advice = f"`sigil channel test {record.id}` says what to do."
        is_refused = record.is_held and record.state == "refused"
        state: State = "fail" if is_refused else "warn"
        yield Finding("channels", state, describe_trouble(record), advice)


def _find_store_url(settings: Settings) -> str:
    from sigil.host.valkey_address import find_store_url

    try:
        return find_store_url(settings)
    except ConfigError:
        # No Sigil runs on this machine. Whether an account works has nothing to do with that, and
        # no connection is opened.
        return "redis://127.0.0.1"
