"""Servers that speak OpenAI's API, by the name they usually go by.

Sources: each vendor's page on its compatibility with OpenAI's SDK, read on 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is, whether it asks for a key, and how it differs from the others."""

    base_url: str
    needs_key: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)


# They refuse a message with a field that they do not know, even their own models' thoughts.
_STRICT: dict[str, Any] = {"replay_thoughts": False}

COMPATIBLE: Mapping[str, Server] = {
    "cerebras": Server("https://api.cerebras.ai/v1", options=_STRICT),
    "deepinfra": Server("https://api.deepinfra.com/v1/openai"),
    "deepseek": Server("https://api.deepseek.com/v1"),
    "fireworks": Server("https://api.fireworks.ai/inference/v1"),
    "groq": Server("https://api.groq.com/openai/v1", options=_STRICT),
    "llamacpp": Server("http://127.0.0.1:8080/v1", needs_key=False),
    "lmstudio": Server("http://127.0.0.1:1234/v1", needs_key=False),
    "mistral": Server("https://api.mistral.ai/v1", options=_STRICT | {"stream_usage": False}),
    "moonshot": Server("https://api.moonshot.ai/v1"),
    "ollama": Server("http://127.0.0.1:11434/v1", needs_key=False),
    "openrouter": Server("https://openrouter.ai/api/v1"),
    "perplexity": Server("https://api.perplexity.ai", options=_STRICT),
    "together": Server("https://api.together.xyz/v1"),
    "vllm": Server("http://127.0.0.1:8000/v1", needs_key=False),
    "xai": Server("https://api.x.ai/v1"),
}
"""Name to server: a provider of this name or type needs no `base_url`."""

TYPES: Mapping[str, str] = dict.fromkeys(COMPATIBLE, "sigil.providers.openai:OpenAIProvider")
"""Type of provider to its class, for the registry."""


def find_server(base_url: str) -> Server | None:
    """The server in `COMPATIBLE` at this address, if there is one."""
    plain = base_url.rstrip("/")
    return next((server for server in COMPATIBLE.values() if server.base_url == plain), None)
