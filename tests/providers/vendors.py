"""The providers that the suites run on, each made as the configuration makes it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from sigil.config.schema import ProviderSettings
from sigil.providers import Provider
from sigil.providers.loading import load
from tests.providers.aimock import Aimock
from tests.providers.exchange import KEY
from tests.providers.fault_server import FaultServer
from tests.providers.wires.anthropic import ANTHROPIC
from tests.providers.wires.google import GOOGLE
from tests.providers.wires.openai_chat import CHAT
from tests.providers.wires.openai_responses import RESPONSES
from tests.providers.wires.wire import Wire


@dataclass(frozen=True)
class Vendor:
    """A provider of the configuration: its name there, its type and its options."""

    name: str
    type: str
    wire: Wire
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    def settings(self, base_url: str, key: str = KEY, **options: Any) -> ProviderSettings:
        return ProviderSettings(
            type=self.type,
            api_key=SecretStr(key),
            base_url=base_url,
            options={**self.options, **options},
        )

    def make(self, base_url: str, key: str = KEY, **options: Any) -> Provider:
        (provider,) = load(self.name, self.settings(base_url, key, **options)).values()
        return provider


VENDORS = (
    Vendor("anthropic", "anthropic", ANTHROPIC),
    Vendor("openai", "openai", CHAT),
    Vendor("responses", "openai", RESPONSES, {"api": "responses"}),
    Vendor("google", "google", GOOGLE, {"api_version": "v1beta"}),
)
"""One for each API."""

SDKS = tuple(vendor for vendor in VENDORS if vendor.wire is not RESPONSES)
"""One for each SDK, for what does not depend on the form of an answer."""

LOCAL = Vendor("local", "openai", CHAT)
"""A server of one's own, under a name that no vendor has."""


@asynccontextmanager
async def open_providers(server: FaultServer | Aimock) -> AsyncIterator[dict[str, Provider]]:
    """One provider of each vendor by its name, all of one server."""
    providers = {vendor.name: vendor.make(server.url(vendor.wire)) for vendor in (*VENDORS, LOCAL)}
    try:
        yield providers
    finally:
        for provider in providers.values():
            await provider.aclose()
