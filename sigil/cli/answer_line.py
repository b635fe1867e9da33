"""How an answer came about, as one line for a terminal. The page says the same below an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sigil.money.amounts import format_usd


def describe_details(details: Mapping[str, Any], actions: Iterable[Mapping[str, str]] = ()) -> str:
    """`details` and `actions` as in a `ReplyEvent`."""
    cost = details["cost"]
    parts = [
        details["model"],
        f"{details['seconds']:.1f} s",
        f"{details['input_tokens']:,} tokens in, {details['output_tokens']:,} out",
        "price unknown" if cost is None else format_usd(cost),
    ]
    if details.get("stopped"):
        parts.append("stopped")
    others = [name for name in details.get("broke_off", ()) if name != details["model"]]
    if others:
        parts.append(f"{', '.join(others)} broke off")
    if details.get("cut_at"):
        parts.append(f"cut at {details['cut_at']:,} tokens")
    parts += [f"{action['label']}: {action['id']}" for action in actions]
    return " · ".join(parts)


def describe_restart(broke_off: Sequence[str]) -> str:
    """Why the draft of an answer is gone."""
    return f"{', '.join(broke_off)} broke off; the answer starts over …"
