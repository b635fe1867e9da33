"""Rules that span several settings."""

from pathlib import Path

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


@pytest.mark.parametrize("token", ["openssl-rand-hex-32-makes-one", "ChangeMe", "secret"])
@pytest.mark.parametrize("place", ["gateway: {token: TOKEN}", "users: {ann: {token: TOKEN}}"])
def test_a_token_that_everybody_knows_is_refused(problems, place, token):
    (line,) = problems(place.replace("TOKEN", token))
    assert "everybody knows this token" in line
    assert token not in line


def test_no_shipped_configuration_has_a_default_for_a_secret():
    root = Path(__file__).parents[2]
    for file in ("sigil/cli/starter.yaml", "deploy/sigil.yaml", "docker-compose.yml", "README.md"):
        for line in (root / file).read_text().splitlines():
            name, _, value = line.strip("# ").partition(":")
            if name.lower().rpartition("_")[2] in {"token", "key", "password", "secret"}:
                assert ":-" not in value, f"{file}: {line}"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.9.1"])
def test_on_loopback_there_need_not_be_one(load, host):
    assert load(f"gateway: {{host: '{host}'}}").gateway.token is None


def test_members_may_be_users_or_identities(load):
    found = load("users: {a: {}}\nworkspaces: {w: {members: [a, owner, 'telegram:1:2']}}")
    assert found.workspaces["w"].members == ["a", "owner", "telegram:1:2"]
