"""Which tools a policy allows."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigil.workspace.manager import (
    WorkspaceConfig,
    WorkspaceManager,
)
from sigil.workspace.tool_policy import ToolPolicy

CONTRACT = ToolPolicy(allow=["calendar.*", "shopping.*"], deny=["exec.*", "filesystem.*"])


@pytest.mark.parametrize(
    ("policy", "name", "allowed"),
    [
        (CONTRACT, "calendar.create", True),
        (CONTRACT, "shopping.add", True),
        (CONTRACT, "exec.run", False),
        (CONTRACT, "filesystem.write", False),
        (CONTRACT, "calendar.event.create", True),
        (CONTRACT, "calendar", False),
        (CONTRACT, "calendar.", False),
        (CONTRACT, "calendars.create", False),
        (CONTRACT, "Calendar.create", False),
        (CONTRACT, "my.calendar.create", False),
        (CONTRACT, "", False),
        (CONTRACT, "mail.send", False),
        (ToolPolicy(), "calendar.create", False),
        (ToolPolicy(deny=["exec.*"]), "calendar.create", False),
        (ToolPolicy(allow=["*"]), "echo", True),
        (ToolPolicy(allow=["*"]), "a.b.c", True),
        (ToolPolicy(allow=["*"]), "", False),
        (ToolPolicy(allow=["*"]), "a..b", False),
        (ToolPolicy(allow=["*"]), ".", False),
        (ToolPolicy(allow=["*"], deny=["exec.*"]), "exec.run", False),
        (ToolPolicy(allow=["*"], deny=["exec.*"]), "exec", True),
        (ToolPolicy(allow=["exec.run"], deny=["*"]), "exec.run", False),
        (ToolPolicy(allow=["exec.run"], deny=["exec.run"]), "exec.run", False),
        (ToolPolicy(allow=["echo"]), "echo", True),
        (ToolPolicy(allow=["echo"]), "echo.loud", False),
        (ToolPolicy(allow=["a.*.z"]), "a.b.z", True),
        (ToolPolicy(allow=["a.*.z"]), "a.b.c.z", True),
        (ToolPolicy(allow=["a.*.z"]), "a.z", False),
        (ToolPolicy(allow=["c.l"]), "cal", False),
    ],
)
async def test_tool_policy(stores, policy, name, allowed):
    manager = WorkspaceManager(stores)
    manager.configure({"homelab": WorkspaceConfig(tools=policy)})
    assert (await manager.open("homelab")).tool_allowed(name) is allowed


segments = st.sampled_from(["a", "b", "exec"])


@given(
    pattern=st.lists(st.one_of(st.just("*"), segments), min_size=1, max_size=6),
    name=st.lists(segments, min_size=1, max_size=8),
)
def test_a_star_is_one_or_more_segments(pattern, name):
    parts = (r"[^.]+(\.[^.]+)*" if part == "*" else re.escape(part) for part in pattern)
    expected = re.fullmatch(r"\.".join(parts), ".".join(name)) is not None
    assert ToolPolicy(allow=[".".join(pattern)]).allows(".".join(name)) is expected
    assert ToolPolicy(["*"], [".".join(pattern)]).allows(".".join(name)) is not expected


def test_many_stars_take_no_time():
    policy = ToolPolicy(allow=[".".join(["*"] * 60 + ["x"])])
    assert not policy.allows(".".join(["a"] * 200))
