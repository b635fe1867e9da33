"""Health and metrics."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sigil.channels.account_leases import describe_trouble
from sigil.config.schema import WORKER_ROLES
from sigil.errors import StoreError
from sigil.lanes.fleet import LIVE_S, describe_missing, describe_silence, measure_silence
from sigil.web.responses import describe_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from sigil.channels.account_leases import AccountLeases
    from sigil.lanes.fleet import FleetStore
    from sigil.stores.base import Stores
    from sigil.web.access.authentication import Access
    from sigil.web.ops.metrics import Metrics

READY_WITHIN_S = 2.0
METRICS_WITHIN_S = 5.0


class OperationsRoutes:
    """`/healthz`: the process runs. `/readyz`: it takes messages. `/metrics`: for Prometheus."""

    def __init__(
        self, *, access: Access, stores: Stores, metrics: Metrics, accounts: Sequence[str]
    ) -> None:
        self._access = access
        self._backend = stores.backend
        self._metrics = metrics
        self._absences = Absences(stores.fleet)
        self._deafness = Deafness(stores.accounts, accounts)
        self.routes = [
            Route("/healthz", self.check_health),
            Route("/readyz", self.check_readiness),
            Route("/metrics", self.show_metrics),
        ]

    async def check_health(self, request: Request) -> Response:
        """200 as long as the event loop runs."""
        return PlainTextResponse("ok\n")

    async def check_readiness(self, request: Request) -> Response:
        """200, or 503 with the cause if the store does not answer within `READY_WITHIN_S` or would
        take no message.

        Without workers it stays 200: messages are taken and kept until a worker is back, and a
        gateway that is taken out of service would take none. But the cause is named. It stays 200
        too if an account does not work: no restart mends that, and the others would be cut off.
        """
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                await self._backend.ping()
                await self._backend.check_room()
                absences, deafness = await asyncio.gather(
                    self._absences.describe(), self._deafness.describe()
                )
        except (StoreError, TimeoutError) as error:
            return JSONResponse({"ready": False, "causes": [describe_store(error)]}, 503)
        return JSONResponse({"ready": True, "causes": [*absences, *deafness]})

    async def show_metrics(self, request: Request) -> Response:
        """How messages ended, how long each stage takes, which models rest, what was spent."""
        self._access.check_metrics_reader(request)
        try:
            async with asyncio.timeout(METRICS_WITHIN_S):
                body, content_type = await self._metrics.render()
        except TimeoutError:
            raise StoreError(f"Redis did not answer within {METRICS_WITHIN_S:g} s.") from None
        return Response(body, headers={"Content-Type": content_type})


class Absences:
    """Which roles have had no live worker for more than `LIVE_S`, as a restart takes less, and
    which workers of the others are silent. Says neither host nor process: anybody may ask."""

    def __init__(self, fleet: FleetStore) -> None:
        self._fleet = fleet
        self._heard: dict[str, float] = dict.fromkeys(WORKER_ROLES, time.monotonic())

    async def describe(self) -> list[str]:
        """A sentence for each. Raises `StoreError`."""
        known = await self._fleet.list()
        now = time.monotonic()
        for role, silence in measure_silence(known).items():
            self._heard[role] = max(self._heard.get(role, 0.0), now - silence)
        missing = [role for role in WORKER_ROLES if now - self._heard[role] > LIVE_S]
        silent = [
            describe_silence(record, with_place=False)
            for record in known
            if record.is_worker and not record.is_live and not set(record.roles) & set(missing)
        ]
        return [*map(describe_missing, missing), *silent]


class Deafness:
    """Which accounts do not work, or have had nobody who listens for more than `LIVE_S`. Says no
    cause: anybody may ask."""

    def __init__(self, leases: AccountLeases, accounts: Sequence[str]) -> None:
        self._leases = leases
        self._accounts = accounts
        self._began = time.monotonic()

    async def describe(self) -> list[str]:
        """A sentence for each. Raises `StoreError`."""
        records = await self._leases.list(self._accounts)
        is_new = time.monotonic() - self._began < LIVE_S
        return [
            describe_trouble(record, with_cause=False)
            for record in records
            if not record.works
            # Another process takes an account over within this time.
            and (record.is_held or not (is_new or (record.age or LIVE_S) < LIVE_S))
        ]
