"""Workspaces: who is a member, what their agent may use, and what is remembered.

manager       members, bindings, and which workspace a message belongs to
tool_policy   which tools are allowed       memory   what is kept across sessions
"""

from sigil.workspace.manager import (
    Binding,
    RouteRequest,
    Workspace,
    WorkspaceConfig,
    WorkspaceManager,
    WorkspaceTable,
)
from sigil.workspace.tool_policy import ToolPolicy

__all__ = [
    "Binding",
    "RouteRequest",
    "ToolPolicy",
    "Workspace",
    "WorkspaceConfig",
    "WorkspaceManager",
    "WorkspaceTable",
]
