"""The audit log: what was done, and by whom.

An entry is one JSON object. Its `what` names the event; the other fields tell about it::

    {"what": "refused", "message": "x7k…", "why": "workspace.not_a_member"}

Steps of the pipeline write their entries with the effect `Audit`, in the same commit as what they
report. Whatever runs outside the pipeline adds its entries through the store.
"""

from __future__ import annotations

import json
from typing import Any, Protocol


class AuditStore(Protocol):
    """The newest 10,000 entries of the audit log."""

    async def add(self, entry: str) -> None:
        """Appends one entry, made by `encode_audit_entry`."""
        ...

    async def recent(self, limit: int = 100) -> list[str]:
        """The newest `limit` entries, the oldest of them first."""
        ...


def encode_audit_entry(what: str, **facts: Any) -> str:
    """Encodes one entry as JSON. The `facts` are JSON values, without message text or secrets."""
    return json.dumps({"what": what, **facts})
