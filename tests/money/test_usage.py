"""A vendor's counts, brought within reason."""

from __future__ import annotations

from sigil.messages.conversation import MOST_TOKENS, Usage
from sigil.money.usage import bound_usage


def test_a_vendors_counts_are_brought_within_reason():
    mad = Usage(10**18, -5, 10**19, 7, 10**19)
    assert bound_usage(mad) == Usage(MOST_TOKENS, 0, MOST_TOKENS, 0, 0)
    assert bound_usage(Usage(100, 50, 30, 60, 90)) == Usage(100, 50, 30, 50, 70)
