"""A digest of the settings, so that processes on different machines can be compared."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sigil.config.schema import Settings
from sigil.config.secret_names import looks_secret

# What decides what becomes of a message. Left out are secrets, what only some roles are given, and
# what belongs to one machine: addresses, folders, pools, logs, the grace time.
_COMPARED = {
    *("users", "workspaces", "channels", "providers", "models"),
    *("agent", "budgets", "timeouts", "lanes", "limits", "retention_days", "blobs", "network"),
}
_LEFT_OUT: dict[str, Any] = {
    "users": {"__all__": {"token"}},
    "channels": {"__all__": {"options"}},
    "providers": {"__all__": {"api_key", "api_keys", "base_url", "options"}},
    "timeouts": {"grace"},
}
_DIGITS = 12


def digest_settings(settings: Settings) -> str:
    """12 hex digits that are the same wherever the same settings hold, in every role.

    The schema is a part of what is compared, so two versions of Sigil may disagree.
    """
    compared = settings.model_dump(mode="json", include=_COMPARED, exclude=_LEFT_OUT)
    for entry in compared["channels"].values():
        for name in [name for name in entry if looks_secret(name)]:
            del entry[name]
    text = json.dumps(compared, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
