"""The providers that the suites run on, each made as the configuration makes it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from sigil.config.models import ProviderSettings
from sigil.providers import Provider
from sigil.providers.registry import load
from tests.providers.exchange import KEY
from tests.providers.fault_server import FaultServer
from tests.providers.wire_anthropic import ANTHROPIC
from tests.providers.wire_google import GOOGLE
from tests.providers.wire_openai import CHAT, RESPONSES
from tests.providers.wires import Wire


@dataclass(frozen=True)
class Vendor:
    """A provider of the configuration: its name there, its type and its options."""

    name: str
    type: str
    wire: Wire
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    def settings(self, base_url: str, key: str = KEY) -> ProviderSettings:
        return ProviderSettings(
            type=self.type, api_key=SecretStr(key), base_url=base_url, options=dict(self.options)
        )

    def make(self, base_url: str, key: str = KEY) -> Provider:
        (provider,) = load(self.name, self.settings(base_url, key)).values()
        return provider


_ALL = (
    Vendor("anthropic", "anthropic", ANTHROPIC),
    Vendor("openai", "openai", CHAT),
    Vendor("responses", "openai", RESPONSES, {"api": "responses"}),
    Vendor("google", "google", GOOGLE),
    Vendor("local", "openai", CHAT),
)


def _there(vendor: Vendor) -> bool:  # TEMPORARY: until all vendors are written
    try:
        vendor.make("http://127.0.0.1:9/v1")
    except Exception:
        return False
    return True


VENDORS = tuple(vendor for vendor in _ALL if _there(vendor))


@asynccontextmanager
async def made(server: FaultServer) -> AsyncIterator[dict[str, Provider]]:
    """One provider of each vendor, at the fault server."""
    providers = {vendor.name: vendor.make(server.url(vendor.wire)) for vendor in VENDORS}
    try:
        yield providers
    finally:
        for provider in providers.values():
            await provider.aclose()
