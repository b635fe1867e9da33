"""What was granted at run time, over the configuration: see `sigil.directory`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sigil.identity import Role


@dataclass(frozen=True, slots=True)
class Overlay:
    """What was granted at run time, over the configuration; `version` rises with each change.

    `bindings` name the workspace of a chat, which is a channel and its id there; `memberships` are
    the further members of a workspace (user ids), `roles` those of stored users, and `grants`
    what a user may do besides their role. Where the configuration says something else, it wins.
    """

    version: int = 0
    bindings: Mapping[tuple[str, str], str] = field(default_factory=dict)
    memberships: Mapping[str, frozenset[str]] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)
    grants: Mapping[str, frozenset[str]] = field(default_factory=dict)


class DirectoryStore(Protocol):
    """Keeps the overlay. Every lease that is taken tells its version."""

    async def load(self) -> Overlay: ...

    async def save(self, overlay: Overlay) -> int:
        """Replaces the overlay and returns its new version; `overlay.version` is ignored."""
        ...
