"""Which model answers here, and which ones follow it: the one home of that decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ModelOrder:
    """The order in which models are tried, by full names (`provider/model`).

    the session's choice → the workspace's override → the default → the failover chain
    """

    default: str | None = None
    failover: tuple[str, ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)
    """The override of each workspace that has one, by the workspace's id."""
    choices: tuple[str, ...] = ()
    """What sessions may choose; empty: whatever is tried anyway."""

    def list_names(self, workspace_id: str | None = None, choice: str | None = None) -> list[str]:
        """All models to be tried in order, each once; `choice` is the session's own."""
        override = self.overrides.get(workspace_id or "")
        names = (choice, override, self.default, *self.failover)
        return list(dict.fromkeys(name for name in names if name is not None))

    def allowed(self, workspace_id: str | None = None) -> tuple[str, ...]:
        """The models that a session of the workspace may choose."""
        return self.choices or tuple(self.list_names(workspace_id))

    def admit(self, workspace_id: str | None, choice: str | None) -> str | None:
        """A session's choice, unless it may no longer be chosen."""
        return choice if choice in self.allowed(workspace_id) else None

    def first(self, workspace_id: str | None = None, choice: str | None = None) -> str | None:
        """The model that answers, as long as it can be called; None if none is configured."""
        return next(iter(self.list_names(workspace_id, choice)), None)
