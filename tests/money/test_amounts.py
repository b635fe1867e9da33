"""Amounts as people read them."""

from __future__ import annotations

import pytest

from sigil.money.amounts import format_reset, format_usd


@pytest.mark.parametrize(
    ("micro", "text"),
    [
        (0, "$0.00"),
        (1, "<$0.0001"),
        (99, "<$0.0001"),
        (100, "$0.0001"),
        (12_300, "$0.0123"),
        (12_349, "$0.0123"),
        (500_000, "$0.50"),
        (999_999, "$1.00"),
        (12_340_000, "$12.34"),
        (12_345_000, "$12.35"),
        (1_234_567_890_000, "$1,234,567.89"),
        (-12_300, "-$0.0123"),
        (-1, "-<$0.0001"),
    ],
)
def test_amounts_are_written_for_people(micro, text):
    assert format_usd(micro) == text


@pytest.mark.parametrize(
    ("window", "seconds", "text"),
    [
        ("day", 1380, "at 00:00 UTC"),
        ("hour", 1380, "in 23 minutes"),
        ("hour", 61, "in 2 minutes"),
        ("hour", 60, "in 1 minute"),
        ("hour", 0, "in 1 minute"),
    ],
)
def test_a_reset_is_told_in_words(window, seconds, text):
    assert format_reset(window, seconds) == text
