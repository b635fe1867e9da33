"""Scopes: no two workspaces share one."""

from __future__ import annotations

import pytest

from sigil.errors import WorkspaceNotFound
from sigil.identity.scope import PERSONAL, workspace_scope


def test_no_two_workspaces_share_a_scope() -> None:
    asked = [
        ("homelab", None),
        ("home/lab", None),
        ("home%2Flab", None),
        ("personal:ann", None),
        (PERSONAL, "ann"),
        (PERSONAL, "an/n"),
        (PERSONAL, "a:nn"),
    ]
    assert len({workspace_scope(*each) for each in asked}) == len(asked)


def test_a_shared_workspace_has_one_scope_for_all() -> None:
    assert workspace_scope("homelab", "ann") == workspace_scope("homelab", "bob")


@pytest.mark.parametrize("user_id", [None, ""])
def test_a_personal_scope_needs_its_user(user_id: str | None) -> None:
    with pytest.raises(WorkspaceNotFound):
        workspace_scope(PERSONAL, user_id)
