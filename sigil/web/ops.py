"""Health and metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sigil.errors import StoreError
from sigil.web.prometheus import exposition

if TYPE_CHECKING:
    from starlette.requests import Request

    from sigil.gateway import Gateway
    from sigil.web.access import Access

READY_WITHIN_S = 2.0


class Operations:
    """`/healthz`: the process lives. `/readyz`: Redis answers. `/metrics`: Prometheus."""

    def __init__(self, gateway: Gateway, access: Access) -> None:
        self._stores = gateway.stores
        self._access = access
        self.routes = [
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics),
        ]

    async def healthz(self, request: Request) -> Response:
        """200 as long as the event loop turns."""
        return PlainTextResponse("ok\n")

    async def readyz(self, request: Request) -> Response:
        """503 while the store does not answer in time."""
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                await self._stores.backend.ping()
        except (StoreError, TimeoutError):
            return PlainTextResponse("the message store does not answer\n", 503)
        return PlainTextResponse("ready\n")

    async def metrics(self, request: Request) -> Response:
        """Counts of the accounting identity and the time that each stage takes."""
        self._access.check_metrics(request)
        body, content_type = await exposition(self._stores)
        return Response(body, headers={"Content-Type": content_type})
