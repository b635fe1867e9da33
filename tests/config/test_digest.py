"""Which settings make two processes differ."""

import pytest

from sigil.config import Settings, load_settings
from sigil.config.digest import digest_settings

FILE = """
gateway: {token: "${TOKEN}"}
users: {ann: {role: owner, token: "${ANN}", identities: ["slack:U1"]}}
channels: {slack: {type: memory, options: {bot_token: "${SLACK}"}}}
providers: {openai: {api_key: "${OPENAI}", base_url: "${SERVER}"}}
models: {default: openai/gpt}
"""
SECRETS = {name: f"secret-of-{name}" for name in ("TOKEN", "ANN", "SLACK", "OPENAI")}
SECRETS["SERVER"] = "http://127.0.0.1:1/v1"


def test_roles_on_different_machines_agree(tmp_path):
    file = tmp_path / "sigil.yaml"
    file.write_text(FILE)
    machine = {
        "SIGIL_DATA_DIR": "/elsewhere",
        "SIGIL_GATEWAY__PORT": "9999",
        "SIGIL_REDIS__URL": "redis://user:password@10.0.0.1/0",
        "SIGIL_TIMEOUTS__GRACE": "3",
        "SIGIL_WORKERS__AGENT__CONCURRENCY": "7",
    }
    made = {
        digest_settings(load_settings(file, role=role, environ=SECRETS | more))
        for role in ("gateway", "routing", "agent", "outbound")
        for more in ({}, machine)
    }
    rotated = dict.fromkeys(SECRETS, "http://127.0.0.1:2/v1")
    made.add(digest_settings(load_settings(file, role="agent", environ=rotated)))
    assert len(made) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"users": {"bob": {}}},
        {"workspaces": {"home": {"members": ["ann"]}}},
        {"channels": {"terminal": {"pairing": "closed"}}},
        {"models": {"default": "echo/other"}},
        {"providers": {"echo": {"models": {"*": {"tools": False}}}}},
        {"budgets": {"max_day_usd": 5}},
        {"lanes": {"cap": 3}},
    ],
)
def test_what_decides_about_messages_is_compared(change):
    assert digest_settings(Settings.model_validate(change)) != digest_settings(Settings())
