"""Google's Gemini API, and servers that speak it.

The official SDK is imported, in a thread, when the first call is made.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from pydantic import SecretStr

from sigil.errors import ConfigError, ErrorKind, ProviderError
from sigil.http.transport import is_sent
from sigil.providers import catalogue
from sigil.providers.base import ChatRequest, ModelInfo
from sigil.providers.google.answer import Answer
from sigil.providers.google.client import build, error_in, leaving, request_id_of
from sigil.providers.google.errors import refusal
from sigil.providers.google.models import listed
from sigil.providers.google.request import configured, conversation
from sigil.providers.shared.sdk import SdkProvider
from sigil.providers.shared.vendor import ToolNames, checked_key, failed, host_of

if TYPE_CHECKING:
    from google import genai
    from google.genai import types
    from httpx2 import AsyncClient, Response

_OFFICIAL_URL = "https://generativelanguage.googleapis.com"
_API_VERSION = "v1"
_VERSION = re.compile(r"v\d+(?:(?:alpha|beta|main)\d*)?")
_MODEL = re.compile(r"(?:models/|tunedModels/)?\w[\w.:@-]*", re.ASCII)
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")
# Seconds that a server may take to end its body after the answer's end.
_LINGER = 1.0


class GoogleProvider(SdkProvider["tuple[genai.Client, AsyncClient]", Answer]):
    """One account with the Gemini API, or one server at `base_url` that speaks it.

    `api_version` is the first part of its paths, `v1` unless set (emulators often serve
    `v1beta`). `thinking` is how much its models think before they answer: a level (`minimal`,
    `low`, `medium`, `high`, `xhigh`), a budget in tokens, -1 for what the model finds right, 0
    for not at all; which of them a model takes is up to the model. `read_timeout` is in seconds.
    Raises `ConfigError` for a missing or malformed key, address or option.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        name: str = "google",
        read_timeout: float = 300.0,
        api_version: str | None = None,
        thinking: int | str | None = None,
    ) -> None:
        super().__init__(name, catalogue.Catalogue(catalogue.GOOGLE))
        self._base_url = base_url or _OFFICIAL_URL
        self._host = host_of(name, self._base_url)
        self._key = SecretStr(checked_key(name, api_key, base_url))
        self._api_version = _checked_version(name, api_version)
        self._thinking = _checked_thinking(name, thinking)
        self._read_timeout = read_timeout

    def _build(self) -> tuple[genai.Client, AsyncClient]:
        # The SDK's client is kept beside its `aio`, which ends when it does.
        return build(
            self._key.get_secret_value(), self._base_url, self._api_version, self._read_timeout
        )

    async def _close(self, client: tuple[genai.Client, AsyncClient]) -> None:
        sdk, http = client
        sdk.close()
        await http.aclose()

    async def _listed(self, client: tuple[genai.Client, AsyncClient]) -> list[ModelInfo]:
        found = await listed(client[0], self._catalogue.find)
        if not found:
            raise self._failed(ErrorKind.SERVER, "the vendor listed no models")
        return found

    def _answer(self, request: ChatRequest) -> Answer:
        return Answer(request.model, ToolNames(request.tools), self._failed)

    async def _texts(self, request: ChatRequest, answer: Answer) -> AsyncGenerator[str, None]:
        client, _ = await self._connected()
        models = client.aio.models
        arguments = self._arguments(request, answer.names)
        responses: list[Response] = []
        if not request.stream:
            with leaving(responses):
                whole = await models.generate_content(**arguments)
            answer.request_id = request_id_of(responses)
            if not whole.candidates and (error := error_in(responses)) is not None:
                raise _ErrorBody(error)
            yield answer.take_whole(whole)
            return
        opened = await models.generate_content_stream(**arguments)
        chunks = cast("AsyncGenerator[types.GenerateContentResponse, None]", opened)
        try:
            with leaving(responses):
                chunk = await anext(chunks, None)
            answer.request_id = request_id_of(responses)
            while chunk is not None:
                yield answer.take(chunk)
                chunk = await (_rest(chunks) if answer.finished else anext(chunks, None))
        finally:
            for response in responses:
                await response.aclose()
            await chunks.aclose()

    def _arguments(self, request: ChatRequest, names: ToolNames) -> dict[str, Any]:
        """Raises `ProviderError` for what cannot even be sent."""
        if not _MODEL.fullmatch(request.model) or ".." in request.model:
            raise self._failed(ErrorKind.UNAVAILABLE, "no model can have this name")
        what = "the request says nothing"
        try:
            contents = conversation(request, names)
            config = configured(request, names, self._thinking_of(request.model))
        except Exception as error:  # noqa: BLE001  # its text would quote the conversation
            what = f"the request cannot be written ({type(error).__name__})"
        else:
            if contents:
                return {"model": request.model, "contents": contents, "config": config}
        raise self._failed(ErrorKind.INVALID_REQUEST, what)

    def _thinking_of(self, model: str) -> types.ThinkingConfig | None:
        """What is configured, but not for a model that is known not to think: it would refuse."""
        from google.genai import types

        info = self.model_info(model)
        if not self._thinking or not (info.thinking or info == ModelInfo(model)):
            return None
        return types.ThinkingConfig(**self._thinking)

    def _translated(self, error: Exception, request_id: str | None) -> ProviderError:
        import httpx2
        from google.genai import errors

        if isinstance(error, ProviderError):
            return error
        cause = type(error).__name__
        reached = is_sent(error)
        if isinstance(error, (httpx2.TimeoutException, TimeoutError)):
            what = f"{self._host} did not answer"
            return self._failed(ErrorKind.TIMEOUT, what, request_id, reached=reached)
        if isinstance(error, (httpx2.TransportError, OSError)):
            what = f"the connection to {self._host} failed ({cause})"
            return self._failed(ErrorKind.NETWORK, what, request_id, reached=reached)
        if isinstance(error, errors.APIError):
            return self._refused(error.details, error.response, request_id)
        if isinstance(error, _ErrorBody):
            return self._refused(error.body, None, request_id)
        return self._failed(ErrorKind.SERVER, f"the answer is malformed ({cause})", request_id)

    def _refused(self, body: object, response: Any, request_id: str | None) -> ProviderError:
        """What an error object means; it may come in the middle of a success."""
        status = getattr(response, "status_code", None)
        said = refusal(body, status, getattr(response, "headers", None) or {})
        return failed(
            self.name,
            self._key.get_secret_value(),
            said.kind,
            said.message,
            status=said.status,
            request_id=said.request_id or request_id,
            wait=said.wait,
        )

    def _failed(
        self, kind: ErrorKind, what: str, request_id: str | None = None, *, reached: bool = True
    ) -> ProviderError:
        secret = self._key.get_secret_value()
        return failed(self.name, secret, kind, what, request_id=request_id, reached=reached)


