"""What the providers over a vendor's SDK have in common: one client, made on first use beside the
event loop; the models; an answer that ends in exactly one DONE or ERROR."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Generic, Protocol, TypeVar

from sigil.errors import ProviderError
from sigil.providers.base import ChatEvent, ChatRequest, EventType, ModelInfo
from sigil.providers.catalogue import Catalogue
from sigil.providers.shared.vendor import sound

_REFRESH_TIMEOUT = 30.0


class Ending(Protocol):
    """An answer that was put together piece by piece."""

    request_id: str | None

    def end(self, failure: ProviderError | None) -> list[ChatEvent]:
        """What closes it: tool calls, usage, and DONE or ERROR."""
        ...


Client = TypeVar("Client")
AnswerT = TypeVar("AnswerT", bound=Ending)


class SdkProvider(ABC, Generic[Client, AnswerT]):
    """One account with a vendor, or with one server that speaks its API."""

    def __init__(self, name: str, catalogue: Catalogue) -> None:
        self.name = name
        self._catalogue = catalogue
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    @abstractmethod
    def _build(self) -> Client:
        """Imports the SDK and makes its client; called in a thread."""

    @abstractmethod
    async def _close(self, client: Client) -> None:
        """Closes the client's connections."""

    @abstractmethod
    async def _listed(self, client: Client) -> list[ModelInfo]:
        """The models that the vendor lists."""

    @abstractmethod
    def _answer(self, request: ChatRequest) -> AnswerT:
        """An answer of which nothing has come yet."""

    @abstractmethod
    def _texts(self, request: ChatRequest, answer: AnswerT) -> AsyncGenerator[str, None]:
        """Asks, and hands what comes to `answer`; yields its text, or an empty one for what is
        none."""

    @abstractmethod
    def _translated(self, error: Exception, request_id: str | None) -> ProviderError:
        """The error in Sigil's terms. The original is not kept as its cause: it holds the request
        with its key, and a vendor's text that may quote it."""

    async def available(self) -> bool:
        """Always: what is configured can be tried."""
        return True

    async def list_models(self) -> list[ModelInfo]:
        """What the vendor said last, or else what is built in: nothing under a name of one's own,
        whose server only its owner knows."""
        return list(self._catalogue.models)

    def model_info(self, model: str) -> ModelInfo:
        """What a model can do; of one that is not in the catalogue little is expected."""
        return self._catalogue.find(model)

    async def refresh_models(self) -> list[ModelInfo]:
        """Asks the vendor, within 30 s, which models there are. Raises `ProviderError`."""
        found: list[ModelInfo] = []
        failure: ProviderError | None = None
        try:
            async with asyncio.timeout(_REFRESH_TIMEOUT):
                found = await self._listed(await self._connected())
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets its class
            failure = self._translated(error, None)
        if failure is not None:
            # Out here, so that what was raised is not even its context.
            raise failure
        self._catalogue.replace(found)
        return await self.list_models()

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        """Streams one answer; complete only with the vendor's own mark of its end."""
        answer = self._answer(request)
        failure: ProviderError | None = None
        try:
            async with aclosing(self._texts(sound(request, self.name), answer)) as texts:
                async for text in texts:
                    if text:
                        yield ChatEvent(EventType.TEXT_DELTA, text=text)
                    else:
                        request.heard()
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets its class
            failure = self._translated(error, answer.request_id)
        for event in answer.end(failure):
            yield event

    async def prepare(self) -> None:
        """Imports the SDK and makes its client, so that the first call need not wait for it."""
        await self._connected()

    async def aclose(self) -> None:
        """Closes the pooled connections; a later call opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await self._close(client)

    async def _connected(self) -> Client:
        async with self._connecting:
            if self._client is None:
                # The import takes a second or so; the loop has other streams to serve meanwhile.
                self._client = await asyncio.to_thread(self._build)
            return self._client
