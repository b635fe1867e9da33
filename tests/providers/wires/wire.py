"""The form of a vendor's answers on the wire: good ones, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sigil.messages.conversation import Usage

Json = dict[str, Any]
# How an answer ends.
GOOD, EMPTY, FILTERED = "good", "empty", "filtered"


@dataclass(frozen=True)
class Refusal:
    """An error in the vendor's words. `{key}` in the message stands for the caller's key."""

    status: int
    word: str
    message: str
    code: str | None = None


@dataclass(frozen=True)
class Wire:
    """One API. Texts of a stream are `opening`, a `word` each, then `closing`.

    `whole` is an answer that is not streamed; `closing` and `whole` take how it ends.
    `refusal` is the body of an error and `broken` an error as an event of a stream. `own` has
    the vendor's words for what it refuses, by the name of the fault. `usage` is what a good
    answer counts, and `counts_early` says whether a stream counts in its opening already.
    """

    name: str
    path: str
    key_header: Callable[[str], tuple[str, str]]
    request_id_header: str
    opening: str
    word: Callable[[str], str]
    closing: Callable[[str], str]
    whole: Callable[[str, str], Json]
    refusal: Callable[[Refusal], Json]
    broken: Callable[[Refusal], str]
    overloaded: Refusal
    own: Mapping[str, Refusal]
    usage: Usage
    counts_early: bool = False


def sse(data: Json, event: str | None = None) -> str:
    head = "" if event is None else f"event: {event}\n"
    return f"{head}data: {json.dumps(data)}\n\n"
