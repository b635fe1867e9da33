"""What comes back from Gemini, and how it is sent again."""

from __future__ import annotations

import pytest

from sigil.errors import ErrorKind
from sigil.messages.conversation import Native
from sigil.providers import ChatEvent, EventType, Message, ToolDefinition, Usage
from sigil.providers.google import GoogleProvider
from tests.providers.calls import tool_calls_in
from tests.providers.google.calls import collect_error, collect_events
from tests.providers.google.replies import USAGE, answer, call, chunks, content, error
from tests.providers.google.server import GoogleServer
from tests.providers.loopback import Json, Reply, status

COUNTED = Usage(input_tokens=13, output_tokens=10, cached_tokens=4, thinking_tokens=3)
SIGNATURE = "__79AAEC"
ANSWERED = (
    {"text": "I think", "thought": True},
    "I ",
    "add.",
    call("kb_add", {"user_id": 1}, thoughtSignature=SIGNATURE),
    call("kb_add", {"user_id": 2}),
    {"text": "", "thoughtSignature": "AAAA"},
)
TOOLS = (ToolDefinition("kb.add"),)


def continue_after(events: list[ChatEvent], native: Native | None) -> list[Message]:
    calls = tool_calls_in(events)
    return [
        Message("user", "Add."),
        Message("assistant", "I add.", tool_calls=calls, native=native),
        *(Message("tool", f"sum {n}", tool_call_id=one.id) for n, one in enumerate(calls)),
        Message("assistant", ""),
        Message("user", "Thanks"),
    ]


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_text_usage_and_done(provider: GoogleProvider, stream: bool) -> None:
    *texts, usage, done = await collect_events(provider, stream=stream)
    assert [event.text for event in texts] == (["Hi", " there"] if stream else ["Hi there"])
    assert usage.usage == COUNTED
    assert (done.type, done.stop_reason, done.native) == (EventType.DONE, "stop", None)


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("STOP", "stop"), ("MAX_TOKENS", "length"), ("OTHER", "OTHER"), ("NEW_REASON", "NEW_REASON")],
)
async def test_stop_reasons_are_mapped(
    server: GoogleServer, fresh_provider: GoogleProvider, finish: str, reason: str
) -> None:
    server.reply = answer("Hi", finish=finish)
    assert (await collect_events(fresh_provider))[-1].stop_reason == reason


async def test_an_unknown_reason_to_block_is_shown(
    server: GoogleServer, fresh_provider: GoogleProvider
) -> None:
    server.reply = chunks({"promptFeedback": {"blockReason": "NEW_REASON"}})
    (end,) = await collect_events(fresh_provider)
    assert end.error is not None
    assert (end.error.kind, "NEW_REASON" in str(end.error)) == (ErrorKind.FILTERED, True)


async def test_the_last_value_of_each_count_holds(
    server: GoogleServer, provider: GoogleProvider
) -> None:
    server.reply = chunks(
        content("Hi", usageMetadata={"promptTokenCount": 9, "candidatesTokenCount": 1}),
        content(finish="STOP", usageMetadata={"candidatesTokenCount": 5}),
    )
    assert (await collect_events(provider))[-2].usage == Usage(input_tokens=9, output_tokens=5)


@pytest.mark.parametrize("stream", [True, False])
async def test_calls_come_out_in_neutral_form_and_go_back_in_the_vendors_own(
    server: GoogleServer, provider: GoogleProvider, stream: bool
) -> None:
    server.reply = answer(*ANSWERED)
    events = await collect_events(provider, tools=TOOLS, stream=stream)
    assert "".join(event.text for event in events) == "I add."
    first, second = tool_calls_in(events)
    assert (first.name, first.arguments, second.arguments) == (
        "kb.add",
        {"user_id": 1},
        {"user_id": 2},
    )
    assert first.id != second.id
    assert (events[-1].type, events[-1].stop_reason) == (EventType.DONE, "tool_calls")
    assert events[-1].native is not None
    server.reply = answer()
    await collect_events(provider, *continue_after(events, events[-1].native), tools=TOOLS)
    _, replayed, results, thanks = server.requests[-1]["contents"]
    assert replayed == {
        "role": "model",
        "parts": [
            {"text": "I think", "thought": True},
            {"text": "I add."},
            {
                "functionCall": {"name": "kb_add", "args": {"user_id": 1}},
                "thoughtSignature": SIGNATURE,
            },
            {"functionCall": {"name": "kb_add", "args": {"user_id": 2}}},
            {"text": "", "thoughtSignature": "AAAA"},
        ],
    }
    assert results == {
        "role": "user",
        "parts": [
            {"functionResponse": {"name": "kb_add", "response": {"output": "sum 0"}}},
            {"functionResponse": {"name": "kb_add", "response": {"output": "sum 1"}}},
        ],
    }
    assert thanks == {"role": "user", "parts": [{"text": "Thanks"}]}


