"""/model: what may be chosen, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from sigil.stores import Stores
from sigil.testing import FakeProvider
from tests.talking import Talk, talk

HOME = {
    "home": {
        "members": ["ann"],
        "bindings": [{"channel": "memory", "channel_id": "room"}],
        "model": "other/home",
    }
}
ANN = {"ann": {"identities": ["memory:ann"]}}


def choosy(stores: Stores | None = None, **models: Any) -> Talk:
    other = {"other": FakeProvider("other", reply="from other")}
    return talk(stores=stores, providers=other, models=models, users=ANN, workspaces=HOME)


async def test_model_chooses_for_this_conversation_alone() -> None:
    other = FakeProvider("other", reply="from other")
    t = talk(providers={"other": other}, models={"allowed": ["fake/one", "other/x/y"]})
    assert "fake/one" in (await t.say("/model"))[0]
    assert "other/x/y" in (await t.say("/model other/x/y"))[0]
    assert await t.say("hi") == ["from other"]
    assert other.requests[0].model == "x/y"
    assert await t.say("hi", "bob") == ["ok"]
    assert "other/x/y" in (await t.say("/status"))[0]
    await t.say("/model default")
    assert await t.say("hi") == ["ok"]


async def test_without_a_list_the_models_that_answer_anyway_may_be_chosen() -> None:
    t = choosy(failover=["other/spare"])
    assert "from now on" in (await t.say("/model other/spare"))[0]
    assert "none of the models" in (await t.say("/model other/home"))[0]
    assert "from now on" in (await t.say("/model other/home", channel_id="room"))[0]


async def test_the_list_marks_what_is_in_use_and_says_what_each_one_is() -> None:
    t = talk(
        providers={"openai": FakeProvider("openai"), "other": FakeProvider("other")},
        models={"failover": ["openai/gpt-5.4"], "allowed": ["other/x", "openai/gpt-5.4"]},
    )
    (text,) = await t.say("/model")
    assert "- `fake/one`: **in use**, the usual one" in text
    assert "- `openai/gpt-5.4`: steps in when another one fails" in text
    assert text.rstrip().endswith("- `openai/gpt-5.4`: steps in when another one fails")
    await t.say("/model other/x")
    (text,) = await t.say("/model")
    assert "- `other/x`: **in use**" in text
    assert "/model default" in text


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("other/gpt-5", "other/gpt-5"),
        ("gpt-5", "other/gpt-5"),
        ("OTHER/GPT-5", "other/gpt-5"),
        ("fake/one", "fake/one"),
    ],
)
async def test_a_name_need_not_be_complete(written: str, meant: str) -> None:
    t = choosy(allowed=["other/gpt-5", "other/claude"])
    assert f"uses `{meant}` from now on" in (await t.say(f"/model {written}"))[0]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("other/gtp-5", "other/gpt-5"),
        ("gtp-5", "other/gpt-5"),
        ("othr/claude", "other/claude"),
        ("nobody/x", None),
        ("other/", None),
        ("/x", None),
        ("other/a b", None),
        ("other/" + "x" * 300, None),
        ("google/../../v1/files", None),
        ("same", None),
    ],
)
async def test_an_unknown_model_changes_nothing(wrong: str, meant: str | None) -> None:
    t = choosy(allowed=["other/gpt-5", "other/claude", "other/same", "fake/same"])
    (text,) = await t.say(f"/model {wrong}")
    assert text.startswith("That is none of the models here")
    assert meant is None or f"did you mean `{meant}`?" in text
    assert await t.say("hi") == ["ok"]


async def test_a_choice_that_is_no_longer_allowed_does_not_answer() -> None:
    t = choosy(allowed=["other/gpt-5"])
    await t.say("/model other/gpt-5")
    stricter = choosy(t.stores)
    stricter.written = t.written
    assert await stricter.say("hi") == ["ok"]
    assert "uses `fake/one`" in (await stricter.say("/model"))[0]
