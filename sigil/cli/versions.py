"""The versions of Sigil and of what it runs on."""

from __future__ import annotations

import importlib.metadata
import platform

import sigil

_DEPENDENCIES = ("celery", "redis", "pydantic", "starlette", "anthropic", "openai", "google-genai")


def list_versions() -> dict[str, str]:
    """Versions by package, without those that are not installed."""
    versions = {"sigil": sigil.__version__, "python": platform.python_version()}
    for name in _DEPENDENCIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
