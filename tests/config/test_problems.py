"""What is wrong with a configuration, and how that is said."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigil.errors import ConfigError


def test_everything_that_is_wrong_is_said_at_once(problems):
    found = problems(
        """\
gateway:
  host: 0.0.0.0
  prot: 5
channels:
  telegram:
    token: "1:x"
    pairng: open
    refusal: ${NOPE}
models: {default: foo}
users:
  a: {identities: ["x:1"], role: true}
  b: {identities: ["x:1"]}
lanes: {lease: 5}
""",
        SIGIL_NOPE="1",
    )
    assert found[0] == "9 problems in the configuration:"
    listed = "\n".join(found[1:])
    for expected in (
        "SIGIL_NOPE: unknown setting 'nope'",
        "2: gateway.host: everyone who reaches this address would be the owner; set gateway.token",
        "3: gateway.prot: unknown key; did you mean 'port'?",
        "7: channels.telegram.pairng: unknown key; did you mean 'pairing'?",
        "8: channels.telegram.refusal: the variable NOPE is not set",
        "9: models.default: must be a model's full name, provider/model",
        "11: users.a.role: must be one of 'owner' or 'member'",
        "12: users.b.identities[0]: this identity is already at users.a.identities[0]",
        "13: lanes.lease: must be more than twice lanes.renew",
    ):
        assert expected in listed
    assert len(found) == 10


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gateway: {port: 65536}", "gateway.port: must be at most 65535"),
        ("gateway: {port: -1}", "gateway.port: must be at least 0"),
        ("gateway: {port: 1.5}", "gateway.port: must be a whole number"),
        ("gateway: {port: {}}", "gateway.port: must be a whole number"),
        ("gateway: []", "gateway: must be a mapping"),
        ("channels: [web]", "channels: must be a mapping"),
        ("channels: {telegram: true}", "channels.telegram: must be a mapping"),
        ("channels: {'a b': {}}", "channels.a b: must be a name of letters"),
        ("channels: {x: {allowlist: a}}", "channels.x.allowlist: must be a list"),
        ("channels: {x: {pairing: opn}}", "channels.x.pairing: must be one of 'open', 'closed'"),
        ("channels: {x: {type: 'a.b:c d'}}", "channels.x.type: must be a built-in type or"),
        ("users: {a: {identities: [telegram]}}", "users.a.identities[0]: must be channel:"),
        ("users: {a: {token: ''}}", "users.a.token: is empty"),
        ("workspaces: {w: {bindings: [{channel: t}]}}", "bindings[0].channel_id: is missing"),
        ("workspaces: {personal: {}}", "workspaces.personal: this id is reserved"),
        ("workspaces: {w: {model: gpt}}", "workspaces.w.model: must be a model's full name"),
        ("workspaces: {w: {members: [x]}}", "workspaces.w.members[0]: neither a user's id nor"),
        ("workspaces: {w: {members: [ownr]}}", "did you mean 'owner'?"),
        ("models: {default: ecko/x}", "provider 'ecko' is not configured under providers; did"),
        ("models: {failover: [openai/x]}", "models.failover[0]: provider 'openai' is not"),
        ("workspaces: {w: {model: a/b}}", "workspaces.w.model: provider 'a' is not configured"),
        ("models: {temperature: 2.1}", "models.temperature: must be at most 2"),
        ("models: {temperature: .nan}", "models.temperature: must be a"),
        ("timeouts: {turn: 0}", "timeouts.turn: must be more than 0"),
        ("timeouts: {turn: inf}", "timeouts.turn: must be a finite number"),
        ("lanes: {lease: 10, renew: 5}", "lanes.lease: must be more than twice lanes.renew"),
        ("lanes: {coalesce_max: 1}", "lanes.coalesce_max: must be at least lanes.coalesce_quiet"),
        ("redis: {url: 'redis://h:x'}", "redis.url: has a host or port that cannot be read"),
        ("redis: {url: 'redis://:a/b@h'}", "redis.url: has a host or port that cannot be read"),
        ("redis: {maxmemory: much}", "redis.maxmemory: must be a number of bytes"),
        ("redis: {prefix: 'a b'}", "redis.prefix: must be 1 to 64"),
        ("providers: {x: {base_url: 'ftp://h'}}", "providers.x.base_url: must be an http://"),
        ("logging: {level: LOUD}", "logging.level: must be one of"),
        ("users: {owner: {}}", "users.owner: nobody has the role owner"),
        ("users: {a: {token: t}, b: {token: t}}", "users.b.token: is the same as users.a.token"),
        ("gateway: {token: t}\nusers: {a: {token: t}}", "is the same as gateway.token"),
        ("nonsense: 1", "nonsense: unknown key"),
    ],
)
def test_one_wrong_thing_is_one_line_that_names_it(problems, text, expected):
    (line,) = problems(text)
    assert expected in line
    assert re.match(r"\d+: ", line)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(
        [
            "gateway: {{token: {0}, prot: {0}}}",
            "gateway: {{port: {0}}}",
            "redis: {{url: {0}}}",
            "providers: {{openai: {{api_key: [{0}]}}}}",
            "providers: {{openai: {{base_url: {0}}}}}",
            "channels: {{t: {{options: {0}}}}}",
            "users: {{a: {{token: {{x: {0}}}}}}}",
            "models: {{temperature: {0}}}",
        ]
    ),
    st.from_regex(r"s3cr3t[a-z0-9]{4,12}", fullmatch=True),
)
def test_no_message_contains_a_value(load, template, value):
    with pytest.raises(ConfigError) as caught:
        load(template.format(value))
    assert value not in str(caught.value)
    assert value not in repr(caught.value.__cause__)
    with pytest.raises(ConfigError) as caught:
        load(template.format("${SECRET}"), SECRET=value, SIGIL_GATEWAY__PORT=value)
    assert value not in str(caught.value)


def test_no_representation_contains_a_secret(load):
    found = load(
        """
        gateway: {token: hide-me-1}
        redis: {url: "redis://:hide-me-2@h/0"}
        users: {a: {token: hide-me-3}}
        providers: {openai: {api_key: hide-me-4, options: {x: hide-me-5}}}
        channels: {telegram: {type: memory, options: {token: hide-me-6}}}
        """
    )
    assert "hide-me" not in repr(found) + str(found)
