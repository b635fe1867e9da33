"""From an entry under `providers:` to provider objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr

from sigil.errors import ConfigError
from sigil.providers.fakes import FakeProvider
from sigil.providers.loading import load


@dataclass
class Settings:
    type: str | None = None
    api_key: SecretStr | None = None
    base_url: str | None = None
    api_keys: list[SecretStr] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)


class Plugin(FakeProvider):
    def __init__(self, *, api_key: str | None, base_url: str | None, region: str) -> None:
        super().__init__("plugin")
        self.given = (api_key, base_url, region)


def test_the_echo_provider_needs_no_settings() -> None:
    assert load("echo")[""].name == "echo"
    assert load("echo", Settings())[""].name == "echo"


def test_a_compatible_server_has_its_own_name() -> None:
    settings = Settings(type="openai", base_url="http://127.0.0.1:11434/v1")
    (ollama,) = load("ollama", settings).values()
    assert ollama.name == "ollama"


def test_each_key_is_an_instance_of_its_own_named_by_a_fingerprint() -> None:
    keys = [SecretStr("key-one"), SecretStr("key-two"), SecretStr("key-one")]
    found = load("openai", Settings(api_key=SecretStr("key-two"), api_keys=keys))
    assert len(found) == 2
    assert not any("key" in name for name in found)
    assert load("openai", Settings(api_keys=keys[:1])).keys() < found.keys()
    assert load("other", Settings("openai", api_keys=keys)).keys().isdisjoint(found)


def test_a_plugin_gets_its_key_its_address_and_its_options() -> None:
    settings = Settings(f"{__name__}:Plugin", SecretStr("k"), "http://h", options={"region": "eu"})
    (plugin,) = load("mine", settings).values()
    assert isinstance(plugin, Plugin)
    assert plugin.given == ("k", "http://h", "eu")


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        (Settings(), r"providers\.mine\.type"),
        (Settings("nothing.like.it:Class"), r"providers\.mine\.type"),
        (Settings(f"{__name__}:Missing"), r"providers\.mine\.type"),
        (Settings(":Class"), r"providers\.mine\.type"),
        (Settings("openai"), r"providers\.mine\.api_key"),
        (Settings("echo", options={"speed": 1}), r"providers\.mine\.options.*speed"),
    ],
)
def test_what_cannot_be_loaded_names_its_place(settings: Settings, path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        load("mine", settings)
