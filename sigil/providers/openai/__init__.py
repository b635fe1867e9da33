"""OpenAI's models, and servers that speak its API, through its SDK."""

from __future__ import annotations

from sigil.providers.openai.provider import OpenAIProvider

__all__ = ["OpenAIProvider"]
