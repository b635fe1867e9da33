"""A provider whose SDK says how a request is made, and whose answer Sigil reads off the response.

Left to the SDKs, a token costs several times as much: they build objects of their own types, which
they do not check, and read events one by one (docs/decisions/0006-http-transport.md).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, ClassVar, TypeVar

from sigil.http.sse import read_json_body, read_texts
from sigil.providers.base import ChatRequest
from sigil.providers.shared.answer import VendorAnswer
from sigil.providers.shared.errors import ErrorBody, make_error
from sigil.providers.shared.json_fields import read_object
from sigil.providers.shared.post import Post
from sigil.providers.shared.sdk import SdkProvider

if TYPE_CHECKING:
    import httpx2

Sdk = TypeVar("Sdk")

SseAnswer = TypeVar("SseAnswer", bound=VendorAnswer[str, bytes])
"""An answer that takes the data of events, or the body of a whole answer."""


class SseProvider(SdkProvider[tuple[Sdk, "httpx2.AsyncClient"], SseAnswer]):
    """An SDK provider that reads server-sent events."""

    request_id_header: ClassVar[str]
    """The response header with the vendor's id of the request."""

    _post: Post

    @abstractmethod
    async def _ask_for_nothing(self, client: Sdk) -> object:
        """Lets the SDK post an empty object to where requests go."""

    @abstractmethod
    async def _send(self, post: Post, request: ChatRequest, answer: SseAnswer) -> httpx2.Response:
        """Sends the request."""

    async def _prepare_client(self, client: tuple[Sdk, httpx2.AsyncClient]) -> None:
        sdk, http = client
        self._post = await Post.learn(http, lambda: self._ask_for_nothing(sdk))

    async def _close_client(self, client: tuple[Sdk, httpx2.AsyncClient]) -> None:
        await client[1].aclose()

    async def _read_texts(
        self, request: ChatRequest, answer: SseAnswer
    ) -> AsyncGenerator[str, None]:
        await self._connect()
        response = await self._send(self._post, request, answer)
        try:
            answer.request_id = response.headers.get(self.request_id_header)
            if not request.stream:
                yield answer.take_whole(response.content)
                return
            if "json" in response.headers.get("content-type", ""):
                body = read_object(await read_json_body(response))
                if body.get("error"):
                    raise ErrorBody(body)
                raise make_error(
                    self._endpoint, "the answer is not a stream", request_id=answer.request_id
                )
            texts = read_texts(response, answer.take_event, answer.is_over)
            async with aclosing(texts) as found:
                async for text in found:
                    yield text
        finally:
            await response.aclose()
