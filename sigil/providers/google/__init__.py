"""Google's Gemini models, through its SDK."""

from __future__ import annotations

from sigil.providers.google.provider import GoogleProvider

__all__ = ["GoogleProvider"]
