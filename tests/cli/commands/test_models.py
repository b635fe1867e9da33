"""`sigil models`."""

import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from sigil.cli import model_list
from sigil.errors import ErrorKind, ProviderError
from sigil.providers.base import ModelInfo

COLUMNS = ["model", "tools", "vision", "thinking", "context", "output", "$/M in", "$/M out", "use"]


class Vendor:
    """A vendor of one model, which has another one when it is asked."""

    name = "vendor"

    def __init__(self, api_key=None, base_url=None, **_):
        self.models = [ModelInfo("built-in", tools=True)]
        self.closed = 0
        made.append(self)

    async def available(self):
        return True

    async def list_models(self):
        assert self.models is not None
        return self.models

    def model_info(self, model):
        return ModelInfo(model, max_context_tokens=1234)

    async def refresh_models(self):
        self.models = [ModelInfo("asked", vision=True)]
        return self.models

    def chat(self, request):
        raise AssertionError("nobody asked for that")

    async def aclose(self):
        self.closed += 1


class Refusing(Vendor):
    async def refresh_models(self):
        raise ProviderError("refusing: no such key.", kind=ErrorKind.AUTH)


class Broken(Vendor):
    async def refresh_models(self):
        raise ValueError("a text with sk-hide-me in it")


class Silent(Vendor):
    async def refresh_models(self):
        import asyncio

        await asyncio.Event().wait()


class Mute(Vendor):
    async def list_models(self):
        raise ValueError("a text with sk-hide-me in it")


class Unmade(Vendor):
    def __init__(self, api_key=None, **_):
        raise ValueError(f"a text with {api_key} in it")


made: list[Vendor] = []


@pytest.fixture(autouse=True)
def _vendors(monkeypatch):
    classes = {each.__name__: each for each in (Vendor, Refusing, Broken, Silent, Mute, Unmade)}
    monkeypatch.setitem(sys.modules, "made_up", SimpleNamespace(**classes))
    made.clear()


def configure(text: str) -> None:
    Path("sigil.yaml").write_text(text)


def rows(out: str) -> dict[str, list[str]]:
    lines = [line.split("\t") for line in out.splitlines()]
    assert lines[0] == COLUMNS
    return {line[0]: line[1:] for line in lines[1:]}


def test_where_nothing_is_configured_the_echo_is_shown(call):
    code, out, err = call("models")
    assert (code, err) == (0, "")
    shown = rows(out)
    assert list(shown) == ["echo/echo"]
    assert shown["echo/echo"][-3:] == ["0", "0", "default"]


def test_configured_models_are_shown_with_their_prices_and_uses(call):
    configure(
        """
providers:
  openai:
    api_key: sk-hide-me
    models:
      gpt-5.5: {vision: false, price: {input: 1.50, output: 2}}
      my-fine-tune: {tools: true}
  local:
    type: openai
    base_url: http://127.0.0.1:9/v1
    models:
      "*": {tools: true, max_context_tokens: 32000}
models:
  default: openai/gpt-5.4
  failover: [openai/gpt-5.5, local/llama3.3]
workspaces:
  lab: {model: local/qwen}
"""
    )
    code, out, err = call("models")
    assert (code, err) == (0, "")
    assert "hide-me" not in out
    shown = rows(out)
    listed, own = shown["openai/gpt-5.4"], shown["openai/gpt-5.5"]
    assert listed == ["yes", "yes", "yes", "1050000", "128000", "2.5", "15", "default"]
    assert own == ["yes", "no", "yes", "1000000", "128000", "1.5", "2", "failover 1"]
    assert shown["openai/my-fine-tune"][:2] == ["yes", "no"]
    unknown = ["32000", "4096", "unknown", "unknown"]
    assert shown["local/llama3.3"] == ["yes", "no", "no", *unknown, "failover 2"]
    assert shown["local/qwen"][3:] == [*unknown, ""]
    assert "local/*" not in shown


def test_one_provider_as_json(call):
    configure("providers: {openai: {api_key: x}, local: {type: openai, base_url: http://a}}")
    code, out, _ = call("models", "openai", "--json")
    assert code == 0
    answer = json.loads(out)
    assert answer["failed"] == {}
    assert {each["provider"] for each in answer["models"]} == {"openai"}
    known = next(each for each in answer["models"] if each["model"] == "gpt-5.6-sol")
    assert known == {
        "name": "openai/gpt-5.6-sol",
        "provider": "openai",
        "model": "gpt-5.6-sol",
        "tools": True,
        "vision": True,
        "documents": True,
        "streaming": True,
        "thinking": True,
        "max_context_tokens": 1_050_000,
        "max_output_tokens": 128_000,
        "usd_per_million_tokens": known["usd_per_million_tokens"],
        "default": False,
        "failover": None,
    }
    rates = known["usd_per_million_tokens"]
    assert 0 < rates["cached_input"] < rates["input"] <= rates["cache_write"] < rates["output"]
    new = next(each for each in answer["models"] if each["model"] == "gpt-6.2-sol")
    assert new["usd_per_million_tokens"] is None


