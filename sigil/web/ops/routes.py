"""Health and metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sigil.errors import StoreError

if TYPE_CHECKING:
    from starlette.requests import Request

    from sigil.stores.base import Backend
    from sigil.web.access.authentication import Access
    from sigil.web.ops.metrics import Metrics

READY_WITHIN_S = 2.0


class OperationsRoutes:
    """`/healthz`: the process is alive. `/readyz`: Redis answers. `/metrics`: for Prometheus."""

    def __init__(self, *, access: Access, backend: Backend, metrics: Metrics) -> None:
        self._access = access
        self._backend = backend
        self._metrics = metrics
        self.routes = [
            Route("/healthz", self.check_health),
            Route("/readyz", self.check_readiness),
            Route("/metrics", self.show_metrics),
        ]

    async def check_health(self, request: Request) -> Response:
        """200 as long as the event loop runs."""
        return PlainTextResponse("ok\n")

    async def check_readiness(self, request: Request) -> Response:
        """200, or 503 if the store does not answer within `READY_WITHIN_S`."""
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                await self._backend.ping()
        except (StoreError, TimeoutError):
            return PlainTextResponse("the message store is not responding\n", 503)
        return PlainTextResponse("ready\n")

    async def show_metrics(self, request: Request) -> Response:
        """How messages ended, how long each stage takes, which models rest, what was spent."""
        self._access.check_metrics_reader(request)
        body, content_type = await self._metrics.render()
        return Response(body, headers={"Content-Type": content_type})
