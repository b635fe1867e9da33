"""What a test tells the homeserver, and what the homeserver tells it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Fault:
    """What the next call of an endpoint meets. `done`: the server does what it was asked to first.
    `cut`: the connection ends without an answer."""

    status: int = 500
    body: Json | bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    done: bool = False
    cut: bool = False


@dataclass
class Call:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        found: Json = json.loads(self.body)
        return found
