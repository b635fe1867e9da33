"""What one turn may spend: the seam between a chain of models and the money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sigil.conversation import Usage
from sigil.providers.base import ChatRequest, ModelInfo


@dataclass(frozen=True, slots=True)
class Hold:
    """Money set aside for one call: `amount` in micro-dollars, and the answer's bound that it
    pays for. An empty `id`: nothing had to be set aside.

    `input_tokens` bounds what the request can be counted as. `unseen`: the answer may have cost
    more than can be told from what came of it (thoughts, calls of tools that are half written).
    """

    id: str
    amount: int
    max_tokens: int
    input_tokens: int = 0
    unseen: bool = False


class Meter(Protocol):
    """What one turn may spend. `model` is a full name, `provider/model`."""

    async def reserve(self, model: str, request: ChatRequest, info: ModelInfo) -> Hold:
        """Sets aside what the call can cost at worst, with a shorter answer if need be. Raises
        `BudgetExceeded`, or `PriceUnknown` where dollars are limited."""
        ...

    async def settle(
        self, hold: Hold, model: str, usage: Usage | None, *, said: int, complete: bool
    ) -> int:
        """Replaces the hold by what the call cost, in micro-dollars, and returns that.

        `usage` is what the vendor counted, None if it did not say; `said` counts the bytes of
        the answer that came. Of a call that is not `complete` the dearest is assumed where the
        vendor did not say. A call that was never billed has a usage of nothing.
        """
        ...
