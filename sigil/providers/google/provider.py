"""Google's Gemini API, and servers that speak it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from sigil.errors import ProviderError
from sigil.providers.base import ChatRequest, ModelInfo
from sigil.providers.google.answer import GoogleAnswer
from sigil.providers.google.client import (
    build_client,
    collect_responses,
    find_error,
    find_request_id,
)
from sigil.providers.google.errors import translate_error
from sigil.providers.google.models import MODELS, list_models
from sigil.providers.google.options import GoogleOptions
from sigil.providers.google.request import build_request
from sigil.providers.shared.endpoint import Endpoint, check_key, read_host
from sigil.providers.shared.errors import ErrorBody, make_error
from sigil.providers.shared.sdk import SdkProvider
from sigil.providers.shared.tools import ToolNames

if TYPE_CHECKING:
    from google import genai
    from google.genai import types
    from httpx2 import AsyncClient, Response

_OFFICIAL_URL = "https://generativelanguage.googleapis.com"
# Seconds that a server may take to end its body after the answer's end.
_LINGER = 1.0


class GoogleProvider(SdkProvider["tuple[genai.Client, AsyncClient]", GoogleAnswer]):
    """One account with the Gemini API, or one server at `base_url` that speaks it.

    The other keywords are those of `GoogleOptions`. Raises `ConfigError` for a missing or
    malformed key, address or option.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        name: str = "google",
        read_timeout: float | None = 300.0,
        api_version: str | None = None,
        thinking: int | str | None = None,
    ) -> None:
        url = base_url or _OFFICIAL_URL
        host = read_host(name, url)
        key = check_key(name, api_key, is_needed=not base_url)
        self._options = GoogleOptions.check(
            name,
            {"read_timeout": read_timeout, "api_version": api_version, "thinking": thinking},
        )
        super().__init__(Endpoint(name, url, host, key), MODELS)

    def _build_client(self) -> tuple[genai.Client, AsyncClient]:
        # The SDK's client is kept beside its `aio`, which ends when it does.
        return build_client(self._endpoint, self._options)

    async def _close_client(self, client: tuple[genai.Client, AsyncClient]) -> None:
        sdk, http = client
        sdk.close()
        await http.aclose()

    async def _fetch_models(self, client: tuple[genai.Client, AsyncClient]) -> list[ModelInfo]:
        models = await list_models(client[0], self._catalogue.find)
        if not models:
            raise make_error(self._endpoint, "the vendor listed no models")
        return models

    def _start_answer(self, request: ChatRequest) -> GoogleAnswer:
        return GoogleAnswer(request.model, ToolNames(request.tools), self._endpoint)

    def _translate_error(self, error: Exception, request_id: str | None) -> ProviderError:
        return translate_error(error, self._endpoint, request_id)

    async def _read_texts(
        self, request: ChatRequest, answer: GoogleAnswer
    ) -> AsyncGenerator[str, None]:
        client, _ = await self._connect()
        models = client.aio.models
        info = self.model_info(request.model)
        arguments = build_request(request, info, answer.names, self._options)
        responses: list[Response] = []
        if not request.stream:
            with collect_responses(responses):
                whole = await models.generate_content(**arguments)
            answer.request_id = find_request_id(responses)
            if not whole.candidates and (error := find_error(responses)) is not None:
                raise ErrorBody(error)
            yield answer.take_whole(whole)
            return
        stream = await models.generate_content_stream(**arguments)
        chunks = cast("AsyncGenerator[types.GenerateContentResponse, None]", stream)
        try:
            with collect_responses(responses):
                chunk = await anext(chunks, None)
            answer.request_id = find_request_id(responses)
            while chunk is not None:
                yield answer.take_event(chunk)
                chunk = await (_read_rest(chunks) if answer.is_complete else anext(chunks, None))
        finally:
            for response in responses:
                await response.aclose()
            await chunks.aclose()


async def _read_rest(
    chunks: AsyncGenerator[types.GenerateContentResponse, None],
) -> types.GenerateContentResponse | None:
    """Reads on after a complete answer. Its usage may follow, and a connection can be used again
    only if the body was read to its end. Failures take nothing from the answer."""
    with suppress(Exception):
        async with asyncio.timeout(_LINGER):
            return await anext(chunks, None)
    return None
