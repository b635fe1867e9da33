"""The configuration: what is read, from where, and how loudly it fails."""

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from sigil.config import Settings, find_config, load_settings
from sigil.config.document import MAX_BYTES, parse, scalar
from sigil.config.expand import BadReference, expand
from sigil.errors import ConfigError

NO_ENVIRONMENT: dict[str, str] = {}


@pytest.fixture
def load(tmp_path):
    """Settings out of a text, and nothing from this machine's environment."""

    def load(text: str | bytes = "", role: str | None = None, **environ: str) -> Settings:
        file = tmp_path / "sigil.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_settings(file, role=role, environ=environ)

    return load


@pytest.fixture
def problems(load):
    """What is wrong with a text, one line each, without the folder's name."""

    def problems(text: str | bytes = "", role: str | None = None, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, role, **environ)
        lines = str(caught.value).splitlines()
        return [re.sub(r"^\s*\S*/sigil\.yaml:", "", line) for line in lines]

    return problems


# ---------------------------------------------------------------- defaults and files


def test_nothing_at_all_is_a_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = load_settings(environ={"XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": "/data"})
    assert found.models.default == "echo/echo"
    assert found.data_dir == Path("/data/sigil")
    assert set(found.channels) == {"web", "terminal"}
    assert set(found.providers) == {"echo"}
    assert {id: (u.name, u.role) for id, u in found.users.items()} == {"owner": ("Owner", "owner")}
    pools = found.workers
    assert (pools.routing.concurrency, pools.agent.concurrency, pools.outbound.concurrency) == (
        (32, 200, 64)
    )


def test_an_empty_file_is_the_same_as_none(load):
    assert load("") == load("# nothing\n") == load("gateway:\nchannels:\nusers: ~\n")


