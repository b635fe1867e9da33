"""Anthropic's SDK over Sigil's HTTP client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.providers.anthropic.options import AnthropicOptions
from sigil.providers.shared.endpoint import Endpoint
from sigil.providers.shared.http_client import make_vendor_client

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic

OFFICIAL_HOST = "api.anthropic.com"


def build_client(
    endpoint: Endpoint, options: AnthropicOptions
) -> tuple[AsyncAnthropic, httpx2.AsyncClient]:
    """Makes the SDK's client, and the HTTP client under it.

    The imports take a while: call this in a thread.
    """
    from anthropic import AsyncAnthropic

    key = endpoint.key.get_secret_value()
    http = make_vendor_client(options.read_timeout)
    client = AsyncAnthropic(
        api_key=key,
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=http.timeout,
        http_client=http,
        # Spans could hold what people wrote.
        open_telemetry=False,
    )
    # The SDK would add headers from the environment. Its own header for the key is a bearer token,
    # which not all compatible servers read.
    client._custom_headers = {} if endpoint.host == OFFICIAL_HOST else {"x-api-key": key}
    return client, http
