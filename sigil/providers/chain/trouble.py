"""What only the owner can mend: a key that is refused, an account without credit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sigil.config.places import describe_place
from sigil.errors import ErrorKind

if TYPE_CHECKING:
    from sigil.config.schema import ProviderSettings


def explain_trouble(
    provider: str,
    kind: ErrorKind,
    providers: Mapping[str, ProviderSettings],
    *,
    status: int | None = None,
) -> str:
    """What is wrong and where the owner mends it, for a kind out of `MENDED_BY_OWNER`. `status` is
    the vendor's HTTP status, where it is known. Reads the configuration file for the line."""
    known = f" ({status})" if status else ""
    settings = providers.get(provider)
    key = "api_keys" if settings is not None and settings.api_keys else "api_key"
    place = describe_place(("providers", provider, key))
    if kind is ErrorKind.AUTH:
        return f"{provider} refused its key{known}. Check {place}."
    return (
        f"{provider} has no credit left{known}. Add credit to the account of {place}, "
        "or choose another model."
    )
