"""Rules that span several settings."""

import pytest


def test_a_chat_bound_twice_names_both(problems):
    (line,) = problems("""\
workspaces:
  one: {bindings: [{channel: telegram, channel_id: -100}]}
  two: {bindings: [{channel: slack, channel_id: C1}, {channel: telegram, channel_id: "-100"}]}
""")
    assert line.startswith("3: workspaces.two.bindings[1]: ")
    assert "workspaces.one.bindings[0]" in line


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.example"])
def test_beyond_loopback_there_must_be_a_token(load, problems, host):
    (line,) = problems(f"gateway: {{host: '{host}'}}")
    assert "set gateway.token" in line
    assert load(f"gateway: {{host: '{host}', token: t}}").gateway.host == host
    # Those who do not listen need no token.
    assert load(f"gateway: {{host: '{host}', token: '${{T}}'}}", "agent").gateway.token is None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.9.1"])
def test_on_loopback_there_need_not_be_one(load, host):
    assert load(f"gateway: {{host: '{host}'}}").gateway.token is None


def test_members_may_be_users_or_identities(load):
    found = load("users: {a: {}}\nworkspaces: {w: {members: [a, owner, 'telegram:1:2']}}")
    assert found.workspaces["w"].members == ["a", "owner", "telegram:1:2"]
