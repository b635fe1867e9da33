"""What `build` and `check` make of a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigil.blobs.file import FileBlobs
from sigil.bootstrap import build, check
from sigil.config import Settings
from sigil.errors import ConfigError
from sigil.stores.redis.blobs import RedisBlobs
from sigil.testing import FakeProvider, MemoryChannel, fake_stores


def settings(**sections: object) -> Settings:
    return Settings.model_validate(sections)


def test_the_defaults_can_be_started() -> None:
    check(Settings())


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"providers": {"openai": {}}}, "api_key"),
        ({"models": {"default": "nowhere/x"}}, "nowhere"),
        ({"models": {"failover": ["nowhere/x"]}}, "nowhere"),
        ({"workspaces": {"home": {"model": "nowhere/x"}}}, "nowhere"),
        (
            {
                "providers": {"mine": {"type": "openai", "base_url": "http://127.0.0.1:1/v1"}},
                "models": {"default": "mine/own"},
                "budgets": {"user": {"max_day_usd": 5}},
            },
            r"models\.default \(mine/own\): the price is unknown",
        ),
        ({"providers": {"mine": {"type": "no.such.module:Class"}}}, "mine"),
    ],
)
def test_what_an_agent_worker_cannot_start_with_is_named(
    sections: dict[str, object], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        check(settings(**sections))
    with pytest.raises(ConfigError, match=named):
        build(settings(**sections), stores=fake_stores()).load_agent()


@pytest.mark.parametrize("role", [None, "gateway", "routing", "agent", "outbound"])
def test_a_channel_of_no_known_type_is_named_whatever_the_role(role: str | None) -> None:
    unusable = settings(channels={"telegrm": {}})
    with pytest.raises(ConfigError, match=r"channels\.telegrm\.type"):
        check(unusable, role)
    with pytest.raises(ConfigError, match=r"channels\.telegrm\.type"):
        build(unusable, stores=fake_stores())


@pytest.mark.parametrize("role", ["gateway", "routing", "outbound"])
def test_the_keys_of_models_are_asked_for_only_where_models_are_called(role: str) -> None:
    check(settings(providers={"openai": {}}), role)


def test_what_is_given_stands_in_for_what_is_configured() -> None:
    gateway = build(
        settings(models={"default": "fake/m"}, providers={"fake": {"type": "no.such:Class"}}),
        stores=fake_stores(),
        providers={"fake": FakeProvider("fake")},
        channels={"telegram": MemoryChannel("telegram")},
    )
    gateway.load_agent()
    assert set(gateway.channels.names) == {"web", "terminal", "telegram"}


@pytest.mark.parametrize(("store", "kind"), [("file", FileBlobs), ("redis", RedisBlobs)])
def test_files_are_kept_where_the_configuration_says(
    store: str, kind: type, tmp_path: Path
) -> None:
    redis = {"url": "redis://127.0.0.1:1"}
    made = build(settings(blobs={"store": store}, redis=redis, data_dir=tmp_path))
    assert type(made.stores.blobs) is kind
    assert list(tmp_path.iterdir()) == []  # nothing is opened yet
