"""OpenAI, and every server that speaks its API: Ollama, vLLM, OpenRouter, …

The official SDK is imported, in a thread, when the first call is made.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from sigil.errors import ConfigError, ErrorKind, ProviderError
from sigil.providers import catalogue
from sigil.providers.base import ChatEvent, ChatRequest, EventType, ModelInfo
from sigil.providers.compatible import COMPATIBLE, server_at
from sigil.providers.openai_answer import Answer
from sigil.providers.openai_chat import ChatApi
from sigil.providers.openai_errors import ErrorBody, Translator
from sigil.providers.openai_models import listed
from sigil.providers.openai_options import checked_options
from sigil.providers.openai_request import Api
from sigil.providers.openai_responses import ResponsesApi
from sigil.providers.sse import texts
from sigil.providers.transport import http_client
from sigil.providers.vendor import ToolNames, checked_key, host_of, sound

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream

_OFFICIAL_URL = "https://api.openai.com/v1"
_OFFICIAL_HOST = "api.openai.com"
_MAX_ERROR_BODY = 64 * 1024
_REFRESH_TIMEOUT = 30.0
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


class OpenAIProvider:
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
        self.name = name
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
        self._translated = Translator(name, host, self._key, self._options.headers.values())
        self._catalogue = catalogue.Catalogue(catalogue.OPENAI if self._openai else ())
        self._client: AsyncOpenAI | None = None
        self._connecting = asyncio.Lock()

    async def available(self) -> bool:
        """Always: what is configured can be tried."""
        return True

    async def list_models(self) -> list[ModelInfo]:
        """What the server said last; before that OpenAI's models, and none of another server,
        which only its owner knows."""
        return list(self._catalogue.models)

    def model_info(self, model: str) -> ModelInfo:
        """What a model can do; of one that is not in the catalogue little is expected."""
        return self._catalogue.find(model)

    async def refresh_models(self) -> list[ModelInfo]:
        """Asks the server, within 30 s, which models there are. Raises `ProviderError`."""
        found: list[ModelInfo] = []
        failure: ProviderError | None = None
        try:
            async with asyncio.timeout(_REFRESH_TIMEOUT):
                client = await self._connected()
                found = await listed(client, self._catalogue.find, openai=self._openai)
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets its class
            failure = self._translated(error, None)
        if failure is not None:
            # Out here, so that what was raised is not even its context.
            raise failure
        self._catalogue.replace(found)
        return found

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        """Streams one answer; complete only with the vendor's word that it has ended."""
        call = _Call(self._translated, request.heard)
        names = ToolNames(request.tools)
        answer = self._api.answer(request.model, names, call.failed)
        failure: ProviderError | None = None
        try:
            info = self.model_info(request.model)
            payload = self._api.payload(sound(request, self.name), info, names)
            async with aclosing(self._texts(payload, answer, call)) as texts:
                async for text in texts:
                    yield ChatEvent(EventType.TEXT_DELTA, text=text)
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets its class
            failure = self._translated(error, call.request_id)
        for event in answer.end(failure):
            yield event

    async def prepare(self) -> None:
        """Imports the SDK and makes its client, so that the first call need not wait for it."""
        await self._connected()

    async def aclose(self) -> None:
        """Closes the pooled connections; a later call opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _texts(
        self, payload: dict[str, Any], answer: Answer, call: _Call
    ) -> AsyncGenerator[str, None]:
        client = await self._connected()
        if not payload.get("stream"):
            import httpx2

            response = await client.post(self._api.path, cast_to=httpx2.Response, body=payload)
            call.request_id = response.headers.get("x-request-id")
            if text := answer.take_whole(json.loads(response.content)):
                yield text
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
            call.request_id = stream.response.headers.get("x-request-id")
            if "json" in stream.response.headers.get("content-type", ""):
                raise await _not_a_stream(stream)
            events = _Events(answer)
            async with aclosing(texts(stream.response, events.take, events.done)) as found:
                async for text in found:
                    if text:
                        yield text
                    else:
                        call.heard()
        finally:
            await stream.close()

    async def _connected(self) -> AsyncOpenAI:
        async with self._connecting:
            if self._client is None:
                # The import takes 0.6 s; the loop has other streams to serve meanwhile.
                self._client = await asyncio.to_thread(self._build_client)
            return self._client

    def _build_client(self) -> AsyncOpenAI:
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


class _Call:
    """The request id of a call, as soon as it is known, for the errors that it ends in, and who
    is told that the vendor is not silent."""

    def __init__(self, translated: Translator, heard: Callable[[], None]) -> None:
        self._translated = translated
        self.heard = heard
        self.request_id: str | None = None

    def failed(self, kind: ErrorKind, message: str) -> ProviderError:
        return self._translated.failed(kind, message, self.request_id)


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
    body = bytearray()
    async for part in stream.response.aiter_bytes():
        body += part
        if len(body) > _MAX_ERROR_BODY:
            break
    parsed = json.loads(body)
    refusal = parsed.get("error") if isinstance(parsed, dict) else None
    return ErrorBody(refusal or {"message": "the answer is not a stream"})
