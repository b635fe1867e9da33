"""OpenAI, and every server that speaks its API: Ollama, vLLM, OpenRouter, …

The official SDK is imported, in a thread, when the first call is made.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from sigil.errors import ConfigError, ProviderError
from sigil.http.sse import body_of, texts
from sigil.http.transport import http_client
from sigil.providers import catalogue
from sigil.providers.base import ChatRequest, ModelInfo
from sigil.providers.openai.answer import Answer
from sigil.providers.openai.chat import ChatApi
from sigil.providers.openai.errors import ErrorBody, Translator
from sigil.providers.openai.models import listed
from sigil.providers.openai.options import checked_options
from sigil.providers.openai.request import Api
from sigil.providers.openai.responses import ResponsesApi
from sigil.providers.openai.servers import COMPATIBLE, server_at
from sigil.providers.shared.sdk import SdkProvider
from sigil.providers.shared.vendor import ToolNames, checked_key, host_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream

_OFFICIAL_URL = "https://api.openai.com/v1"
_OFFICIAL_HOST = "api.openai.com"
_LAST = "[DONE]"

_APIS: Mapping[str, type[ChatApi | ResponsesApi]] = {"chat": ChatApi, "responses": ResponsesApi}
# OpenAI's models from gpt-5.4 on refuse tools in chat completions unless they stop thinking;
# chat completions are what all other servers have, behind whatever proxy.
_OF_OPENAI: Mapping[str, Any] = {
    "api": "responses",
    "max_tokens_field": "max_completion_tokens",
    "user_field": "safety_identifier",
}
_OF_OTHERS: Mapping[str, Any] = {"api": "chat"}


class OpenAIProvider(SdkProvider["AsyncOpenAI", Answer]):
    """One account with OpenAI or with one server that speaks its API.

    The server is at `base_url`, and may then need no key; or it is the one that `server` (by
    default `name`) names in `compatible.COMPATIBLE`; or it is OpenAI's own. `options` are those
    of `Options`. Raises `ConfigError` for a missing or malformed key, address or option.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        name: str = "openai",
        server: str | None = None,
        **options: Any,
    ) -> None:
        if server is not None and server not in COMPATIBLE:
            raise ConfigError(
                f"providers.{name}.options.server: {server!r} is not a known server.",
                hint=f"Choose one of {', '.join(COMPATIBLE)}, or set base_url.",
            )
        known = COMPATIBLE.get(server or name) if base_url is None else server_at(base_url)
        self._base_url = base_url or (known.base_url if known else _OFFICIAL_URL)
        host = host_of(name, self._base_url)
        # A known server's own address says whether it asks for a key; any other may not.
        keyless = base_url or (known.base_url if known and not known.needs_key else None)
        self._key = SecretStr(checked_key(name, api_key, keyless))
        official = f".{host}".endswith(f".{_OFFICIAL_HOST}")
        # Under its own name it is OpenAI, if need be behind a proxy.
        self._openai = official or name == "openai"
        wanted = _OF_OPENAI if official else {**_OF_OTHERS, **(known.options if known else {})}
        self._options = checked_options(name, options).filled(wanted)
        api = _APIS[self._options.api or "chat"]
        self._api: Api = api(name, self._options, openai=self._openai)
        self._translator = Translator(name, host, self._key, self._options.headers.values())
        super().__init__(name, catalogue.Catalogue(catalogue.OPENAI if self._openai else ()))

    async def _close(self, client: AsyncOpenAI) -> None:
        await client.close()

    async def _listed(self, client: AsyncOpenAI) -> list[ModelInfo]:
        return await listed(client, self._catalogue.find, openai=self._openai)

    def _answer(self, request: ChatRequest) -> Answer:
        return self._api.answer(request.model, ToolNames(request.tools), self._translator.failed)

    async def _texts(self, request: ChatRequest, answer: Answer) -> AsyncGenerator[str, None]:
        payload = self._api.payload(request, self.model_info(request.model), answer.names)
        client = await self._connected()
        if not payload.get("stream"):
            import httpx2

            response = await client.post(self._api.path, cast_to=httpx2.Response, body=payload)
            answer.request_id = response.headers.get("x-request-id")
            yield answer.take_whole(json.loads(response.content))
            return
        from openai import AsyncStream

        # The SDK asks, and Sigil reads: building the SDK's own types took 80 of 100 µs a token,
        # its reader another 15.
        stream = await client.post(
            self._api.path,
            cast_to=object,
            body=payload,
            stream=True,
            stream_cls=AsyncStream[object],
        )
        try:
            answer.request_id = stream.response.headers.get("x-request-id")
            if "json" in stream.response.headers.get("content-type", ""):
                raise await _not_a_stream(stream)
            events = _Events(answer)
            async with aclosing(texts(stream.response, events.take, events.done)) as found:
                async for text in found:
                    yield text
        finally:
            await stream.close()

    def _build(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        options = self._options
        http = http_client(options.read_timeout)
        client = AsyncOpenAI(
            api_key=self._key.get_secret_value(),
            base_url=self._base_url,
            max_retries=0,
            timeout=http.timeout,
            http_client=http,
        )
        # The SDK would take what is not given from the environment, and so from another account.
        client.organization, client.project = options.organization, options.project
        client._custom_headers = options.plain_headers()
        return client

    def _translated(self, error: Exception, request_id: str | None) -> ProviderError:
        return self._translator(error, request_id)


class _Events:
    """Hands the events of a stream to an answer, and what is an error to whoever reads."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._ended = False

    def take(self, data: str) -> str:
        """The text in an event's data. Raises `ErrorBody`, and `ValueError` for what is no JSON."""
        if data.startswith(_LAST):
            self._ended = True
            return ""
        event = json.loads(data)
        if isinstance(event, dict) and (error := event.get("error")):
            raise ErrorBody(error)
        return self._answer.take(event)

    def done(self) -> bool:
        """Nothing more is to come."""
        return self._ended or self._answer.complete


async def _not_a_stream(stream: AsyncStream[Any]) -> Exception:
    parsed = await body_of(stream.response)
    refusal = parsed.get("error") if isinstance(parsed, dict) else None
    return ErrorBody(refusal or {"message": "the answer is not a stream"})
