"""The seam between a chain of models and the money: reserve before a call, settle after it.

Both happen around every single call, because a chain may call several models before one answers,
and each call is charged. The worst case is set aside first, so that workers which spend from one
budget at the same time can never overspend it together (`sigil.money` does that).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sigil.messages.conversation import Usage
from sigil.providers.base import ChatRequest, ModelInfo


@dataclass(frozen=True, slots=True)
class Hold:
    """Money set aside for one call: `amount` in micro-dollars, which pays for an answer of at most
    `max_tokens`. An empty `id` means that nothing had to be set aside.

    `input_tokens` is the most that the request can be counted as. `unseen` says that the answer
    may have cost more than what arrived of it shows: thoughts, half-written tool calls, or text
    that was lost on the way.
    """

    id: str
    amount: int
    max_tokens: int
    input_tokens: int = 0
    unseen: bool = False


class Meter(Protocol):
    """What one turn may spend. `model` is a full name, `provider/model`."""

    async def reserve(self, model: str, request: ChatRequest, info: ModelInfo) -> Hold:
        """Sets aside what the call can cost at worst, for a shorter answer if need be. Raises
        `BudgetExceeded`, or `PriceUnknown` where dollars are limited."""
        ...

    async def settle(
        self, hold: Hold, model: str, usage: Usage | None, *, said: int, complete: bool
    ) -> int | None:
        """Replaces the hold by what the call cost, and returns that, in micro-dollars; None if the
        price is unknown.

        `usage` is what the vendor counted: None if it did not say, zero if the call was never
        billed. `said` counts the bytes of the answer that arrived. If the answer is not
        `complete` and the vendor did not count, the dearest possible case is assumed.
        """
        ...


class FreeMeter:
    """A `Meter` for chains that nobody pays for, as in tests: any call is free."""

    async def reserve(self, model: str, request: ChatRequest, info: ModelInfo) -> Hold:
        """Sets nothing aside."""
        return Hold("", 0, request.max_tokens)

    async def settle(
        self, hold: Hold, model: str, usage: Usage | None, *, said: int, complete: bool
    ) -> int:
        """Nothing."""
        return 0
