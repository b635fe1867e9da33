"""One model of a chain: what it can do, and whether its provider can be called now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from sigil.providers.base import ModelInfo, Provider, find_model_info
from sigil.providers.chain.plugins import describe_error

# Both questions are about what a provider knows itself. One that asks somebody else for it is
# not waited for any longer than this.
LOCAL_ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model that a turn may try. `name` is its full name, `provider/model`.

    `instances` are those of its provider, at least one, by the fingerprint of their key.
    `override` may correct what the provider reports about the model.
    """

    name: str
    instances: Mapping[str, Provider]
    override: Callable[[ModelInfo], ModelInfo] | None = None

    @property
    def provider_name(self) -> str:
        """The name under which the provider is registered."""
        return self.name.partition("/")[0]

    @property
    def model(self) -> str:
        """The name by which the provider knows the model."""
        return self.name.partition("/")[2]

    @property
    def provider(self) -> Provider:
        """The provider with its first key."""
        return next(iter(self.instances.values()))

    async def find_info(self) -> ModelInfo:
        """What the model can do. If its provider cannot say, that is assumed to be little."""
        answer: object = None
        with suppress(Exception):
            async with asyncio.timeout(LOCAL_ANSWER_S):
                answer = await find_model_info(self.provider, self.model)
        info = answer if isinstance(answer, ModelInfo) else ModelInfo(self.model)
        return info if self.override is None else self.override(info)

    async def explain_absence(self) -> str | None:
        """Says why the provider cannot be called now; None if it can."""
        try:
            async with asyncio.timeout(LOCAL_ANSWER_S):
                return None if await self.provider.available() else "not available"
        except Exception as error:  # noqa: BLE001  # a provider that breaks counts as absent
            return f"its availability check failed ({describe_error(error)})"