def test_files_are_found_in_order(tmp_path, monkeypatch):
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    monkeypatch.chdir(here)
    environ = {"XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(tmp_path)}

    users = home / "sigil" / "sigil.yaml"
    users.parent.mkdir(parents=True)
    users.write_text("gateway: {port: 2}")
    assert find_config(environ) == users
    assert load_settings(environ=environ).gateway.port == 2

    Path("sigil.yaml").write_text("gateway: {port: 1}")
    assert load_settings(environ=environ).gateway.port == 1

    named = tmp_path / "named.yaml"
    named.write_text("gateway: {port: 3}")
    assert load_settings(environ=environ | {"SIGIL_CONFIG": str(named)}).gateway.port == 3

    given = tmp_path / "given.yaml"
    given.write_text("gateway: {port: 4}")
    assert load_settings(given, environ=environ | {"SIGIL_CONFIG": str(named)}).gateway.port == 4


def test_a_file_that_was_named_must_be_there(tmp_path):
    gone = tmp_path / "gone.yaml"
    with pytest.raises(ConfigError, match=r"gone\.yaml: there is no such file.*config init"):
        load_settings(gone, environ=NO_ENVIRONMENT)
    with pytest.raises(ConfigError, match="no such file"):
        load_settings(environ={"SIGIL_CONFIG": str(gone)})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_settings(tmp_path, environ=NO_ENVIRONMENT)


def test_a_relative_data_dir_is_beside_the_file_that_names_it(load, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert load("data_dir: data").data_dir == tmp_path / "data"
    assert load("data_dir: data", SIGIL_DATA_DIR="data").data_dir == elsewhere / "data"
    assert load("data_dir: /var/lib/sigil").data_dir == Path("/var/lib/sigil")
    assert load("data_dir: ~/x").data_dir == Path.home() / "x"


def test_settings_do_not_change(load):
    with pytest.raises(ValueError, match="frozen"):
        load().gateway.port = 1


# ---------------------------------------------------------------- YAML


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a: [", "1: is not valid YAML"),
        (b"a:\n\tb: 1", "2: contains a tab. Indent with spaces."),
        (b"- 1\n- 2", "1: the file must be a mapping of sections."),
        (b"\n\njust words", "3: the file must be a mapping"),
        (b"gateway:\n  port: 1\n  port: 2", "3: gateway.port: given twice, first in line 2."),
        (b"models:\n  default: \xff\xfe", "2: is not valid UTF-8."),
        (b"models:\n  default: a\x00b", "2: contains a control character."),
        (b"a: !!python/object/apply:os.system [id]", "1: has a YAML tag"),
        (b"a: !!python/name:os.system x", "1: has a YAML tag"),
        (b"a: !!int x", "1: is tagged as a number but is none"),
        (b"? [a, b]\n: 1", "1: a key must be plain text"),
        (b"a: *nowhere", "1: is not valid YAML: refers to an anchor that is not defined"),
        (b"a: 1\n---\nb: 2", "2: is not valid YAML"),
        (b"a: &a [*a]", "1: holds too many or too deeply nested values"),
        (b"a: " + b"[" * 100 + b"]" * 100, "1: holds too many or too deeply nested values"),
        (b"# " + b"x" * MAX_BYTES, "has more than 256 KiB"),
    ],
)
def test_a_broken_file_is_said_to_be_broken_where_it_is(problems, text, expected):
    (line,) = problems(text)
    assert expected in line


def test_brackets_without_end_do_not_exhaust_the_stack(problems):
    (line,) = problems(b"[" * 100_000)
    assert "is nested too deeply" in line


def test_aliases_cannot_blow_a_file_up(problems):
    bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    bomb += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (line,) = problems("\n".join(bomb))
    assert "holds too many" in line


@pytest.mark.parametrize(
    "text", ["+15551234567", "0123", "1_000", "12:30", "0x1f", "1e5", "1.10", "yes", "off", "123"]
)
def test_ids_stay_what_was_written(load, text):
    found = load(f"channels: {{telegram: {{allowlist: [{text}, -100123]}}}}")
    assert found.channels["telegram"].allowlist == [text, "-100123"]


@given(st.integers(-(10**17), 10**17) | st.booleans() | st.none() | st.sampled_from([0.5, -1.25]))
def test_plain_scalars_have_their_json_types(value):
    found = scalar(json.dumps(value))
    assert (found, type(found)) == (value, type(value))


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbfgateway: {}")
def test_any_bytes_are_read_or_refused(raw):
    try:
        found: object = parse(raw, "sigil.yaml").data
    except ConfigError as error:
        found = str(error)
    assert isinstance(found, dict) or found.startswith("sigil.yaml:")


# ---------------------------------------------------------------- references

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)


@given(st.text().filter(lambda text: "${" not in text))
def test_text_without_references_stays(text):
    assert expand(text, {}) == text


@given(st.text(), names, st.text(), st.text())
def test_what_a_variable_holds_is_not_expanded_again(before, name, value, after):
    before, after = before.replace("$", ""), after.replace("$", "")
    assert expand(f"{before}${{{name}}}{after}", {name: value}) == before + value + after


@given(st.text(), names)
def test_an_escaped_reference_is_text(text, name):
    text = text.replace("$", "")
    assert expand(f"{text}$${{{name}}}", {name: "never"}) == f"{text}${{{name}}}"


@given(names, st.text().filter(lambda text: not set("{}") & set(text)), st.text(min_size=1))
def test_a_default_stands_in_for_unset_and_for_empty(name, default, value):
    text = f"${{{name}:-{default}}}"
    assert expand(text, {}) == expand(text, {name: ""}) == default
    assert expand(text, {name: value}) == value


@pytest.mark.parametrize("text", ["${", "${}", "${A", "x ${1A} y", "${A-b}", "${A B}", "${${A}}"])
def test_a_malformed_reference_is_an_error(text):
    with pytest.raises(BadReference, match="malformed"):
        expand(text, {"A": "1"})


def test_references_work_everywhere_but_in_names(load):
    found = load(
        'gateway: {port: "${PORT}", allowed_hosts: ["${HOST}", b.example]}',
        PORT="1234",
        HOST="a.example",
    )
    assert found.gateway.port == 1234
    assert found.gateway.allowed_hosts == ["a.example", "b.example"]
    with pytest.raises(ConfigError, match="must be a name"):
        load('users: {"${WHO}": {}}', WHO="alice")


