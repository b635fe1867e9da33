"""The provider that needs no key: it repeats what the person wrote."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

from sigil.messages.conversation import Usage
from sigil.providers.base import ChatEvent, ChatRequest, EventType, ModelInfo

HINT = (
    "\n\nThis is the echo provider. To get real answers put a provider into sigil.yaml:\n\n"
    "```yaml\n"
    "providers:\n"
    "  openai:\n"
    "    api_key: ${OPENAI_API_KEY}\n"
    "models:\n"
    "  default: openai/gpt-5.4-mini\n"
    "```\n"
)

# A turn's user text starts with a line that says whose words they are.
_ORIGIN = re.compile(r"\A\[[^\n]*\]\n")
_WORD = re.compile(r"\s*\S+\s*|\s+")
# An echo of however long a text takes at most this many delays.
_MAX_CHUNKS = 250
_CHUNKS_WITHOUT_DELAY = 2
# This is how the echo model itself counts and cuts an answer off, so it is exact here. The chain
# has to guess how other models count (`chain/adapt.py`), and guesses high.
_CHARS_PER_TOKEN = 4


class EchoProvider:
    """Streams the last user text back word by word, `delay` seconds between words.

    With `hint` it adds, at the start of a conversation, how to get real answers. Like every
    provider it takes `api_key` and `base_url`, but it ignores them.
    """

    def __init__(
        self,
        *,
        name: str = "echo",
        delay: float = 0.02,
        hint: bool = False,
        api_key: str | None = None,
        base_url: str | None = None,
    ) -> None:
        self.name = name
        self._delay = delay
        self._hint = hint

    async def available(self) -> bool:
        """Always."""
        return True

    async def list_models(self) -> list[ModelInfo]:
        """One model, `echo`."""
        return [ModelInfo("echo", max_context_tokens=1_000_000, max_output_tokens=100_000)]

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        """Echoes under any model's name; an answer over `max_tokens` is cut off."""
        answer = self._compose_answer(request)
        text = answer[: request.max_tokens * _CHARS_PER_TOKEN]
        chunks = self._split_into_chunks(text) if request.stream else [text]
        for number, chunk in enumerate(chunks):
            if number and self._delay > 0:
                await asyncio.sleep(self._delay)
            yield ChatEvent(EventType.TEXT_DELTA, text=chunk)
        read = sum(_count_tokens(message.content) for message in request.messages)
        read += _count_tokens(request.system_prompt or "")
        yield ChatEvent(EventType.USAGE, usage=Usage(read, _count_tokens(text)))
        stop_reason = "stop" if len(text) == len(answer) else "length"
        yield ChatEvent(EventType.DONE, stop_reason=stop_reason)

    def _compose_answer(self, request: ChatRequest) -> str:
        texts = [message.content for message in request.messages if message.role == "user"]
        text = _ORIGIN.sub("", texts[-1] if texts else "", count=1)
        hint = HINT if self._hint and len(texts) <= 1 else ""
        return (text if text.strip() else "(nothing to echo)") + hint

    def _split_into_chunks(self, text: str) -> list[str]:
        words = _WORD.findall(text)
        most = _MAX_CHUNKS if self._delay > 0 else _CHUNKS_WITHOUT_DELAY
        size = -(-len(words) // most)
        return ["".join(words[at : at + size]) for at in range(0, len(words), size)]


def _count_tokens(text: str) -> int:
    return -(-len(text) // _CHARS_PER_TOKEN)
