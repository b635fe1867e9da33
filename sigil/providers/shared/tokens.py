"""Token counts as vendors give them."""

from __future__ import annotations

MAX_TOKENS = 1_000_000_000
"""Vendors' counts come from outside. Everything above this is nonsense."""


def read_token_count(value: object) -> int:
    """A vendor's count of tokens, from 0 to `MAX_TOKENS`; 0 if it is not an integer."""
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return min(max(value, 0), MAX_TOKENS)
