"""Anthropic's Claude models, through its SDK."""

from __future__ import annotations

from sigil.providers.anthropic.provider import AnthropicProvider

__all__ = ["AnthropicProvider"]
