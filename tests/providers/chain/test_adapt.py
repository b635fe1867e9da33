"""A request is made into what one model can take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sigil.messages.conversation import Document
from sigil.providers import ChatRequest, Image, Message, ModelInfo, ToolCall, ToolDefinition
from sigil.providers.chain.adapt import BLIND_TEXT, BYTES_PER_TOKEN, adapt

ABLE = ModelInfo("m", tools=True, vision=True, max_context_tokens=100_000, max_output_tokens=8_000)
TOOL = ToolDefinition("add", "adds", {"type": "object"})
CALL = Message("assistant", "wait", tool_calls=(ToolCall("1", "add", {"a": 1}),))
RESULT = Message("tool", "2", tool_call_id="1")


def request(*messages: Message, **more: object) -> ChatRequest:
    return ChatRequest("m", messages, **{"max_tokens": 4_000, **more})


def test_a_model_that_can_do_it_gets_it_all() -> None:
    asked = request(
        Message("user", "look", images=(Image("https://h/a.png"),)), CALL, RESULT, tools=(TOOL,)
    )
    assert adapt(asked, ABLE) == asked


def test_a_blind_model_is_told_of_pictures() -> None:
    seen = adapt(
        request(Message("user", "look", images=(Image("https://h/a.png"),))), ModelInfo("m")
    )
    (message,) = seen.messages
    assert message.images == ()
    assert message.content == f"look\n{BLIND_TEXT}"


def test_a_model_gets_of_pictures_and_documents_what_it_takes() -> None:
    pictures = (Image("data:image/png;base64,AAAA"),)
    documents = (Document("data:application/pdf;base64,AAAA", "plan.pdf"),)
    asked = request(Message("user", "look", images=pictures, documents=documents))
    (message,) = adapt(asked, ModelInfo("m", vision=True, max_context_tokens=100_000)).messages
    assert (message.images, message.documents) == (pictures, ())
    assert message.content == "look\n(the document plan.pdf, which this model cannot read)"
    (message,) = adapt(asked, ModelInfo("m", documents=True, max_context_tokens=100_000)).messages
    assert (message.images, message.documents) == ((), documents)


def test_a_model_without_tools_reads_what_they_did() -> None:
    asked = request(Message("user", "sum"), CALL, RESULT, tools=(TOOL,))
    seen = adapt(asked, ModelInfo("m"))
    assert seen.tools == ()
    assert [message.role for message in seen.messages] == ["user", "assistant", "user"]
    assert not any(message.tool_calls or message.tool_call_id for message in seen.messages)
    assert "add" in seen.messages[1].content
    assert "2" in seen.messages[2].content


def test_the_answer_is_bounded_by_the_model() -> None:
    assert (
        adapt(request(Message("user", "x")), ModelInfo("m", max_output_tokens=100)).max_tokens
        == 100
    )
    small = ModelInfo("m", max_context_tokens=1_000, max_output_tokens=1_000)
    assert adapt(request(Message("user", "x")), small).max_tokens == 500


def test_a_model_that_cannot_stream_is_not_asked_to() -> None:
    assert not adapt(request(Message("user", "x")), ModelInfo("m", streaming=False)).stream


def test_the_oldest_is_left_out_and_the_newest_stays_whole() -> None:
    talk = [Message("user" if n % 2 == 0 else "assistant", f"{n} " + "x" * 3_000) for n in range(9)]
    seen = adapt(
        request(*talk, max_tokens=1_000), ModelInfo("m", max_context_tokens=5_000)
    ).messages
    assert 0 < len(seen) < 9
    assert seen == tuple(talk[-len(seen) :])
    assert seen[0].role == "user"
    huge = Message("user", "y" * 1_000_000)
    assert adapt(request(*talk, huge), ModelInfo("m")).messages == (huge,)


def test_results_that_are_too_long_are_not_left_out() -> None:
    huge = Message("tool", "y" * 1_000_000, tool_call_id="1")
    asked = request(Message("user", "old"), Message("user", "sum"), CALL, huge, tools=(TOOL,))
    seen = adapt(asked, ModelInfo("m", tools=True)).messages
    assert seen == (Message("user", "sum"), CALL, huge)
    told = adapt(asked, ModelInfo("m")).messages
    assert [message.role for message in told] == ["user", "assistant", "user"]
    assert told[0].content == "sum"


texts = st.text(max_size=400)
turns = st.lists(
    st.one_of(
        st.builds(lambda t: [Message("user", t), Message("assistant", t)], texts),
        st.builds(lambda t: [Message("user", t), CALL, RESULT, Message("assistant", t)], texts),
    ),
    max_size=12,
).map(lambda groups: [message for group in groups for message in group])


@given(turns, texts, st.integers(200, 4_000), st.booleans())
def test_whatever_the_talk_it_fits_or_is_the_last_question(
    talk: list[Message], last: str, context: int, tools: bool
) -> None:
    info = ModelInfo("m", tools=tools, max_context_tokens=context, max_output_tokens=context)
    question = Message("user", last)
    seen = adapt(request(*talk, question), info)
    assert seen.messages[-1] == question
    assert seen.messages[0].role == "user"
    size = sum(len(message.content.encode()) for message in seen.messages) // BYTES_PER_TOKEN
    assert len(seen.messages) == 1 or size + seen.max_tokens <= context
    calls = [call.id for message in seen.messages for call in message.tool_calls]
    results = [message.tool_call_id for message in seen.messages if message.role == "tool"]
    assert calls == results
