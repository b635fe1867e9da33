"""A Gemini server on loopback that checks each request by the rules of the API reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from tests.providers.google.replies import answer
from tests.providers.google.rules import find_violations
from tests.providers.loopback import Reply, Request, VendorServer

KEY = "AIzaSyTest0123456789abcdefghijklmnop"


@dataclass
class GoogleServer(VendorServer):
    """It expects `key`, in this version of the API, and gives the one `reply` to everything."""

    always: ClassVar[Mapping[str, str]] = {"connection": "close"}

    reply: Reply = field(default_factory=answer)
    key: str = KEY
    version: str = "v1"

    def next_reply(self) -> Reply:
        return self.reply

    def find_violations(self, request: Request) -> Iterator[str]:
        return find_violations(request, self.key, self.version)
