"""`SIGIL_*` variables over what the file says."""

import pytest
from pydantic import SecretStr


def test_variables_override_the_file(load):
    found = load(
        """
        gateway: {port: 1, token: from-the-file}
        users: {mary-ann: {}, Bob: {}}
        """,
        SIGIL_GATEWAY__PORT="9000",
        SIGIL_GATEWAY__TOKEN="0123",
        SIGIL_GATEWAY__ALLOWED_HOSTS="a.example, b.example",
        SIGIL_MODELS__FAILOVER="[echo/a, echo/b]",
        SIGIL_REDIS__URL="redis://h:6379/0",
        SIGIL_PROVIDERS__OPENAI__API_KEY="$key${NOT_EXPANDED}",
        SIGIL_PROVIDERS__OPENAI__OPTIONS__RETRIES="2",
        SIGIL_USERS__MARY_ANN__ROLE="owner",
        SIGIL_USERS__BOB__NAME="null",
        SIGIL_CHANNELS__WEB__COALESCE="yes",
        SIGIL_LANES__COALESCE_QUIET="0.5",
        SIGIL_WORKERS__AGENT__PROCESSES="2",
        SIGIL_RETENTION_DAYS="30",
        SIGIL_LOGGING__LEVEL="debug",
        SIGIL_AGENT__SYSTEM_PROMPT="",
    )
    assert found.gateway.port == 9000
    assert found.gateway.token == SecretStr("0123")
    assert found.gateway.allowed_hosts == ["a.example", "b.example"]
    assert found.models.failover == ["echo/a", "echo/b"]
    assert found.redis.url == SecretStr("redis://h:6379/0")
    assert found.providers["openai"].api_key == SecretStr("$key${NOT_EXPANDED}")
    assert found.providers["openai"].options == {"retries": 2}
    assert {id: (u.name, u.role) for id, u in found.users.items()} == {
        "mary-ann": ("mary-ann", "owner"),
        "Bob": ("null", "member"),
    }
    assert found.channels["web"].coalesce is True
    assert found.lanes.coalesce_quiet == 0.5
    assert (found.workers.agent.processes, found.workers.agent.concurrency) == (2, 200)
    assert found.retention_days == 30
    assert found.logging.level == "DEBUG"
    assert found.agent.system_prompt  # an empty variable counts as not set


def test_a_variable_replaces_a_reference_that_could_not_be_expanded(load):
    found = load("gateway: {token: '${GONE}'}", SIGIL_GATEWAY__TOKEN="mine")
    assert found.gateway.token == SecretStr("mine")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SIGIL_GATEWAI__PORT", "1", "unknown setting 'gatewai'; did you mean 'gateway'?"),
        ("SIGIL_GATEWAY__PROT", "1", "unknown setting 'gateway.prot'; did you mean 'port'?"),
        ("SIGIL_GATEWAY__PORT__X", "1", "unknown setting 'gateway.port.x'"),
        ("SIGIL_GATEWAY", "{port: 1}", "names the section 'gateway', not a setting in it"),
        ("SIGIL_MODELS__FAILOVER__0", "a/b", "unknown setting 'models.failover.0'"),
        ("SIGIL_", "1", "unknown setting"),
        ("SIGIL_GATEWAY__PORT", "abc", "gateway.port: must be a whole number"),
        ("SIGIL_GATEWAY__PORT", "[", "is not a YAML value."),
        ("SIGIL_GATEWAY__PORT", "true", "gateway.port: must be a number, not true or false"),
        ("SIGIL_REDIS__URL", "http://x", "redis.url: must start with one of redis://"),
    ],
)
def test_a_wrong_variable_is_named(problems, name, value, expected):
    (line,) = problems("", **{name: value})
    assert line.startswith(f"{name}: ")
    assert expected in line


def test_variables_that_say_how_to_start_are_no_settings(load):
    load("", SIGIL_ROLE="agent", SIGIL_CONFIG="elsewhere.yaml")
