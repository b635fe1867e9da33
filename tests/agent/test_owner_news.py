"""What the owner is told of calls that failed, and what everybody else is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigil.errors import ErrorKind, ProviderError
from sigil.testing import ScriptedProvider
from tests.talking import Talk, talk

PEOPLE = {"sean": {"role": "owner", "identities": ["memory:sean"]}}
SHORT = "I cannot answer just now. Only my owner can mend that, and they have been told."
REFUSED = "fake refused its key (401). Check `providers.fake.api_key`."
UNPAID = (
    "fake has no credit left (402). Add credit to the account of `providers.fake.api_key`, "
    "or choose another model."
)


def refuse(kind: ErrorKind = ErrorKind.AUTH, status: int = 401) -> ProviderError:
    return ProviderError("no", kind=kind, provider="fake", status=status)


def talk_with(*script: object, **settings: object) -> Talk:
    return talk(provider=ScriptedProvider(list(script)), users=PEOPLE, **settings)


def told(t: Talk, who: str) -> list[str]:
    return [message.content for message in t.channel.sent if message.channel_id == who]


@pytest.mark.parametrize(
    ("error", "cause"),
    [(refuse(), REFUSED), (refuse(ErrorKind.BILLING, 402), UNPAID)],
    ids=["key", "credit"],
)
async def test_the_owner_who_asks_is_told_the_cause_and_its_place(
    error: ProviderError, cause: str
) -> None:
    t = talk_with(error)
    assert await t.say("hello", "sean") == [f"No model could answer.\n\n- {cause}"]


async def test_the_line_of_the_configuration_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sigil.yaml").write_text("providers:\n  fake:\n    api_key: k\n")
    monkeypatch.chdir(tmp_path)
    t = talk_with(refuse())
    assert "`providers.fake.api_key`, line 3 of sigil.yaml" in (await t.say("hello", "sean"))[0]


async def test_others_get_a_short_sentence_and_the_owner_one_message_an_episode() -> None:
    t = talk_with("hi", refuse(), refuse(), "better", refuse())
    await t.say("hello", "sean")
    for text in ("one", "two"):
        await t.say(text, "ann")
    assert told(t, "ann") == [SHORT, SHORT]
    assert told(t, "sean") == ["hi", REFUSED]
    assert await t.say("three", "ann") == ["better"]
    await t.say("four", "ann")
    assert told(t, "sean") == ["hi", REFUSED, REFUSED]


async def test_nobody_reads_the_causes_in_a_group() -> None:
    t = talk_with("hi", refuse())
    await t.say("hello", "sean")
    await t.say("hello", "sean", channel_id="group", is_direct=False)
    assert told(t, "group") == [SHORT]
    assert told(t, "sean") == ["hi", REFUSED]


async def test_who_asks_is_asked_to_tell_an_owner_who_cannot_be_reached() -> None:
    t = talk_with(refuse())
    assert await t.say("hello", "ann") == [
        "I cannot answer just now. Only my owner can mend that, so please tell them."
    ]


async def test_the_owner_is_told_although_another_model_has_answered() -> None:
    t = talk_with(
        "hi",
        refuse(),
        providers={"other": ScriptedProvider(["from the other"])},
        models={"failover": ["other/two"]},
    )
    await t.say("hello", "sean")
    await t.say("hello", "ann")
    assert (told(t, "ann"), told(t, "sean")) == (["from the other"], ["hi", REFUSED])


async def test_the_owner_who_asks_is_told_once_although_another_model_has_answered() -> None:
    t = talk_with(
        refuse(),
        providers={"other": ScriptedProvider(["one", "two"])},
        models={"failover": ["other/two"]},
    )
    assert await t.say("hello", "sean") == [REFUSED, "one"]
    assert await t.say("and again", "sean") == ["two"]
