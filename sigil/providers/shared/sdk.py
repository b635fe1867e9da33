"""A provider over a vendor's SDK: one client, a catalogue of models, and answers as events.

    chat(request)
      │  clean_request          what cannot be written as JSON is replaced
      │  _read_texts            the vendor's part: asks, feeds the answer, yields its text
      ▼
    TEXT_DELTA …                one for each piece that brings text
      │  answer.close           TOOL_CALL…, USAGE, DONE
      │  _translate_error       or, whatever was raised: USAGE, ERROR
      ▼
    exactly one DONE or ERROR

`answer.py` explains when an answer counts as complete. Importing an SDK takes a second or so; it
happens in a thread when the first call is made, while the event loop serves other streams.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any, Generic, TypeVar

from sigil.errors import ProviderError
from sigil.providers.base import ChatEvent, ChatRequest, EventType, ModelInfo
from sigil.providers.shared.answer import VendorAnswer
from sigil.providers.shared.catalogue import Catalogue
from sigil.providers.shared.endpoint import Endpoint
from sigil.providers.shared.requests import clean_request

_REFRESH_TIMEOUT = 30.0

Client = TypeVar("Client")
AnswerT = TypeVar("AnswerT", bound=VendorAnswer[Any, Any])


class SdkProvider(ABC, Generic[Client, AnswerT]):
    """One account with a vendor, or with one server that speaks its API. `models` are those that
    are known without asking."""

    def __init__(self, endpoint: Endpoint, models: Iterable[ModelInfo]) -> None:
        self.name = endpoint.provider
        self._endpoint = endpoint
        self._catalogue = Catalogue(models)
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    @abstractmethod
    def _build_client(self) -> Client:
        """Imports the SDK and makes its client; called in a thread."""

    async def _prepare_client(self, client: Client) -> None:
        """Does what needs the event loop and must precede the first call."""

    @abstractmethod
    async def _close_client(self, client: Client) -> None:
        """Closes the client's connections."""

    @abstractmethod
    async def _fetch_models(self, client: Client) -> list[ModelInfo]:
        """The models that the vendor lists."""

    @abstractmethod
    def _start_answer(self, request: ChatRequest) -> AnswerT:
        """An empty answer, before anything has arrived."""

    @abstractmethod
    def _read_texts(self, request: ChatRequest, answer: AnswerT) -> AsyncGenerator[str, None]:
        """Sends the request and feeds `answer`. Yields each piece's text, empty if the piece has
        none."""

    @abstractmethod
    def _translate_error(self, error: Exception, request_id: str | None) -> ProviderError:
        """The error in Sigil's terms."""

    async def available(self) -> bool:
        """Always true: a provider that is configured can be tried."""
        return True

    async def list_models(self) -> list[ModelInfo]:
        """The models that the vendor listed last; until it was asked, those that are built in."""
        return list(self._catalogue.models)

    def model_info(self, model: str) -> ModelInfo:
        """What a model can do. A model that is not in the catalogue is expected to do little."""
        return self._catalogue.find(model)

    async def refresh_models(self) -> list[ModelInfo]:
        """Asks the vendor, within 30 s, which models there are. Raises `ProviderError`."""
        models: list[ModelInfo] = []
        failure: ProviderError | None = None
        try:
            async with asyncio.timeout(_REFRESH_TIMEOUT):
                models = await self._fetch_models(await self._connect())
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets its class
            failure = self._translate_error(error, None)
        if failure is not None:
            # Raised out here, so that the original is not even its context.
            raise failure
        self._catalogue.replace(models)
        return await self.list_models()

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        """Streams one answer."""
        answer = self._start_answer(request)
        failure: ProviderError | None = None
        try:
            async with aclosing(self._read_texts(clean_request(request), answer)) as texts:
                async for text in texts:
                    if text:
                        yield ChatEvent(EventType.TEXT_DELTA, text=text)
                    else:
                        request.note_activity()
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets its class
            failure = self._translate_error(error, answer.request_id)
        for event in answer.close(failure):
            yield event

    async def prepare(self) -> None:
        """Imports the SDK and makes its client, so that the first call need not wait for it."""
        await self._connect()

    async def aclose(self) -> None:
        """Closes the pooled connections; a later call opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await self._close_client(client)

    async def _connect(self) -> Client:
        if self._client is not None:
            return self._client
        async with self._connecting:
            if self._client is None:
                client = await asyncio.to_thread(self._build_client)
                await self._prepare_client(client)
                self._client = client
            return self._client
