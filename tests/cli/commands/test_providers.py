"""`sigil providers`, and what `sigil status` says of models that rest."""

import asyncio
import json
import os

import pytest

from sigil.providers.chain.health_store import Cooldown
from sigil.providers.names import fingerprint
from sigil.stores import connect
from sigil.testing import end_cooldowns

KEYS = ("sk-the-first-key", "sk-the-second-key")
CONFIG = """
providers:
  openai:
    api_key: sk-the-first-key
    api_keys: [sk-the-second-key, sk-the-first-key]
  local:
    type: openai
    base_url: http://someone:hide-me@127.0.0.1:11434/v1?also=hide-me
"""
FIRST, SECOND = (fingerprint("openai", key) for key in KEYS)


@pytest.fixture
def configured(tmp_path):
    (tmp_path / "sigil.yaml").write_text(CONFIG)


def in_store(work):
    """Runs work(stores) against the store of the configuration."""

    async def run():
        stores = connect(os.environ["SIGIL_REDIS__URL"], prefix=os.environ["SIGIL_REDIS__PREFIX"])
        try:
            return await work(stores)
        finally:
            await stores.backend.close()

    return asyncio.run(run())


def rest(provider, model, key, reason, *steps):
    async def work(stores):
        grant = await stores.health.admit(provider, model, [key], None, "a-token")
        await stores.health.record_failure(grant, reason, steps)

    in_store(work)


@pytest.mark.valkey
def test_vendors_are_shown_without_their_secrets(call, real_redis, configured):
    code, out, err = call("providers")
    assert (code, err) == (0, "")
    assert [line.split("\t") for line in out.splitlines()] == [
        ["provider", "type", "host", "keys", "resting"],
        ["echo", "echo", "its own", "none", "0"],
        ["local", "openai", "127.0.0.1:11434", "none", "0"],
        ["openai", "openai", "its own", f"2: {FIRST}, {SECOND}", "0"],
    ]
    _, as_json, _ = call("providers", "--json")
    for text in (out, as_json):
        assert not [secret for secret in (*KEYS, "hide-me", "someone") if secret in text]


@pytest.mark.valkey
def test_what_rests_is_shown_until_it_is_reset(call, real_redis, configured):
    rest("openai", "gpt-x", FIRST, "rate_limited", 30.0)
    rest("openai", "gpt-x", SECOND, "auth", 600.0)
    rest("local", "org/llama", "", "network", 86_400.0)
    code, out, _ = call("providers")
    assert code == 0
    _, _, table = out.partition("\n\n")
    assert [line.split("\t") for line in table.splitlines()] == [
        ["model", "key", "reason", "state", "failures"],
        ["openai/gpt-x", FIRST, "rate_limited", "30 s left", "1"],
        ["openai/gpt-x", SECOND, "auth", "10 min left", "1"],
        ["local/org/llama", "-", "network", "24 h left", "1"],
        ["openai refused its key. Check `providers.openai.api_keys`, line 5 of sigil.yaml."],
    ]
    counts = [line.split("\t")[-1] for line in out.splitlines()[1:4]]
    assert counts == ["0", "1", "2"]
    data = json.loads(call("providers", "--json")[1])
    assert {"openai", "local", "echo"} == {entry["name"] for entry in data["providers"]}
    assert {(e["model"], e["key"]) for e in data["resting"]} == {
        ("gpt-x", FIRST),
        ("gpt-x", SECOND),
        ("org/llama", ""),
    }
    assert table in call("status")[1]
    assert len(json.loads(call("status", "--json")[1])["resting"]) == 3

    assert call("providers", "reset", "openai/gpt-y") == (0, "openai/gpt-y was not resting.\n", "")
    assert call("providers", "reset", "local/org/llama")[1] == (
        "Forgot 1 cooldown of local/org/llama.\n"
    )
    assert call("providers", "reset", "openai")[1] == "Forgot 2 cooldowns of openai.\n"
    assert call("providers", "reset", "openai")[1] == "No model of openai was resting.\n"
    rest("openai", "gpt-x", FIRST, "rate_limited", 30.0)
    assert json.loads(call("providers", "reset", "--json")[1]) == {"forgotten": 1}
    assert call("providers", "reset")[1] == "No model was resting.\n"
    assert "gpt-x" not in call("status")[1] + call("providers")[1]


@pytest.mark.valkey
def test_a_replaced_key_does_not_rest(call, real_redis, configured):
    rest("openai", "gpt-x", fingerprint("openai", "sk-the-key-before"), "auth", 600.0)
    assert "refused" not in call("providers")[1]
    assert json.loads(call("providers", "--json")[1])["resting"] == []


@pytest.mark.valkey
def test_a_probe_that_is_due_or_under_way_is_told_apart(call, real_redis, configured):
    rest("openai", "gpt-x", FIRST, "server", 30.0)
    in_store(end_cooldowns)
    assert "waits for a probe" in call("providers")[1]
    in_store(lambda stores: stores.health.admit("openai", "gpt-x", [FIRST], None, "a-token"))
    assert "being probed" in call("providers")[1]


@pytest.mark.valkey
def test_reset_of_an_unknown_vendor_says_which_there_are(call, real_redis, configured):
    code, out, err = call("providers", "reset", "opnai")
    assert (code, out) == (1, "")
    assert err == (
        "error: no provider named 'opnai' is configured (there are: echo, local, openai).\n"
    )


@pytest.mark.valkey
def test_cooldowns_of_a_vendor_that_is_not_configured_any_more_can_be_reset(
    call, real_redis, configured
):
    rest("gone", "m", "", "server", 30.0)
    assert "gone/m" in call("providers")[1]
    assert call("providers", "reset", "gone/m")[1] == "Forgot 1 cooldown of gone/m.\n"


def test_status_says_what_rests_only_if_something_does(call, fake_redis):
    assert "failures" not in call("status")[1]
    fake_redis.health.known = [Cooldown("openai", "gpt-x", "", "server", 29.6, 2)]
    _, table, _ = call("status")[1].split("\n\n")
    assert table.splitlines()[1].split("\t") == ["openai/gpt-x", "-", "server", "30 s left", "2"]
