"""A Messages API on loopback that checks each request by the rules of the API reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from tests.providers.anthropic.replies import ANSWER
from tests.providers.anthropic.rules import find_violations
from tests.providers.loopback import Reply, Request, VendorServer

KEY = "sk-ant-test-0123456789abcdef"
REQUEST_ID = "req_0001"


@dataclass
class AnthropicServer(VendorServer):
    """`replies` are used up in order; the last one stays."""

    always: ClassVar[Mapping[str, str]] = {"request-id": REQUEST_ID}

    replies: list[Reply] = field(default_factory=lambda: [ANSWER])

    def next_reply(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def find_violations(self, request: Request) -> Iterator[str]:
        if request.method == "POST":
            yield from find_violations(request)
