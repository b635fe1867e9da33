"""Names of models and of keys."""

from __future__ import annotations

import pytest

from sigil.errors import ConfigError
from sigil.providers.names import fingerprint, split_name


def test_a_models_name_is_split_at_the_first_slash() -> None:
    assert split_name("openai/vendor/model-x") == ("openai", "vendor/model-x")


@pytest.mark.parametrize("name", ["claude", "", "/model", "anthropic/", "/"])
def test_a_name_without_both_parts_is_an_error(name: str) -> None:
    with pytest.raises(ConfigError, match="provider/model"):
        split_name(name)


def test_a_fingerprint_names_a_key_and_does_not_tell_it() -> None:
    key = "sk-proj-0123456789abcdef"
    name = fingerprint("openai", key)
    assert len(name) == 12
    assert set(name) <= set("0123456789abcdef")
    assert name == fingerprint("openai", f" {key}\n")
    assert len({name, fingerprint("openai", key + "x"), fingerprint("other", key)}) == 3
    assert not any(key[at : at + 6] in name for at in range(len(key) - 6))
    assert fingerprint("ollama", "") == fingerprint("ollama", " ") == ""
