"""OpenAI's API on loopback, which checks each request by the rules of the API reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from tests.providers.loopback import Reply, Request, VendorServer
from tests.providers.openai.chat.replies import answer
from tests.providers.openai.rules import find_violations

KEY = "sk-test-0123456789abcdef"
REQUEST_ID = "req_0001"


@dataclass
class OpenAIServer(VendorServer):
    """It gives the one `reply` to everything."""

    always: ClassVar[Mapping[str, str]] = {"x-request-id": REQUEST_ID, "connection": "close"}

    reply: Reply = field(default_factory=answer)
    needs_key: bool = True

    def next_reply(self) -> Reply:
        return self.reply

    def find_violations(self, request: Request) -> Iterator[str]:
        return find_violations(request, KEY if self.needs_key else None)
