"""What the model is told."""

from __future__ import annotations

from sigil.channels.base import ChannelSpec
from sigil.messages.exchange import Attachment
from sigil.testing import ScriptedProvider
from tests.talking import talk

# ---------------------------------------------------------------- what the model is told


async def test_the_model_is_told_where_it_is_and_who_speaks() -> None:
    t = talk(
        spec=ChannelSpec(hint="Plain text only."),
        memory={"prompt": "Be brief."},
        agent={"system_prompt": "You are Sigil."},
        users={"ann": {"identities": ["memory:ann"]}},
        workspaces={
            "home": {
                "members": ["ann"],
                "prompt": "This is home.",
                "bindings": [{"channel": "memory", "channel_id": "room"}],
            }
        },
        models={"max_tokens": 77, "temperature": 0.5},
    )
    await t.say("hello", channel_id="room", sender_name="An[n]", is_direct=False)
    (request,) = t.provider.requests
    content = request.messages[-1].content
    boundary = content[1:13]
    assert content == f'[{boundary} ann (member) "An(n)", memory group]\n| hello'
    written, how_to_read = str(request.system_prompt).split("\n\nSigil puts ")
    assert written == "You are Sigil.\n\nThis is home.\n\nPlain text only.\n\nBe brief."
    assert boundary in how_to_read
    assert (request.model, request.max_tokens, request.temperature) == ("one", 77, 0.5)


async def test_files_are_named_to_the_model() -> None:
    t = talk()
    file = Attachment("https://example.org/a.pdf", "a.pdf", "application/pdf")
    await t.say("", attachments=(file,))
    assert "attached: a.pdf, application/pdf]" in t.provider.requests[0].messages[-1].content


async def test_the_model_sees_the_conversation_within_its_window() -> None:
    t = talk(agent={"window": 5}, provider=ScriptedProvider(f"a{i}" for i in range(9)))
    for i in range(6):
        await t.say(f"q{i}")
    last = t.provider.requests[-1].messages
    assert [(m.role, m.content.split("\n")[-1]) for m in last] == [
        ("user", "q3"),
        ("assistant", "a3"),
        ("user", "q4"),
        ("assistant", "a4"),
        ("user", "q5"),
    ]


async def test_people_have_their_own_conversations() -> None:
    t = talk()
    await t.say("mine", "ann")
    await t.say("yours", "bob")
    assert len(t.provider.requests[-1].messages) == 1
