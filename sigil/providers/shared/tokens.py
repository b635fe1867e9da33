"""Token counts as vendors give them."""

from __future__ import annotations

from sigil.messages.conversation import bound_tokens


def read_token_count(value: object) -> int:
    """A vendor's count of tokens within reason (`bound_tokens`); 0 if it is not an integer."""
    return bound_tokens(value) if type(value) is int else 0