async def _rest(
    chunks: AsyncGenerator[types.GenerateContentResponse, None],
) -> types.GenerateContentResponse | None:
    """What comes after a complete answer: perhaps its usage, and the body's end, so that the
    connection can be used again. Whatever else comes takes nothing away from the answer."""
    with suppress(Exception):
        async with asyncio.timeout(_LINGER):
            return await anext(chunks, None)
    return None


class _ErrorBody(Exception):
    """An error object where an answer was due, under a status of success."""

    def __init__(self, body: object) -> None:
        super().__init__()
        self.body = body


def _checked_version(name: str, version: object) -> str:
    if version is None:
        return _API_VERSION
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise ConfigError(
            f"providers.{name}.options.api_version is not a version.", hint="Write it as v1beta."
        )
    return version


def _checked_thinking(name: str, thinking: object) -> dict[str, Any]:
    """The SDK's names for what is configured; empty if nothing is."""
    if thinking is None:
        return {}
    if isinstance(thinking, str) and thinking.lower() in _LEVELS:
        return {"thinking_level": thinking.upper()}
    if isinstance(thinking, int) and not isinstance(thinking, bool) and thinking >= -1:
        return {"thinking_budget": thinking}
    raise ConfigError(
        f"providers.{name}.options.thinking is neither a level nor a budget.",
        hint=f"Write {', '.join(_LEVELS)}, or a number of tokens (-1: the model decides).",
    )
