"""A provider whose SDK sends the request and whose answer Sigil reads off the response itself.

Left to the SDKs, a token costs several times as much: they build objects of their own types, which
they do not check, and read events one by one (docs/decisions/0006-http-transport.md).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, ClassVar, TypeVar

from sigil.http.sse import read_json_body, read_texts
from sigil.providers.base import ChatRequest
from sigil.providers.shared.answer import VendorAnswer
from sigil.providers.shared.errors import ErrorBody, make_error
from sigil.providers.shared.json_fields import read_object
from sigil.providers.shared.sdk import Client, SdkProvider

SseAnswer = TypeVar("SseAnswer", bound=VendorAnswer[str, bytes])
"""An answer that takes the data of events, or the body of a whole answer."""


class SseProvider(SdkProvider[Client, SseAnswer]):
    """An SDK provider that reads server-sent events."""

    request_id_header: ClassVar[str]
    """The response header with the vendor's id of the request."""

    @abstractmethod
    async def _post(
        self, client: Client, request: ChatRequest, answer: SseAnswer, **how: Any
    ) -> Any:
        """Sends the request. `how` says what the SDK returns: `cast_to` and `stream`."""

    async def _read_texts(
        self, request: ChatRequest, answer: SseAnswer
    ) -> AsyncGenerator[str, None]:
        client = await self._connect()
        if not request.stream:
            import httpx2

            response = await self._post(client, request, answer, cast_to=httpx2.Response)
            answer.request_id = response.headers.get(self.request_id_header)
            yield answer.take_whole(response.content)
            return
        stream = await self._post(client, request, answer, cast_to=object, stream=True)
        try:
            response = stream.response
            answer.request_id = response.headers.get(self.request_id_header)
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
            await stream.close()
