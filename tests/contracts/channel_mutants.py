"""A pytest plug-in: `pytest -p tests.contracts.channel_mutants …` gives the channel suites broken
channels.

Each is a case called `mutant_NAME`; `mutant_sound` is one that breaks no rule.
`test_channel_suites.py` says which test has to fail on which.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest

from sigil.stores import Stores
from tests.channels.cases import FakeInbox, Fault
from tests.contracts.listener_mutants import LISTENERS, MutantListenerCase
from tests.contracts.sender_mutants import SENDERS, MutantSenderCase

PREFIX = "mutant_"
FAULTS = frozenset(Fault)
WITHIN_S = 0.5
"""How long the suites wait here for what a broken listener never hands in."""


def _make_module(name: str) -> ModuleType:
    module = ModuleType(PREFIX + name)

    @contextlib.asynccontextmanager
    async def open_sender(stores: Stores) -> AsyncIterator[MutantSenderCase]:
        yield MutantSenderCase(SENDERS[name]())

    @contextlib.asynccontextmanager
    async def open_listener(stores: Stores, inbox: FakeInbox) -> AsyncIterator[MutantListenerCase]:
        yield MutantListenerCase(LISTENERS[name])

    given: dict[str, Any] = {"FAULTS": FAULTS}
    given |= {"open_sender": open_sender} if name in SENDERS else {}
    given |= {"open_listener": open_listener} if name in LISTENERS else {}
    vars(module).update(given)
    return module


def pytest_configure(config: pytest.Config) -> None:
    modules = [_make_module(name) for name in {**SENDERS, **LISTENERS}]
    sys.modules.update({module.__name__: module for module in modules})
    os.environ["CHANNEL_CASES"] = " ".join(module.__name__ for module in modules)


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    for item in items:
        if hasattr(item.module, "WITHIN_S"):
            item.module.WITHIN_S = WITHIN_S
