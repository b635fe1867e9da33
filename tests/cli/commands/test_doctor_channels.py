"""`sigil doctor` asks each channel's platform, and says what to do about each trouble."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sigil.channels.account_leases import AccountRecord

SECRET = "123456:hide-me"
# Nobody listens on port 1.
NOBODY_ANSWERS = f"""
channels:
  telegram: {{ token: "{SECRET}", base_url: "http://127.0.0.1:1" }}
  matrix: {{ homeserver: "http://127.0.0.1:1", user_id: "@bot:hs", access_token: "{SECRET}" }}
  email:
    address: bot@example.net
    password: "{SECRET}"
    imap: {{ host: 127.0.0.1, port: 1, tls: none }}
    smtp: {{ host: 127.0.0.1, port: 1, tls: none }}
    authserv_id: mx.example.net
  hook: {{ type: webhook, secret: "{SECRET}", callback_url: "http://127.0.0.1:1/" }}
"""
NAMES = ("telegram", "matrix", "email", "hook")


def find_channels(call: Any, *options: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
    code, out, _ = call("doctor", "--json", *options)
    assert "hide-me" not in out
    found: dict[str, list[dict[str, str]]] = {}
    for each in json.loads(out)["findings"]:
        if each["check"] == "channels":
            found.setdefault(each["detail"].partition(":")[0], []).append(each)
    return code, found


@pytest.fixture(autouse=True)
def _configure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGIL_GATEWAY__PORT", "0")
    Path("sigil.yaml").write_text(NOBODY_ANSWERS)


def test_each_channel_that_does_not_work_is_named(call: Any) -> None:
    code, found = find_channels(call)
    assert code == 1
    assert set(found) == set(NAMES)
    for findings in found.values():
        assert findings
        assert all(each["state"] == "fail" for each in findings)
        assert all(each["advice"] for each in findings)


@pytest.mark.parametrize("role", ["routing", "agent"])
def test_a_role_without_the_secrets_asks_nobody(call: Any, role: str) -> None:
    assert find_channels(call, "--role", role) == (0, {})


def test_what_the_platform_has_said_is_not_said_again(call: Any, fake_redis: Any) -> None:
    held = ("web-1:7", "refused")
    fake_redis.accounts.known = {
        name: AccountRecord(name, *held, error="no", rests=9.0, age=1.0) for name in NAMES
    }
    assert set(find_channels(call)[1]) == set(NAMES)


def test_a_channel_that_works_is_said_in_one_line(call: Any) -> None:
    Path("sigil.yaml").write_text("channels: {hook: {type: webhook, secret: hide-me}}")
    _, found = find_channels(call)
    assert [each["state"] for each in found["hook"]] == ["ok"]
