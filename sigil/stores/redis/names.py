"""Opaque names: what must not be read is hashed with the key of the installation.

Each message needs about seven of them, so they are made quickly, and the last ones are remembered.
"""

from __future__ import annotations

import functools
import hmac
from collections.abc import Callable

# Base 32 in lower case, two characters (ten bits) at a time.
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_BITS = 120
_SHIFTS = range(_BITS - 10, -1, -10)


def make_hash(secret: bytes) -> Callable[[tuple[str, ...]], str]:
    """The function that names a tuple of parts: 24 characters, the same in every process that has
    this key."""
    keyed = hmac.new(secret, digestmod="sha256")

    @functools.lru_cache(maxsize=4096)
    def hash_parts(parts: tuple[str, ...]) -> str:
        # Each part follows its length, so that no two tuples of parts make the same text.
        text = "".join([f"{len(part)}:{part}" for part in parts])
        mac = keyed.copy()
        mac.update(text.encode())
        number = int.from_bytes(mac.digest()[: _BITS // 8], "big")
        return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])

    return hash_parts
