"""Amounts of money: whole micro-dollars, and how people read them.

Sigil counts money in micro-dollars, millionths of a US dollar, as integers. Sums of integers are
exact, in Python and in Redis; sums of floats are not. A price of "3 dollars per million tokens" is
also 3 micro-dollars per token, so most arithmetic needs no conversion.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from math import ceil

MICRO_PER_USD = 1_000_000


def to_micro_usd(usd: float) -> int:
    """Converts US dollars, as they stand in a configuration, to micro-dollars."""
    return round(usd * MICRO_PER_USD)


def format_usd(micro: int) -> str:
    """Formats micro-dollars for people: `$0.0123`, `$12.34`, `<$0.0001`."""
    if micro < 0:
        return f"-{format_usd(-micro)}"
    if 0 < micro < 100:
        return "<$0.0001"
    dollars = Decimal(micro) / MICRO_PER_USD
    places = "0.01" if micro >= MICRO_PER_USD else "0.0001"
    text = f"{dollars.quantize(Decimal(places), ROUND_HALF_UP):,f}"
    whole, _, part = text.partition(".")
    return f"${whole}.{part.rstrip('0').ljust(2, '0')}"


def format_reset(window: str, seconds: float) -> str:
    """Says when a budget window resets: `at 00:00 UTC`, `in 23 minutes`.

    `window` is `hour` or `day`; `seconds` are left until its end.
    """
    if window == "day":
        return "at 00:00 UTC"
    minutes = max(1, ceil(seconds / 60))
    return f"in {minutes} minute{'s' if minutes > 1 else ''}"
