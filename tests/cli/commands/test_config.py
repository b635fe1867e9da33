"""`sigil config`."""

import json
import re
import stat
from pathlib import Path

import jsonschema
import pytest
import yaml

from sigil import bootstrap
from sigil.config import Settings, load_settings
from sigil.config.json_schema import make_json_schema


def test_config_check(call):
    Path("sigil.yaml").write_text("users: {sean: {}}\nworkspaces: {home: {}}")
    code, out, err = call("config", "check")
    assert (code, err) == (0, "")
    assert out.startswith("ok\n")
    found = json.loads(call("config", "check", "--json")[1])
    assert found["ok"] is True
    assert (found["file"], found["users"]) == ("sigil.yaml", ["owner", "sean"])

    Path("sigil.yaml").write_text("channels: {terminal: {pairng: open}}")
    expected = "sigil.yaml:1: channels.terminal.pairng: unknown key; did you mean 'pairing'?"
    assert call("config", "check") == (1, "", f"error: {expected}\n")
    code, out, _ = call("config", "check", "--json")
    assert (code, json.loads(out)) == (1, {"ok": False, "error": expected})


def test_config_check_names_models_that_are_probably_mistyped(call):
    Path("sigil.yaml").write_text(
        """
providers:
  openai: {api_key: k, models: {my-own: {tools: true}}}
  anthropic: {api_key: k}
  ollama: {}
  proxy: {type: openai, base_url: "http://127.0.0.1:1/v1", api_key: k}
models:
  default: openai/gpt-99
  failover: [openai/gpt-5.4, openai/my-own, ollama/whatever, proxy/gpt-99, echo/echo]
  allowed: [anthropic/claude-sonet-5-5, anthropic/claude-sonnet-5-5-20261001]
workspaces: {home: {model: anthropic/none-of-this}}
"""
    )
    code, out, err = call("config", "check")
    assert code == 0
    assert out.startswith("ok\n")
    default, allowed, workspace = err.splitlines()
    assert default.startswith("warning: models.default: 'gpt-99' is no model of openai that I know")
    assert "models.allowed[0]" in allowed
    assert "did you mean 'claude-sonnet-5-5'?" in allowed
    assert "workspaces.home.model" in workspace
    found = json.loads(call("config", "check", "--json")[1])
    assert [warning.split(":")[0] for warning in found["warnings"]] == [
        "models.default",
        "models.allowed[0]",
        "workspaces.home.model",
    ]
    doctor = json.loads(call("doctor", "--json", "--role", "agent")[1])["findings"]
    warned = [each["detail"] for each in doctor if each["state"] == "warn"]
    assert set(found["warnings"]) <= set(warned)


def test_a_model_that_may_be_chosen_needs_a_provider(call):
    Path("sigil.yaml").write_text("models: {allowed: [opnai/x]}")
    assert "models.allowed[0]: provider 'opnai' is not configured" in call("config", "check")[2]


def test_config_check_as_a_role(call):
    Path("sigil.yaml").write_text("providers: {openai: {api_key: '${NO_SUCH_KEY}'}}")
    assert call("config", "check")[0] == 1
    assert call("config", "check", "--role", "gateway")[0] == 0
    assert call("config", "check", "--role", "agent")[0] == 1
    assert "there is no role" in call("config", "check", "--role", "x")[2]


SECRET_SETTINGS = """
gateway: {token: hide-1}
redis: {url: "rediss://sean:hide-2@h:6379/0?ssl_password=hide-3"}
users: {mickey: {name: Mickey, token: hide-4}}
providers:
  openai: {api_key: hide-5, base_url: "http://u:hide-6@h/v1", options: {access_key: hide-7}}
channels:
  telegram:
    type: memory
    options: {bot_token: hide-8, nested: [{secret: hide-9}], key: hide-10, retries: 3}
"""


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_config_show_masks_what_is_secret(call, form):
    Path("sigil.yaml").write_text(SECRET_SETTINGS)
    code, out, _ = call("config", "show", *form)
    assert code == 0
    assert "hide" not in out
    shown = yaml.safe_load(out)
    assert shown["redis"]["url"] == "rediss://********@h:6379/0?ssl_password=********"
    assert shown["providers"]["openai"]["base_url"] == "http://********@h/v1"
    assert shown["users"]["mickey"]["name"] == "Mickey"
    assert shown["channels"]["telegram"]["options"] == {
        "bot_token": "********",
        "nested": [{"secret": "********"}],
        "key": "********",
        "retries": 3,
    }
    # Nothing but what is secret was changed.
    assert set(shown) == set(Settings.model_fields)


def test_config_check_masks_the_url_too(call):
    Path("sigil.yaml").write_text(SECRET_SETTINGS)
    assert "hide" not in "".join(
        map(str, call("config", "check") + call("config", "check", "--json"))
    )


def test_config_schema_is_a_schema_with_words_for_every_setting(call):
    code, out, _ = call("config", "schema")
    schema = json.loads(out)
    assert code == 0
    assert schema == make_json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    for section in (schema, *schema["$defs"].values()):
        assert section["description"]
        for name, setting in section.get("properties", {}).items():
            assert setting.get("description"), name
    assert '"minimum"' in out
    assert '"maximum"' in out


def test_config_init_writes_a_file_that_works(call, tmp_path):
    code, out, _ = call("config", "init")
    assert code == 0
    assert "sigil.yaml" in out
    written = tmp_path / "sigil.yaml"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert load_settings(written) == load_settings()
    assert call("config", "check")[0] == 0

    written.write_text("models: {max_tokens: 5}")
    code, _, err = call("config", "init")
    assert code == 1
    assert "already exists. --force overwrites it." in err
    assert written.read_text() == "models: {max_tokens: 5}"
    assert call("config", "init", "--force")[0] == 0
    assert "max_tokens" not in written.read_text()

    assert call("config", "init", "new/folder/mine.yaml")[0] == 0
    assert call("--config", "new/folder/mine.yaml", "config", "check")[0] == 0


def test_what_the_starting_file_offers_works_too(call, tmp_path):
    """Every setting in it uncommented."""
    call("config", "init")
    text = (tmp_path / "sigil.yaml").read_text()
    (tmp_path / "all.yaml").write_text(re.sub(r"^#(?=\S|  )(?! \S)", "", text, flags=re.MULTILINE))
    names = ("ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "OPENAI_API_KEY", "GATEWAY_TOKEN")
    keys = dict.fromkeys(names, "k")
    found = load_settings(tmp_path / "all.yaml", environ=keys)
    bootstrap.check(found)
    assert found.models.default.startswith("openai/")
    assert found.models.failover
    assert found.budgets.user.max_day_usd is not None
    assert set(found.workspaces) == {"homelab"}
    assert found.redis.url is not None
