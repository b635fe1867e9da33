"""Anthropic's Messages API, and servers that speak it.

The official SDK is imported, in a thread, when the first call is made.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from sigil.errors import ErrorKind, ProviderError
from sigil.http.sse import body_of, texts
from sigil.http.transport import http_client, is_sent
from sigil.providers import catalogue
from sigil.providers.anthropic.answer import Answer, ErrorBody
from sigil.providers.anthropic.errors import refusal
from sigil.providers.anthropic.models import listed
from sigil.providers.anthropic.request import (
    SAMPLING_VERSION,
    Effort,
    Json,
    Options,
    Thinking,
    has_thoughts,
    payload,
)
from sigil.providers.base import ChatRequest, ModelInfo
from sigil.providers.shared.sdk import SdkProvider
from sigil.providers.shared.vendor import ToolNames, checked_key, failed, host_of

if TYPE_CHECKING:
    from anthropic import APIStatusError, AsyncAnthropic, AsyncStream

_OFFICIAL_URL = "https://api.anthropic.com"
_OFFICIAL_HOST = "api.anthropic.com"


class AnthropicProvider(SdkProvider["AsyncAnthropic", Answer]):
    """One account with Anthropic, or one compatible server at `base_url`, which may need no key.

    `prompt_caching` marks what the vendor should cache. `thinking` is a budget in tokens (at
    least 1024, for models up to Claude Opus 4.6), `adaptive`, `disabled` or `between_tools`; by
    default the model decides. `effort` is how hard newer models try, from `low` to `max`. With
    `send_user_id` the vendor is told the request's opaque `user`. `read_timeout` is in seconds.
    Raises `ConfigError` for a missing or malformed key, address or option.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        name: str = "anthropic",
        read_timeout: float = 300.0,
        prompt_caching: bool = True,
        thinking: Thinking | None = None,
        effort: Effort | None = None,
        send_user_id: bool = False,
    ) -> None:
        # The SDK adds the version, which some put into the address, as other SDKs want it.
        self._base_url = (base_url or _OFFICIAL_URL).rstrip("/").removesuffix("/v1")
        self._host = host_of(name, self._base_url)
        self._key = SecretStr(checked_key(name, api_key, base_url))
        self._options = Options(name, prompt_caching, thinking, effort, send_user_id)
        self._official = self._host == _OFFICIAL_HOST
        self._read_timeout = read_timeout
        # Under its own name it is Anthropic, if need be behind a proxy.
        own = self._official or name == "anthropic"
        super().__init__(name, catalogue.Catalogue(catalogue.ANTHROPIC if own else ()))

    async def _close(self, client: AsyncAnthropic) -> None:
        await client.close()

    async def _listed(self, client: AsyncAnthropic) -> list[ModelInfo]:
        found = await listed(client, self._catalogue.find)
        if not found:
            raise self._failed(ErrorKind.SERVER, "the vendor listed no models")
        return found

    def _answer(self, request: ChatRequest) -> Answer:
        return Answer(request.model, ToolNames(request.tools), self._failed)

    async def _texts(self, request: ChatRequest, answer: Answer) -> AsyncGenerator[str, None]:
        client = await self._connected()
        if not request.stream:
            import httpx2

            response = await self._posted(client, request, cast_to=httpx2.Response)
            answer.request_id = response.headers.get("request-id")
            yield answer.take_whole(json.loads(response.content))
            return
        from anthropic import AsyncStream

        stream: AsyncStream[object] = await self._posted(
            client, request, cast_to=object, stream=True, stream_cls=AsyncStream[object]
        )
        try:
            answer.request_id = stream.response.headers.get("request-id")
            if "json" in stream.response.headers.get("content-type", ""):
                raise await self._not_a_stream(stream)
            take, done = (lambda data: answer.take(json.loads(data))), (lambda: answer.ended)
            async with aclosing(texts(stream.response, take, done)) as found:
                async for text in found:
                    yield text
        finally:
            await stream.close()

    async def _posted(self, client: AsyncAnthropic, request: ChatRequest, **how: Any) -> Any:
        """The SDK's answer. As plain JSON: its models cost 10 µs a token, and check nothing."""
        from anthropic import BadRequestError

        body = payload(request, self._options)
        try:
            return await _post(client, body, how)
        except BadRequestError as error:
            # Thoughts that do not fit what precedes them any more are refused, before any work;
            # for instance when older messages had to be left out within a turn.
            if "thinking" not in error.message or not has_thoughts(body):
                raise
        return await _post(client, payload(request, self._options, thoughts=False), how)

    def _build(self) -> AsyncAnthropic:
        from anthropic import AsyncAnthropic

        key = self._key.get_secret_value()
        http = http_client(self._read_timeout)
        client = AsyncAnthropic(
            api_key=key,
            base_url=self._base_url,
            max_retries=0,
            timeout=http.timeout,
            http_client=http,
            # Spans could hold what people wrote.
            open_telemetry=False,
        )
        # The SDK would add headers from the environment. Its own for the key is a bearer token,
        # which not all compatible servers read.
        client._custom_headers = {} if self._official else {"x-api-key": key}
        return client

    async def _not_a_stream(self, stream: AsyncStream[object]) -> Exception:
        parsed = await body_of(stream.response)
        if isinstance(parsed, dict) and parsed.get("error"):
            return ErrorBody(parsed)
        return self._failed(ErrorKind.SERVER, "the answer is not a stream")

    def _translated(self, error: Exception, request_id: str | None) -> ProviderError:
        import anthropic
        import httpx2

        if isinstance(error, ProviderError):
            return error
        cause = error.__cause__ if isinstance(error, anthropic.APIConnectionError) else None
        cause = cause or error
        reached = is_sent(cause)
        if isinstance(cause, (TimeoutError, anthropic.APITimeoutError, httpx2.TimeoutException)):
            what, kind = f"{self._host} did not answer", ErrorKind.TIMEOUT
        elif isinstance(cause, httpx2.DecodingError):
            what, kind = "the answer is malformed (DecodingError)", ErrorKind.SERVER
        elif isinstance(cause, (anthropic.APIConnectionError, httpx2.HTTPError)):
            what = f"the connection to {self._host} failed ({type(cause).__name__})"
            kind = ErrorKind.NETWORK
        elif isinstance(error, (anthropic.APIStatusError, ErrorBody)):
            return self._refused(error, request_id)
        else:
            what, kind = f"the answer is malformed ({type(error).__name__})", ErrorKind.SERVER
        return self._failed(kind, what, request_id=request_id, reached=reached)

    def _refused(self, error: APIStatusError | ErrorBody, request_id: str | None) -> ProviderError:
        key = self._key.get_secret_value()
        if isinstance(error, ErrorBody):
            return refusal(self.name, key, error.body, request_id=request_id)
        response = error.response
        return refusal(
            self.name, key, error.body, status=response.status_code, headers=response.headers
        )

    def _failed(
        self,
        kind: ErrorKind,
        message: str,
        *,
        request_id: object = None,
        reached: bool = True,
    ) -> ProviderError:
        key = self._key.get_secret_value()
        return failed(self.name, key, kind, message, request_id=request_id, reached=reached)


async def _post(client: AsyncAnthropic, body: Json, how: dict[str, Any]) -> Any:
    options: Any = {}
    if "temperature" in body:
        options["headers"] = {"anthropic-version": SAMPLING_VERSION}
    return await client.post("/v1/messages", body=body, options=options, **how)
