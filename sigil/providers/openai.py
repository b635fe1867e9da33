"""OpenAI's chat completions, and every server that speaks them: Ollama, vLLM, OpenRouter, …

The official SDK is imported, in a thread, when the first call is made.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import SecretStr

from sigil.errors import ErrorKind, ProviderError
from sigil.providers import catalogue
from sigil.providers.base import ChatEvent, ChatRequest, EventType, Message, ModelInfo
from sigil.providers.openai_answer import Answer
from sigil.providers.vendor import checked_key, clean, host_of, kind_of, retry_after

if TYPE_CHECKING:
    from httpx2 import Response
    from openai import AsyncOpenAI, AsyncStream
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

MaxTokensField = Literal["max_tokens", "max_completion_tokens"]

_OFFICIAL_URL = "https://api.openai.com/v1"
_OFFICIAL_HOST = "api.openai.com"
_MAX_ERROR_BODY = 64 * 1024
# Seconds, but for `read`, which is the caller's: chains have a stricter deadline of their own.
_CONNECT_TIMEOUT, _WRITE_TIMEOUT, _POOL_TIMEOUT = 10.0, 30.0, 30.0
_MAX_CONNECTIONS, _MAX_KEEPALIVE = 1000, 100

# https://platform.openai.com/docs/guides/error-codes, and what compatible servers were seen with.
_KIND_OF_CODE = {
    "insufficient_quota": ErrorKind.BILLING,
    "billing_hard_limit_reached": ErrorKind.BILLING,
    "billing_not_active": ErrorKind.BILLING,
    "rate_limit_exceeded": ErrorKind.RATE_LIMITED,
    "rate_limit_error": ErrorKind.RATE_LIMITED,
    "overloaded_error": ErrorKind.OVERLOADED,
    "server_error": ErrorKind.SERVER,
    "invalid_api_key": ErrorKind.AUTH,
    "authentication_error": ErrorKind.AUTH,
    "model_not_found": ErrorKind.UNAVAILABLE,
    "context_length_exceeded": ErrorKind.CONTEXT_TOO_LONG,
    "content_filter": ErrorKind.FILTERED,
    "content_policy_violation": ErrorKind.FILTERED,
}


class OpenAIProvider:
    """One account with OpenAI or one compatible server at `base_url`, which may need no key.

    `max_tokens_field` says how the answer's bound is called; by default OpenAI's own servers get
    `max_completion_tokens` and others `max_tokens`. `read_timeout` is in seconds. Raises
    `ConfigError` for a missing or malformed key or address.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        name: str = "openai",
        organization: str | None = None,
        project: str | None = None,
        max_tokens_field: MaxTokensField | None = None,
        read_timeout: float = 300.0,
    ) -> None:
        self.name = name
        self._base_url = base_url or _OFFICIAL_URL
        self._host = host_of(name, self._base_url)
        self._key = SecretStr(checked_key(name, api_key, base_url))
        self._organization = organization
        self._project = project
        self._official = f".{self._host}".endswith(f".{_OFFICIAL_HOST}")
        self._max_tokens_field = max_tokens_field or (
            "max_completion_tokens" if self._official else "max_tokens"
        )
        self._read_timeout = read_timeout
        self._client: AsyncOpenAI | None = None
        self._connecting = asyncio.Lock()

    async def available(self) -> bool:
        """Always: what is configured can be tried."""
        return True

    async def list_models(self) -> list[ModelInfo]:
        """OpenAI's models; none under another name, whose server only its owner knows."""
        return list(catalogue.OPENAI) if self._is_openai() else []

    def model_info(self, model: str) -> ModelInfo:
        """What a model can do; of one that is not in the catalogue little is expected."""
        return catalogue.find(catalogue.OPENAI if self._is_openai() else (), model)

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        """Streams one answer; complete only with the vendor's `finish_reason`."""
        answer = Answer(self.name)
        failure: ProviderError | None = None
        try:
            async with aclosing(self._texts(request, answer)) as texts:
                async for text in texts:
                    yield ChatEvent(EventType.TEXT_DELTA, text=text)
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets its class
            failure = self._translated(error, answer.request_id)
        for event in answer.end(failure):
            yield event

    async def aclose(self) -> None:
        """Closes the pooled connections; a later call opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _is_openai(self) -> bool:
        # Under its own name it is OpenAI, if need be behind a proxy.
        return self._official or self.name == "openai"

    async def _texts(self, request: ChatRequest, answer: Answer) -> AsyncGenerator[str, None]:
        create = (await self._connected()).chat.completions.create
        payload = self._payload(request)
        if not request.stream:
            completion = cast("ChatCompletion", await create(**payload))
            if refusal := getattr(completion, "error", None):
                raise _ErrorBody(refusal)
            if text := answer.take_whole(completion):
                yield text
            return
        payload["stream_options"] = {"include_usage": True}
        created = await create(**payload, stream=True)
        stream = cast("AsyncStream[ChatCompletionChunk]", created)
        try:
            answer.request_id = stream.response.headers.get("x-request-id")
            if "json" in stream.response.headers.get("content-type", ""):
                raise await self._not_a_stream(stream)
            async for chunk in stream:
                if text := answer.take(chunk):
                    yield text
        finally:
            await stream.close()

    async def _connected(self) -> AsyncOpenAI:
        async with self._connecting:
            if self._client is None:
                # The import takes 0.6 s; the loop has other streams to serve meanwhile.
                self._client = await asyncio.to_thread(self._build_client)
            return self._client

    def _build_client(self) -> AsyncOpenAI:
        import httpx2
        from openai import AsyncOpenAI

        timeout = httpx2.Timeout(
            connect=_CONNECT_TIMEOUT,
            read=self._read_timeout,
            write=_WRITE_TIMEOUT,
            pool=_POOL_TIMEOUT,
        )
        limits = httpx2.Limits(
            max_connections=_MAX_CONNECTIONS, max_keepalive_connections=_MAX_KEEPALIVE
        )
        client = AsyncOpenAI(
            api_key=self._key.get_secret_value(),
            base_url=self._base_url,
            max_retries=0,
            timeout=timeout,
            http_client=httpx2.AsyncClient(timeout=timeout, limits=limits),
        )
        # The SDK would take what is not given from the environment, and so from another account.
        client.organization, client.project = self._organization, self._project
        # It loads its resources on first access; that belongs in this thread too.
        _ = client.chat.completions
        return client

    def _payload(self, request: ChatRequest) -> dict[str, Any]:
        messages = [_wire_message(message) for message in request.messages]
        if request.system_prompt:
            messages.insert(0, {"role": "system", "content": request.system_prompt})
        payload: dict[str, Any] = {
            "model": request.model,
            "messages": messages,
            self._max_tokens_field: request.max_tokens,
        }
        # OpenAI's thinking models refuse a request that sets it.
        if request.temperature is not None and not self.model_info(request.model).thinking:
            payload["temperature"] = request.temperature
        if request.tools:
            payload["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": tool.parameters or {"type": "object", "properties": {}},
                    },
                }
                for tool in request.tools
            ]
        return payload

    async def _not_a_stream(self, stream: AsyncStream[ChatCompletionChunk]) -> Exception:
        body = bytearray()
        async for part in stream.response.aiter_bytes():
            body += part
            if len(body) > _MAX_ERROR_BODY:
                break
        parsed = json.loads(body)
        refusal = parsed.get("error") if isinstance(parsed, dict) else None
        if refusal:
            return _ErrorBody(refusal)
        return self._error(ErrorKind.SERVER, "the answer is not a stream", None)

    def _translated(self, error: Exception, request_id: str | None) -> ProviderError:
        """The error in Sigil's terms. The original is not kept as its cause: it holds the
        request with its key, and a vendor's text that may quote it."""
        import httpx2
        import openai

        if isinstance(error, ProviderError):
            return error
        if isinstance(error, openai.APITimeoutError):
            return self._error(ErrorKind.TIMEOUT, f"{self._host} did not answer", request_id)
        if isinstance(error, (openai.APIConnectionError, httpx2.HTTPError)):
            cause = type(error.__cause__ or error).__name__
            return self._error(
                ErrorKind.NETWORK, f"the connection to {self._host} failed ({cause})", request_id
            )
        if isinstance(error, openai.APIStatusError):
            return self._refused(error.body, error.message, request_id, error.response)
        if isinstance(error, openai.APIError):
            return self._refused(error.body, error.message, request_id)
        if isinstance(error, _ErrorBody):
            return self._refused(error.body, "the answer is an error", request_id)
        what = type(error).__name__
        return self._error(ErrorKind.SERVER, f"the answer is malformed ({what})", request_id)

    def _refused(
        self,
        body: object,
        message: str,
        request_id: str | None,
        response: Response | None = None,
    ) -> ProviderError:
        """What an error object means; without a response it came in the middle of a success."""
        fields = body if isinstance(body, dict) else {"message": body}
        said = fields.get("message")
        message = said if isinstance(said, str) and said else message
        words = [str(fields[key]) for key in ("code", "type") if fields.get(key) is not None]
        status = None if response is None else response.status_code
        status = status or next((int(word) for word in words if word.isdecimal()), None)
        kind = next((_KIND_OF_CODE[word] for word in words if word in _KIND_OF_CODE), None)
        if kind is None:
            # Without a status a request that is at fault is named; all else is the server's.
            assumed = 400 if "invalid_request_error" in words else 500
            kind = kind_of(status or assumed, message)
        headers = {} if response is None else response.headers
        return self._error(
            kind,
            message,
            headers.get("x-request-id") or request_id,
            status=status,
            wait=retry_after(headers),
        )

    def _error(
        self,
        kind: ErrorKind,
        message: str,
        request_id: str | None,
        *,
        status: int | None = None,
        wait: float | None = None,
    ) -> ProviderError:
        text = clean(message, self._key.get_secret_value())
        return ProviderError(
            f"{self.name}: {text.rstrip('.')}.",
            kind=kind,
            provider=self.name,
            status=status,
            request_id=request_id,
            retry_after=wait,
            hint=f"Check providers.{self.name}.api_key." if kind is ErrorKind.AUTH else None,
        )


def _wire_message(message: Message) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        wire["content"] = message.content or None
        wire["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
            }
            for call in message.tool_calls
        ]
    return wire


class _ErrorBody(Exception):
    """An error object where an answer was due, under a status of success."""

    def __init__(self, body: object) -> None:
        super().__init__()
        self.body = body