async def test_the_vendors_own_ids_are_kept_and_sent_back(
    server: GoogleServer, provider: GoogleProvider
) -> None:
    server.reply = answer(call("kb_add", id="fc-1"))
    events = await collect_events(provider, tools=TOOLS)
    assert [one.id for one in tool_calls_in(events)] == ["fc-1"]
    server.reply = answer()
    await collect_events(provider, *continue_after(events, events[-1].native))
    _, replayed, results, _ = server.requests[-1]["contents"]
    assert replayed["parts"][0]["functionCall"]["id"] == "fc-1"
    assert results["parts"][0]["functionResponse"]["id"] == "fc-1"


async def test_an_answer_too_long_to_keep_is_kept_in_neutral_form_only(
    server: GoogleServer, provider: GoogleProvider
) -> None:
    server.reply = answer("x" * 300_000, call("add"))
    done = (await collect_events(provider))[-1]
    assert (done.stop_reason, done.native) == ("tool_calls", None)


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([content("Hi"), {}], ErrorKind.SERVER),
        ([content({"text": "I think", "thought": True}, finish="STOP")], ErrorKind.SERVER),
        ([content(finish="RECITATION")], ErrorKind.FILTERED),
        ([content(finish="PROHIBITED_CONTENT")], ErrorKind.FILTERED),
        ([{"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}], ErrorKind.FILTERED),
        ([content(finish="MALFORMED_FUNCTION_CALL")], ErrorKind.SERVER),
        ([content(call(""), finish="STOP")], ErrorKind.SERVER),
        ([content(*[call("add")] * 129, finish="STOP")], ErrorKind.SERVER),
        ([content(call("add", {"x": "x" * 1_000_001}), finish="STOP")], ErrorKind.SERVER),
        ([content("Hi"), '{"candidates": 5}'], ErrorKind.SERVER),
        ([content("Hi"), '{"candidates": [{"content": "x"}]}'], ErrorKind.SERVER),
        ([content("Hi"), '{"candidates": [{"content": {"parts": [5]}}]}'], ErrorKind.SERVER),
        ([content("Hi"), '{"usageMetadata": {"promptTokenCount": "many"}}'], ErrorKind.SERVER),
        ([content("Hi"), '{"error": {"message": "without a code"}}'], ErrorKind.SERVER),
        ([content("Hi"), '{"error": "No."}'], ErrorKind.SERVER),
    ],
)
async def test_a_stream_that_is_not_an_answer_is_an_error_of_its_class(
    server: GoogleServer, provider: GoogleProvider, events: list[Json | str], kind: ErrorKind
) -> None:
    server.reply = chunks(*events)
    assert (await collect_error(provider)).kind is kind


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, ErrorKind.SERVER),
        ({"candidates": []}, ErrorKind.SERVER),
        ({"candidates": 5}, ErrorKind.SERVER),
        (content("Hi"), ErrorKind.NETWORK),
    ],
)
async def test_a_whole_body_that_is_not_an_answer_is_an_error_of_its_class(
    server: GoogleServer, provider: GoogleProvider, body: object, kind: ErrorKind
) -> None:
    server.reply = status(200, body)
    assert (await collect_error(provider, stream=False)).kind is kind


@pytest.mark.parametrize(
    "reply",
    [
        chunks(content("Hi", usageMetadata=USAGE)),
        chunks(content("Hi", usageMetadata=USAGE), end="cut"),
        chunks(content("Hi", usageMetadata=USAGE), error(503, "UNAVAILABLE")),
        answer("Hi", finish="SAFETY"),
        answer(call("")),
    ],
)
async def test_the_usage_of_a_failed_answer_comes_before_the_error(
    server: GoogleServer, provider: GoogleProvider, reply: Reply
) -> None:
    server.reply = reply
    *_, usage, end = await collect_events(provider)
    assert (usage.usage, end.type) == (COUNTED, EventType.ERROR)
