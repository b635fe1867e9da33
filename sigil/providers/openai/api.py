"""OpenAI's two APIs, as the provider sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sigil.providers.base import ChatRequest, ModelInfo
from sigil.providers.openai.answer import OpenAIAnswer
from sigil.providers.openai.chat.answer import ChatAnswer
from sigil.providers.openai.chat.request import build_request as build_chat_request
from sigil.providers.openai.options import OpenAIOptions
from sigil.providers.openai.responses.answer import ResponsesAnswer
from sigil.providers.openai.responses.request import build_request as build_responses_request
from sigil.providers.shared.json_fields import Json
from sigil.providers.shared.tools import ToolNames


class BuildRequest(Protocol):
    """Puts a request into the API's form. Raises `CannotSend`."""

    def __call__(
        self,
        request: ChatRequest,
        info: ModelInfo,
        names: ToolNames,
        options: OpenAIOptions,
        *,
        is_openai: bool,
    ) -> Json: ...


@dataclass(frozen=True, slots=True)
class Api:
    """How an API is asked, at `path` under the server's address, and how its answer is read."""

    path: str
    build_request: BuildRequest
    answer: type[OpenAIAnswer]


APIS: Mapping[str, Api] = {
    "chat": Api("/chat/completions", build_chat_request, ChatAnswer),
    "responses": Api("/responses", build_responses_request, ResponsesAnswer),
}
"""By the name that the option `api` has for them."""