def test_an_unset_variable_is_named_with_the_path(problems):
    assert problems("gateway:\n  token: ${NOT_THERE}") == [
        "2: gateway.token: the variable NOT_THERE is not set"
    ]
    assert problems("channels: {x: {allowlist: [a, '${B}']}}") == [
        "1: channels.x.allowlist[1]: the variable B is not set"
    ]


# ---------------------------------------------------------------- roles

SECTIONS = """
gateway: {token: "${GATEWAY_TOKEN}"}
users: {sean: {role: owner, token: "${SEAN_TOKEN}"}}
channels: {telegram: {options: {token: "${BOT_TOKEN}", retries: 3}}}
providers: {openai: {api_key: "${OPENAI_KEY}", base_url: "http://127.0.0.1:1/v1"}}
models: {default: openai/gpt}
"""


@pytest.mark.parametrize(
    ("role", "needs"),
    [
        ("gateway", {"GATEWAY_TOKEN", "SEAN_TOKEN", "BOT_TOKEN"}),
        ("routing", set()),
        ("agent", {"OPENAI_KEY"}),
        ("outbound", {"BOT_TOKEN"}),
        ("client", {"GATEWAY_TOKEN", "SEAN_TOKEN"}),
        (None, {"GATEWAY_TOKEN", "SEAN_TOKEN", "BOT_TOKEN", "OPENAI_KEY"}),
    ],
)
def test_a_role_needs_only_its_own_secrets(load, problems, role, needs):
    environ = {name: f"value of {name}" for name in needs}
    found = load(SECTIONS, role, **environ)
    held = {
        "GATEWAY_TOKEN": found.gateway.token,
        "SEAN_TOKEN": found.users["sean"].token,
        "OPENAI_KEY": found.providers["openai"].api_key,
        "BOT_TOKEN": found.channels["telegram"].options["token"],
    }
    for name, value in held.items():
        value = value.get_secret_value() if isinstance(value, SecretStr) else value
        assert value == (f"value of {name}" if name in needs else None)
    assert found.channels["telegram"].options["retries"] == 3
    for name in needs:
        (line,) = problems(SECTIONS, role, **{n: v for n, v in environ.items() if n != name})
        assert f"the variable {name} is not set" in line


def test_a_role_does_not_hold_others_secrets_even_if_they_are_there(load):
    found = load(SECTIONS, "routing", GATEWAY_TOKEN="a", BOT_TOKEN="b", OPENAI_KEY="c")
    assert found.gateway.token is None
    assert found.providers["openai"].api_key is None
    assert found.channels["telegram"].options["token"] is None


def test_an_unknown_role_is_an_error(load):
    with pytest.raises(ConfigError, match="there is no role 'nonsense'"):
        load("", "nonsense")


# ---------------------------------------------------------------- SIGIL_*


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
    load("", SIGIL_ROLE="agent", SIGIL_REQUIRE_PEERS="1")


# ---------------------------------------------------------------- what is wrong


def test_everything_that_is_wrong_is_said_at_once(problems):
    found = problems(
        """\
gateway:
  host: 0.0.0.0
  prot: 5
channels:
  telegram:
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
        "6: channels.telegram.pairng: unknown key; did you mean 'pairing'?",
        "7: channels.telegram.refusal: the variable NOPE is not set",
        "8: models.default: must be a model's full name, provider/model",
        "10: users.a.role: must be one of 'owner' or 'member'",
        "11: users.b.identities[0]: this identity is already at users.a.identities[0]",
        "12: lanes.lease: must be more than twice lanes.renew",
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
        channels: {telegram: {options: {token: hide-me-6}}}
        """
    )
    assert "hide-me" not in repr(found) + str(found)


def test_the_environment_is_that_of_the_process_by_default(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("SIGIL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SIGIL_GATEWAY__PORT", "4321")
    file = tmp_path / "sigil.yaml"
    file.touch()
    assert load_settings(file).gateway.port == 4321
