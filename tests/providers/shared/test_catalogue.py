"""What is known of models."""

import pytest

from sigil.providers.anthropic.models import MODELS as ANTHROPIC
from sigil.providers.base import ModelInfo
from sigil.providers.google.models import MODELS as GOOGLE
from sigil.providers.openai.models import MODELS as OPENAI
from sigil.providers.shared.catalogue import Catalogue

SMALL = ModelInfo("small", tools=True, max_context_tokens=1000, max_output_tokens=100)


@pytest.mark.parametrize("models", [OPENAI, ANTHROPIC, GOOGLE])
def test_every_entry_is_there_once_and_makes_sense(models):
    ids = [info.id for info in models]
    assert len(ids) == len(set(ids))
    for info in models:
        assert info.tools
        assert info.vision
        assert info.streaming
        assert 4096 <= info.max_output_tokens < info.max_context_tokens


def test_the_promised_models_are_built_in():
    anthropic = {info.id for info in ANTHROPIC}
    assert {"claude-opus-4-6", "claude-sonnet-4-5", "claude-opus-5-5"} <= anthropic
    assert {"claude-sonnet-5-5", "claude-haiku-5-5"} <= anthropic
    assert "gemini-3.8-flash" in {info.id for info in GOOGLE}


@pytest.mark.parametrize(
    ("models", "release", "model"),
    [
        (OPENAI, "gpt-5.5-2026-04-01", "gpt-5.5"),
        (ANTHROPIC, "claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        (ANTHROPIC, "claude-opus-5-5@20260901", "claude-opus-5-5"),
        (ANTHROPIC, "claude-haiku-4-5-latest", "claude-haiku-4-5"),
        (GOOGLE, "gemini-3.8-flash-001", "gemini-3.8-flash"),
        (GOOGLE, "models/gemini-3.8-flash", "gemini-3.8-flash"),
        (GOOGLE, "gemini-2.5-flash-preview-09-2025", "gemini-2.5-flash"),
        (GOOGLE, "gemini-2.5-pro-preview-05-06", "gemini-2.5-pro"),
        (GOOGLE, "gemini-3.1-pro-preview-06-2026", "gemini-3.1-pro-preview"),
        (GOOGLE, "gemini-3-flash-preview", "gemini-3-flash-preview"),
    ],
)
def test_a_dated_release_can_do_what_its_model_can(models, release, model):
    known = next(info for info in models if info.id == model)
    found = Catalogue(models).find(release)
    assert found.id == release
    assert found.max_context_tokens == known.max_context_tokens
    assert found.max_output_tokens == known.max_output_tokens
    assert found.tools
    assert found.thinking == known.thinking


@pytest.mark.parametrize(
    ("models", "model"),
    [
        (OPENAI, "gpt-5.5-audio"),
        (OPENAI, "gpt-5.5-٢٠٢٦-04-01"),
        (ANTHROPIC, "claude-sonnet-4-5-20250929-x"),
        (ANTHROPIC, "claude-opus-9"),
        (GOOGLE, "gemini-3.8-flash-tts"),
        (GOOGLE, ""),
        ((), "gpt-5.5"),
    ],
)
def test_of_an_unknown_model_little_is_expected(models, model):
    assert Catalogue(models).find(model) == ModelInfo(model)
    assert not ModelInfo(model).tools


def test_what_the_vendor_said_takes_the_place_of_what_is_built_in():
    known = Catalogue((SMALL, ModelInfo("old", vision=True)))
    assert known.models == (SMALL, ModelInfo("old", vision=True))
    said = ModelInfo("small", max_context_tokens=2000)
    known.replace([said, ModelInfo("new"), ModelInfo("new", tools=True)])
    assert known.models == (said, ModelInfo("new", tools=True))
    assert known.find("small-2026-11-22").max_context_tokens == 2000
    # A name that the vendor does not list, such as an alias, may still be called.
    assert known.find("old").vision
    assert known.find("never") == ModelInfo("never")
    known.replace([])
    assert known.models == ()
    assert known.find("small") == said


def test_a_replaced_list_leaves_the_built_in_one_alone():
    one, other = Catalogue(ANTHROPIC), Catalogue(ANTHROPIC)
    one.replace([ModelInfo("claude-opus-5-5")])
    assert other.models == ANTHROPIC
    assert other.find("claude-opus-5-5").tools
    assert Catalogue(ANTHROPIC).find("claude-opus-5-5").tools
