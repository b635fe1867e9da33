"""Scopes: the names under which a workspace's data is kept."""

from __future__ import annotations

from urllib.parse import quote

from sigil.errors import WorkspaceNotFound

PERSONAL = "personal"
"""The id of everybody's personal workspace; reserved."""


def workspace_scope(workspace_id: str, user_id: str | None = None) -> str:
    """The name under which a workspace's data is kept; no two workspaces share one.

    A personal workspace is its user's own, so that its scope needs `user_id`. Raises
    `WorkspaceNotFound` if that is missing.
    """
    if workspace_id != PERSONAL:
        return quote(workspace_id, safe="")
    if not user_id:
        raise WorkspaceNotFound("a personal workspace belongs to a user; none was named.")
    return f"{PERSONAL}:{quote(user_id, safe='')}"
