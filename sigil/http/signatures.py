"""Comparing what a stranger sent with a secret."""

from __future__ import annotations

import hmac


def is_same_secret(given: str | None, expected: str | bytes) -> bool:
    """Whether the two are the same, in a time that says nothing about where they differ. None is
    never the same, nor is anything the same as an empty secret."""
    known = expected if isinstance(expected, bytes) else expected.encode()
    sent = (given or "").encode("utf-8", "surrogatepass")
    return hmac.compare_digest(known, sent) and bool(known)
