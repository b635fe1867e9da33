"""The JSON Schema that editors use."""

import jsonschema
import pytest
import yaml

from sigil.config.json_schema import make_json_schema

SECTIONS = """
gateway: {token: a-token}
redis: {url: "rediss://sean:password@h:6379/0?ssl_password=password"}
users: {mickey: {name: Mickey, token: another-token}}
providers:
  openai: {api_key: a-key, base_url: "http://u:password@h/v1", options: {access_key: a-key}}
channels:
  telegram:
    type: memory
    options: {bot_token: a-token, nested: [{secret: x}], key: a-key, retries: 3}
"""


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("", True),
        (SECTIONS, True),
        ("gateway: {port: 1, host: '${HOST}'}\nchannels: {telegram: }\nusers:", True),
        (
            "gateway: {port: '${P:-1}'}\nmodels: {temperature: '${T:-1}', failover: ['${F}']}",
            True,
        ),
        ("channels: {t: {pairing: '${P}', allowlist: [12, x], coalesce: null}}", True),
        ("workspaces: {w: {bindings: [{channel: t, channel_id: -100}], model: a/b}}", True),
        ("gateway: {port: 70000}", False),
        ("gateway: {port: x}", False),
        ("gateway: {prot: 1}", False),
        ("channels: {t: {pairing: opn}}", False),
        ("models: {default: gpt}", False),
        ("workspaces: {w: {bindings: [{channel: t}]}}", False),
    ],
)
def test_the_schema_tells_right_from_wrong_in_an_editor(text, fits):
    validator = jsonschema.Draft202012Validator(make_json_schema())
    assert validator.is_valid(yaml.safe_load(text) or {}) is fits
