"""A vendor for tests, as a plug-in: `eyes/eyes` says what it is given of files."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import AsyncIterator

from sigil.messages.conversation import Usage
from sigil.providers.base import ChatEvent, ChatRequest, EventType, ModelInfo


class Eyes:
    """Answers with the type and the digest of each picture and document of the question."""

    name = "eyes"

    def __init__(self, api_key: str | None = None, base_url: str | None = None) -> None:
        pass

    async def available(self) -> bool:
        return True

    async def list_models(self) -> list[ModelInfo]:
        return [ModelInfo("eyes", vision=True, documents=True, max_context_tokens=100_000)]

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        asked = request.messages[-1]
        seen = [
            f"{file.mime_type} {hashlib.sha256(b64decode(file.url.partition(',')[2])).hexdigest()}"
            for file in (*asked.images, *asked.documents)
        ]
        yield ChatEvent(EventType.TEXT_DELTA, text="; ".join(seen) or "nothing")
        yield ChatEvent(EventType.USAGE, usage=Usage(1, 1))
        yield ChatEvent(EventType.DONE, stop_reason="stop")
