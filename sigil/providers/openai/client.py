"""OpenAI's SDK over Sigil's HTTP client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.providers.openai.options import OpenAIOptions
from sigil.providers.shared.endpoint import Endpoint
from sigil.providers.shared.http_client import make_vendor_client

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI


def build_client(
    endpoint: Endpoint, options: OpenAIOptions
) -> tuple[AsyncOpenAI, httpx2.AsyncClient]:
    """Makes the SDK's client, and the HTTP client under it.

    The imports take a while: call this in a thread.
    """
    from openai import AsyncOpenAI

    http = make_vendor_client(options.read_timeout)
    client = AsyncOpenAI(
        api_key=endpoint.key.get_secret_value(),
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=http.timeout,
        http_client=http,
    )
    # The SDK would take what is missing from the environment, and so from another account.
    client.organization, client.project = options.organization, options.project
    client._custom_headers = {
        name: secret.get_secret_value() for name, secret in options.headers.items()
    }
    return client, http
