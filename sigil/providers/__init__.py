"""Model vendors behind one protocol, and the registry that chooses between them.

Names are loaded on first use, so that a process that calls no model imports no registry.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sigil.errors import (
        AllProvidersUnavailable,
        BudgetExceeded,
        ErrorKind,
        ProviderError,
        ProviderNotFound,
    )
    from sigil.messages.conversation import Image, Message, Native, ToolCall, ToolDefinition, Usage
    from sigil.providers.base import ChatEvent, ChatRequest, EventType, ModelInfo, Provider
    from sigil.providers.chain.candidate import Candidate
    from sigil.providers.chain.failover import FailoverProvider
    from sigil.providers.chain.record import AttemptRecord
    from sigil.providers.loading import load
    from sigil.providers.model_request import Budget, ModelRequest
    from sigil.providers.registry import ProviderRegistry

_HOMES = {
    "sigil.errors": (
        "AllProvidersUnavailable",
        "BudgetExceeded",
        "ErrorKind",
        "ProviderError",
        "ProviderNotFound",
    ),
    "sigil.providers.base": (
        "ChatEvent",
        "ChatRequest",
        "EventType",
        "ModelInfo",
        "Provider",
    ),
    "sigil.messages.conversation": (
        "Image",
        "Message",
        "Native",
        "ToolCall",
        "ToolDefinition",
        "Usage",
    ),
    "sigil.providers.chain.candidate": ("Candidate",),
    "sigil.providers.chain.failover": ("FailoverProvider",),
    "sigil.providers.chain.record": ("AttemptRecord",),
    "sigil.providers.loading": ("load",),
    "sigil.providers.model_request": ("Budget", "ModelRequest"),
    "sigil.providers.registry": ("ProviderRegistry",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AllProvidersUnavailable",
    "AttemptRecord",
    "Budget",
    "BudgetExceeded",
    "Candidate",
    "ChatEvent",
    "ChatRequest",
    "ErrorKind",
    "EventType",
    "FailoverProvider",
    "Image",
    "Message",
    "ModelInfo",
    "ModelRequest",
    "Native",
    "Provider",
    "ProviderError",
    "ProviderNotFound",
    "ProviderRegistry",
    "ToolCall",
    "ToolDefinition",
    "Usage",
    "load",
]


def __getattr__(name: str) -> Any:
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
