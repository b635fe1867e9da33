"""What a candidate's provider says of itself, and plug-ins that cannot say it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sigil.providers import ModelInfo
from sigil.providers.chain import candidate
from sigil.providers.chain.candidate import Candidate
from sigil.providers.fakes import FakeProvider
from tests.providers.chain.chains import brief, chain_of

SECRET = "sk-plugin-0123456789"


def test_a_name_is_split_at_the_first_slash() -> None:
    each = Candidate("openai/vendor/model-x", {"": FakeProvider("x")})
    assert (each.provider_name, each.model) == ("openai", "vendor/model-x")


async def test_its_provider_is_the_one_with_the_first_key() -> None:
    first, second = FakeProvider("x"), FakeProvider("x", available=False)
    assert await Candidate("x/m", {"k1": first, "k2": second}).explain_absence() is None
    assert await Candidate("x/m", {"k2": second, "k1": first}).explain_absence() == "not available"


async def test_an_override_corrects_what_the_provider_says() -> None:
    def blind(info: ModelInfo) -> ModelInfo:
        return ModelInfo(info.id, tools=info.tools)

    known = {"": FakeProvider("a")}
    assert (await Candidate("a/model", known).find_info()).vision
    assert await Candidate("a/model", known, blind).find_info() == ModelInfo("model", tools=True)


async def hangs() -> Any:
    await asyncio.Event().wait()


async def fails() -> Any:
    raise ValueError(SECRET)


async def says_nothing() -> Any:
    return None


@pytest.mark.parametrize("list_models", [hangs, fails, says_nothing])
async def test_one_that_cannot_tell_its_models_answers_all_the_same(
    list_models: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate, "LOCAL_ANSWER_S", 0.05)
    plugin = FakeProvider("plugin")
    monkeypatch.setattr(plugin, "list_models", list_models)
    chain = chain_of(plugin, FakeProvider("b"))
    assert await brief(chain) == ["ok", "usage", "done"]
    assert [attempt.model for attempt in chain.attempts] == ["plugin/m"]
    assert (await chain.list_models())[0] == ModelInfo("plugin/m")


@pytest.mark.parametrize("available", [hangs, fails])
async def test_one_that_cannot_tell_whether_it_is_there_is_passed_over(
    available: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate, "LOCAL_ANSWER_S", 0.05)
    plugin = FakeProvider("plugin")
    monkeypatch.setattr(plugin, "available", available)
    chain = chain_of(plugin, FakeProvider("b"))
    assert await brief(chain) == ["ok", "usage", "done"]
    assert [attempt.model for attempt in chain.attempts] == ["b/m"]
    absence = await Candidate("plugin/m", {"": plugin}).explain_absence()
    assert absence is not None
    assert SECRET not in absence
