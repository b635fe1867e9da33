"""Strangers who send the bodies of hooks slowly, or hardly at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from sigil.channels.base import HookRequest, HookResponse
from sigil.web.hooks import routes
from sigil.web.hooks.routes import HookRoutes
from sigil.web.responses import RequestRefused, handle_refusal


class Account:
    """An account whose listener takes whatever comes."""

    class entry:  # a name and a spec are all that is asked of it
        name = "hook"

        class spec:
            largest_hook = 1024 * 1024

    inbox: Any = None

    class listener:
        @staticmethod
        async def receive_hook(request: HookRequest, inbox: Any) -> HookResponse:
            return HookResponse(202)


def serve() -> httpx2.AsyncClient:
    hooks = HookRoutes([Account()])  # type: ignore[list-item]  # enough of one
    app = Starlette(routes=hooks.routes, exception_handlers={RequestRefused: handle_refusal})
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://here")


async def drip() -> AsyncIterator[bytes]:
    yield b"x"
    await asyncio.sleep(60)


async def test_a_body_that_does_not_come_is_refused_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(routes, "READ_WITHIN_S", 0.1)
    async with serve() as client:
        answer = await client.post("/hooks/hook", content=drip())
    assert answer.status_code == 408


async def test_only_bytes_that_came_count_against_the_room_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(routes, "MOST_BYTES_AT_ONCE", 100)
    async with serve() as client:
        for _ in range(5):  # what was held is free again
            assert (await client.post("/hooks/hook", content=b"x" * 60)).status_code == 202
        too_much = await client.post("/hooks/hook", content=b"x" * 101)
        assert (too_much.status_code, "retry-after" in too_much.headers) == (503, True)
        assert (await client.post("/hooks/hook", content=b"x" * 60)).status_code == 202
