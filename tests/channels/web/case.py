"""The page for the contract suites."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from sigil.stores import Stores
from tests.channels.live_case import FAULTS as FAULTS
from tests.channels.live_case import LiveCase, open_live_sender


@contextlib.asynccontextmanager
async def open_sender(stores: Stores) -> AsyncIterator[LiveCase]:
    async with open_live_sender("web", stores) as case:
        yield case
