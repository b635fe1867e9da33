"""OpenAI, and every server that speaks its API: Ollama, vLLM, OpenRouter, …"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sigil.errors import ConfigError, ProviderError
from sigil.providers.base import ChatRequest, ModelInfo
from sigil.providers.openai.answer import OpenAIAnswer
from sigil.providers.openai.api import APIS
from sigil.providers.openai.client import build_client
from sigil.providers.openai.errors import translate_error
from sigil.providers.openai.models import MODELS, list_models
from sigil.providers.openai.options import OpenAIOptions
from sigil.providers.openai.servers import COMPATIBLE, find_server
from sigil.providers.shared.endpoint import Endpoint, check_key, read_host
from sigil.providers.shared.post import Post
from sigil.providers.shared.sse_provider import SseProvider
from sigil.providers.shared.tools import ToolNames

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

_OFFICIAL_URL = "https://api.openai.com/v1"
_OFFICIAL_HOST = "api.openai.com"

# In chat completions, OpenAI's models from gpt-5.4 on refuse tools unless they stop thinking. All
# other servers have chat completions, and so may a proxy in front of OpenAI.
_DEFAULTS_OF_OPENAI: Mapping[str, Any] = {
    "api": "responses",
    "max_tokens_field": "max_completion_tokens",
    "user_field": "safety_identifier",
}
_DEFAULTS_OF_OTHERS: Mapping[str, Any] = {"api": "chat"}


class OpenAIProvider(SseProvider["AsyncOpenAI", OpenAIAnswer]):
    """One account with OpenAI or with one server that speaks its API.

    The server is at `base_url`, and may then need no key; or it is the one that `server` (by
    default `name`) names in `servers.COMPATIBLE`; or it is OpenAI's own. `options` are those of
    `OpenAIOptions`. Raises `ConfigError` for a missing or malformed key, address or option.
    """

    request_id_header = "x-request-id"

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
        known = COMPATIBLE.get(server or name) if base_url is None else find_server(base_url)
        url = base_url or (known.base_url if known else _OFFICIAL_URL)
        host = read_host(name, url)
        # Only a known server's own address says whether it needs a key. Any other may need none.
        needs_key = not base_url and (known is None or known.needs_key)
        key = check_key(name, api_key, is_needed=needs_key)
        is_official = f".{host}".endswith(f".{_OFFICIAL_HOST}")
        defaults = {**_DEFAULTS_OF_OTHERS, **(known.options if known else {})}
        self._options = OpenAIOptions.check(name, options).fill_in(
            _DEFAULTS_OF_OPENAI if is_official else defaults
        )
        self._api = APIS[self._options.api or "chat"]
        # Under its own name it is OpenAI, perhaps behind a proxy.
        self._is_openai = is_official or name == "openai"
        super().__init__(
            Endpoint(name, url, host, key, tuple(self._options.headers.values())),
            MODELS if self._is_openai else (),
        )

    def _build_client(self) -> tuple[AsyncOpenAI, httpx2.AsyncClient]:
        return build_client(self._endpoint, self._options)

    async def _fetch_models(
        self, client: tuple[AsyncOpenAI, httpx2.AsyncClient]
    ) -> list[ModelInfo]:
        return await list_models(client[0], self._catalogue.find, is_openai=self._is_openai)

    def _start_answer(self, request: ChatRequest) -> OpenAIAnswer:
        names = ToolNames(request.tools)
        return self._api.answer(request.model, names, self._endpoint, self._options)

    def _translate_error(self, error: Exception, request_id: str | None) -> ProviderError:
        return translate_error(error, self._endpoint, request_id)

    async def _ask_for_nothing(self, client: AsyncOpenAI) -> object:
        return await client.post(self._api.path, cast_to=object, body={})

    async def _send(
        self, post: Post, request: ChatRequest, answer: OpenAIAnswer
    ) -> httpx2.Response:
        body = self._api.build_request(
            request,
            self.model_info(request.model),
            answer.names,
            self._options,
            is_openai=self._is_openai,
        )
        return await post.send(body, stream=request.stream)
