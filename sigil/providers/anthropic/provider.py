"""Anthropic's Messages API, and servers that speak it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.errors import ProviderError
from sigil.providers.anthropic.answer import AnthropicAnswer
from sigil.providers.anthropic.client import OFFICIAL_HOST, build_client
from sigil.providers.anthropic.errors import translate_error
from sigil.providers.anthropic.models import MODELS, list_models
from sigil.providers.anthropic.options import AnthropicOptions, Effort, Thinking
from sigil.providers.anthropic.request import SAMPLING_VERSION, build_request, has_thoughts
from sigil.providers.base import ChatRequest, ModelInfo
from sigil.providers.shared.endpoint import Endpoint, check_key, read_host
from sigil.providers.shared.errors import Refusal, make_error
from sigil.providers.shared.json_fields import Json
from sigil.providers.shared.post import Post
from sigil.providers.shared.sse_provider import SseProvider
from sigil.providers.shared.tools import ToolNames

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic

_SAMPLING_HEADERS = {b"anthropic-version": SAMPLING_VERSION.encode()}


class AnthropicProvider(SseProvider["AsyncAnthropic", AnthropicAnswer]):
    """One account with Anthropic, or one compatible server at `base_url`, which may need no key.

    The other keywords are those of `AnthropicOptions`. Raises `ConfigError` for a missing or
    malformed key, address or option.
    """

    request_id_header = "request-id"

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        name: str = "anthropic",
        read_timeout: float | None = 300.0,
        prompt_caching: bool = True,
        thinking: Thinking | None = None,
        effort: Effort | None = None,
        send_user_id: bool = False,
    ) -> None:
        # The SDK adds the version, which people also put into the address, as other SDKs want it.
        url = (base_url or f"https://{OFFICIAL_HOST}").rstrip("/").removesuffix("/v1")
        host = read_host(name, url)
        key = check_key(name, api_key, is_needed=not base_url)
        self._options = AnthropicOptions.check(
            name,
            {
                "read_timeout": read_timeout,
                "prompt_caching": prompt_caching,
                "thinking": thinking,
                "effort": effort,
                "send_user_id": send_user_id,
            },
        )
        # Under its own name it is Anthropic, perhaps behind a proxy.
        is_anthropic = host == OFFICIAL_HOST or name == "anthropic"
        super().__init__(Endpoint(name, url, host, key), MODELS if is_anthropic else ())

    def _build_client(self) -> tuple[AsyncAnthropic, httpx2.AsyncClient]:
        return build_client(self._endpoint, self._options)

    async def _fetch_models(
        self, client: tuple[AsyncAnthropic, httpx2.AsyncClient]
    ) -> list[ModelInfo]:
        models = await list_models(client[0], self._catalogue.find)
        if not models:
            raise make_error(self._endpoint, "the vendor listed no models")
        return models

    def _start_answer(self, request: ChatRequest) -> AnthropicAnswer:
        return AnthropicAnswer(request.model, ToolNames(request.tools), self._endpoint)

    def _translate_error(self, error: Exception, request_id: str | None) -> ProviderError:
        return translate_error(error, self._endpoint, request_id)

    async def _ask_for_nothing(self, client: AsyncAnthropic) -> object:
        return await client.post("/v1/messages", cast_to=object, body={})

    async def _send(
        self, post: Post, request: ChatRequest, answer: AnthropicAnswer
    ) -> httpx2.Response:
        info = self.model_info(request.model)
        body = build_request(request, info, answer.names, self._options)
        try:
            return await _send_body(post, body, request)
        except Refusal as refusal:
            # Thoughts are refused, before any work, if they no longer fit what precedes them; for
            # instance when older messages had to be left out within a turn.
            is_about_thoughts = refusal.response.status_code == 400 and "thinking" in str(
                refusal.body
            )
            if not is_about_thoughts or not has_thoughts(body):
                raise
        body = build_request(request, info, answer.names, self._options, with_thoughts=False)
        return await _send_body(post, body, request)


async def _send_body(post: Post, body: Json, request: ChatRequest) -> httpx2.Response:
    headers = _SAMPLING_HEADERS if "temperature" in body else None
    return await post.send(body, stream=request.stream, headers=headers)
