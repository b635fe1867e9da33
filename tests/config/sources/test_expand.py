"""References to variables, and which role needs them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sigil.config.sources.expand import BadReference, expand
from sigil.errors import ConfigError

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


SECTIONS = """
gateway: {token: "${GATEWAY_TOKEN}"}
users: {sean: {role: owner, token: "${SEAN_TOKEN}"}}
channels: {telegram: {type: memory, options: {token: "${BOT_TOKEN}", retries: 3}}}
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


def test_a_role_starts_without_others_lists_of_secrets(load):
    text = "providers: {openai: {api_keys: [plain, '${FIRST}', '${SECOND}']}}"
    found = load(text, "gateway", FIRST="a")
    assert [key.get_secret_value() for key in found.providers["openai"].api_keys] == ["plain"]
    found = load(text, "agent", FIRST="a", SECOND="b")
    keys = [key.get_secret_value() for key in found.providers["openai"].api_keys]
    assert keys == ["plain", "a", "b"]


def test_an_unknown_role_is_an_error(load):
    with pytest.raises(ConfigError, match="there is no role 'nonsense'"):
        load("", "nonsense")
