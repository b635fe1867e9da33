"""`sigil version`."""

from __future__ import annotations

import importlib.metadata
import platform

import sigil
from sigil.cli import output

_SHOWN = ("celery", "redis", "pydantic", "starlette", "anthropic", "openai", "google-genai")


def run(*, as_json: bool) -> int:
    """Prints Sigil's version; as JSON, those of what it stands on too."""
    if as_json:
        output.as_json(versions())
    else:
        output.line(f"sigil {sigil.__version__}")
    return 0


def versions() -> dict[str, str]:
    """Versions by package; one that is not installed is not in it."""
    found = {"sigil": sigil.__version__, "python": platform.python_version()}
    for name in _SHOWN:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