@pytest.mark.parametrize("key", ["${A_KEY_THAT_IS_NOT_SET}", "null"])
def test_who_only_looks_needs_no_key(call, key):
    configure(f"providers: {{openai: {{api_key: '{key}'}}}}".replace("'null'", "null"))
    code, out, err = call("models", "openai")
    assert (code, err) == (0, "")
    assert "openai/gpt-5.5" in rows(out)


def test_what_is_built_in_can_be_looked_at_before_it_is_configured(call):
    code, out, _ = call("models", "openai")
    assert code == 0
    assert "openai/gpt-5.5" in rows(out)


def test_an_unknown_provider_is_told_with_those_there_are(call):
    code, out, err = call("models", "nobody")
    assert (code, out) == (1, "")
    assert "'nobody'" in err
    assert "openai" in err


def test_a_provider_that_cannot_be_built_is_an_error(call):
    configure("providers: {openai: {api_key: x, base_url: 'http://:x'}}")
    code, out, err = call("models")
    assert (code, out) == (1, "")
    assert "base_url" in err


def test_refresh_asks_and_without_it_nobody_is(call):
    configure("providers: {vendor: {type: 'made_up:Vendor'}}")
    _, out, _ = call("models", "vendor")
    assert rows(out)["vendor/built-in"][0] == "yes"
    code, out, err = call("models", "vendor", "--refresh")
    assert (code, err) == (0, "")
    assert rows(out) == {
        "vendor/asked": ["no", "yes", "no", "8192", "4096", "unknown", "unknown", ""]
    }
    assert [each.closed for each in made] == [1, 1]


def test_a_vendor_that_fails_is_one_line_and_what_is_built_in_is_shown(call, monkeypatch):
    monkeypatch.setattr(model_list, "REFRESH_WITHIN_S", 0.05)
    configure(
        """
providers:
  vendor: {type: 'made_up:Vendor'}
  refusing: {type: 'made_up:Refusing'}
  broken: {type: 'made_up:Broken'}
  silent: {type: 'made_up:Silent'}
  openai: {}
models: {default: refusing/mine}
"""
    )
    code, out, err = call("models", "--refresh")
    assert code == 0
    shown = rows(out)
    assert {"vendor/asked", "refusing/built-in", "broken/built-in", "silent/built-in"} <= set(shown)
    assert "openai/gpt-5.5" in shown
    assert shown["refusing/mine"][3] == "1234"
    lines = dict(line.split(": ", 1) for line in err.splitlines())
    assert set(lines) >= {"refusing", "broken", "silent"}
    assert "no such key" in lines["refusing"]
    assert "ValueError" in lines["broken"]
    assert "hide-me" not in err
    assert "0.05 s" in lines["silent"]
    assert all(each.closed for each in made)
    _, out, _ = call("models", "--refresh", "--json")
    assert set(json.loads(out)["failed"]) >= {"refusing", "broken", "silent"}


def test_refresh_fails_if_every_vendor_does(call):
    configure(
        "providers: {a: {type: 'made_up:Refusing'}, b: {type: 'made_up:Broken'}}\n"
        "models: {default: a/x}"
    )
    code, out, err = call("models", "--refresh")
    assert code == 1
    assert "a/built-in" in rows(out)
    assert len(err.splitlines()) == 2


def test_refresh_says_which_key_is_missing(call):
    configure("providers: {openai: {api_key: '${A_KEY_THAT_IS_NOT_SET}'}}")
    code, out, err = call("models", "--refresh")
    assert (code, out) == (1, "")
    assert "A_KEY_THAT_IS_NOT_SET" in err


def test_looking_imports_no_sdk_and_is_quick(tmp_path):
    configure(
        "providers: {openai: {api_key: x}, anthropic: {api_key: x}, google: {api_key: x}}\n"
        "models: {default: openai/gpt-5.5}"
    )
    script = (
        "import sys, sigil.cli\n"
        "try: sigil.cli.app(['models'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "sdks = {'anthropic', 'openai', 'google.genai', 'celery'}\n"
        "assert not sdks & set(sys.modules), sdks & set(sys.modules)"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {name.partition("/")[0] for name in rows(done.stdout)} == {
        *("anthropic", "echo", "google", "openai")
    }
    assert time.monotonic() - began < 20


def test_a_vendor_that_cannot_tell_its_models_does_not_hide_the_others(call):
    configure("""
providers:
  mute: {type: "made_up:Mute"}
  vendor: {type: "made_up:Vendor"}
models: {default: mute/m}
""")
    code, out, err = call("models")
    assert code == 0
    assert "mute/m" in out
    assert "vendor/built-in" in out
    assert err == "mute: its models are not known (ValueError). What is built in is shown.\n"


def test_a_vendor_that_cannot_be_made_is_named_without_its_key(call):
    configure("""
providers:
  unmade: {type: "made_up:Unmade", api_key: sk-hide-me}
""")
    code, out, err = call("models")
    assert code == 1
    assert "providers.unmade: 'made_up:Unmade' cannot be made (ValueError)." in err
    assert "sk-hide-me" not in out + err
