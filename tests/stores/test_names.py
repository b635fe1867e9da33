"""Opaque names are what they have always been: an older worker beside this one makes the same."""

from __future__ import annotations

import base64
import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from sigil.stores.redis.names import make_hash


@given(st.binary(min_size=1, max_size=99), st.lists(st.text(st.characters(codec="utf-8"))))
def test_a_name_is_the_keyed_hash_of_its_parts_in_base_32(secret: bytes, parts: list[str]) -> None:
    text = "".join(f"{len(part)}:{part}" for part in parts)
    digest = hmac.digest(secret, text.encode(), hashlib.sha256)
    assert make_hash(secret)(tuple(parts)) == base64.b32encode(digest[:15]).decode().lower()
