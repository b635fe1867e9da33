"""The table of models that rest, which several commands show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sigil.cli.output import print_line, print_table
from sigil.errors import ErrorKind
from sigil.errors.failures import MENDED_BY_OWNER
from sigil.providers.chain.trouble import explain_trouble
from sigil.providers.names import fingerprint

if TYPE_CHECKING:
    from sigil.config.schema import ProviderSettings
    from sigil.providers.chain.health_store import Cooldown


def list_fingerprints(name: str, provider: ProviderSettings) -> list[str]:
    """The fingerprints of a provider's keys, in order."""
    keys = [provider.api_key] if provider.api_key is not None else []
    prints = [fingerprint(name, key.get_secret_value()) for key in (*keys, *provider.api_keys)]
    return [each for each in dict.fromkeys(prints) if each]


def drop_replaced(
    cooldowns: Sequence[Cooldown], providers: Mapping[str, ProviderSettings]
) -> list[Cooldown]:
    """The cooldowns without those of keys that were replaced in the configuration. Until its
    workers are started again, the store still has them."""
    keys = {name: list_fingerprints(name, provider) for name, provider in providers.items()}
    return [
        each
        for each in cooldowns
        if not each.key or not keys.get(each.provider) or each.key in keys[each.provider]
    ]


def print_cooldowns(
    cooldowns: Sequence[Cooldown], providers: Mapping[str, ProviderSettings]
) -> None:
    """Prints which models rest and for how much longer, the longest last, and what only the owner
    can mend."""
    rows = [
        (
            f"{each.provider}/{each.model}",
            each.key or "-",
            each.reason,
            _describe_state(each),
            each.failures,
        )
        for each in sorted(cooldowns, key=lambda each: each.seconds)
    ]
    print_table(("model", "key", "reason", "state", "failures"), rows)
    for sentence in dict.fromkeys(_list_troubles(cooldowns, providers)):
        print_line(sentence)


def _list_troubles(
    cooldowns: Sequence[Cooldown], providers: Mapping[str, ProviderSettings]
) -> Iterator[str]:
    for each in cooldowns:
        if each.reason in MENDED_BY_OWNER:
            yield explain_trouble(each.provider, ErrorKind(each.reason), providers)


def _describe_state(cooldown: Cooldown) -> str:
    if cooldown.probing:
        return "being probed"
    seconds = cooldown.seconds
    if seconds == 0:
        return "waits for a probe"
    if seconds < 120:
        return f"{seconds:.0f} s left"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min left"
    return f"{seconds / 3600:.0f} h left"
