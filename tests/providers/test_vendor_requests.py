"""What every vendor is sent of what models, tools and plug-ins may have made of a conversation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from sigil.errors import ErrorKind
from sigil.providers import ChatEvent, EventType, Message, Provider, ToolCall, ToolDefinition
from sigil.providers.shared.http_status import read_retry_after
from sigil.providers.shared.redaction import redact
from tests.providers.asking import collected, failure, text_of
from tests.providers.exchange import TEXT
from tests.providers.fault_server import fault_server
from tests.providers.vendors import VENDORS, Vendor, made

# https://ai.google.dev/api/caching#FunctionDeclaration, which is the strictest.
TOOL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
HALF = "half \ud83d of a pair"

every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=str)


def used(arguments: dict[Any, Any], result: str = "done") -> list[Message]:
    """A conversation in which a tool was called."""
    return [
        Message("user", "Hello"),
        Message("assistant", "", (ToolCall("call_1", "look", arguments),)),
        Message("tool", result, tool_call_id="call_1"),
    ]


def defined(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The definitions of tools in a request, each with its `name` and `schema`."""
    tools = body["tools"]
    for tool in tools[0].get("functionDeclarations", tools):
        tool = tool.get("function", tool)
        names = ("input_schema", "parameters", "parameters_json_schema", "parametersJsonSchema")
        schema = next((tool[name] for name in names if name in tool), None)
        yield {"name": tool["name"], "schema": schema}


async def sent(vendor: Vendor, **fields: Any) -> dict[str, Any]:
    """The body of a request that is answered."""
    async with fault_server() as server, made(server) as providers:
        assert text_of(await collected(providers[vendor.name], **fields)) == TEXT
        (call,) = server.calls
        return call.body


@every_vendor
@pytest.mark.parametrize(
    "messages",
    [
        [Message("user", HALF)],
        [Message("user", "Hello"), Message("assistant", HALF), Message("user", "?")],
        used({"text": HALF, HALF: [HALF]}),
        used({}, HALF),
    ],
    ids=["words", "answer", "arguments", "result"],
)
async def test_half_a_surrogate_pair_is_sent_as_what_it_is_not(
    vendor: Vendor, messages: list[Message]
) -> None:
    tools = (ToolDefinition("look", HALF),)
    body = await sent(vendor, messages=messages, tools=tools, system_prompt=HALF)
    shown = json.dumps(body, ensure_ascii=False)
    assert "half \ufffd of a pair" in shown
    assert "\ud83d" not in shown


@every_vendor
async def test_numbers_that_json_has_not_are_left_out(vendor: Vendor) -> None:
    body = await sent(vendor, messages=used({"at": float("nan"), "to": float("inf")}))
    assert "NaN" not in json.dumps(body)
    assert "Infinity" not in json.dumps(body)


def nested() -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(10_000):
        inner = {"in": inner}
    return inner


@every_vendor
@pytest.mark.parametrize(
    "arguments", [{"data": b"x"}, {"set": {1}}, nested()], ids=["bytes", "a set", "too deep"]
)
async def test_what_cannot_be_written_is_the_requests_own_fault(
    vendor: Vendor, arguments: dict[str, Any]
) -> None:
    async with fault_server() as server, made(server) as providers:
        error = await failure(providers[vendor.name], messages=used(arguments))
        assert error.kind is ErrorKind.INVALID_REQUEST
        assert not error.reached
        assert server.calls == []


@every_vendor
async def test_every_vendor_takes_the_names_of_tools(vendor: Vendor) -> None:
    names = ("calendar.create", "1password.get", "-x", "", "a" * 200, "a b", "a.b", "日本", "x/y:z")
    body = await sent(vendor, tools=tuple(ToolDefinition(name, "d", {}) for name in names))
    wire = [tool["name"] for tool in defined(body)]
    assert [name for name in wire if not TOOL_NAME.fullmatch(name)] == []
    assert len(set(wire)) == len(names)


@every_vendor
@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "object"},
        {"type": "object", "properties": None},
        {"properties": {"at": {"type": "string"}}, "required": ["at"]},
    ],
)
async def test_a_tools_schema_has_what_vendors_insist_on(
    vendor: Vendor, parameters: dict[str, Any]
) -> None:
    body = await sent(vendor, tools=(ToolDefinition("look", "d", parameters),))
    (tool,) = defined(body)
    expected = {"type": "object", **parameters, "properties": parameters.get("properties") or {}}
    assert tool["schema"] == expected


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("12.5", 12.5),
        ("9" * 400, 86400.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2065 07:28:00 GMT", 86400.0),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2030 00:00:00 +99999", None),
        ("soon", None),
        ("1.2.3", None),
        ("-5", None),
        ("", None),
    ],
)
def test_how_long_to_wait_is_taken_with_care(value: str, seconds: float | None) -> None:
    assert read_retry_after({"retry-after": value}) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"), [("1500", 1.5), ("nan", None), ("inf", 86400.0), ("-1", 0.0), ("x", None)]
)
def test_milliseconds_are_taken_with_care(value: str, seconds: float | None) -> None:
    assert read_retry_after({"retry-after-ms": value, "retry-after": "7"}) == seconds


def test_a_vendors_words_drive_no_terminal() -> None:
    words = "\x1b[31mred\x1b]0;owned\x07 \u202eback\u202c \x9b2J\r\n\u2028 end"
    assert redact(words) == "[31mred]0;owned back 2J end"


async def ended(provider: Provider, **fields: Any) -> ChatEvent:
    return (await collected(provider, **fields))[-1]


@every_vendor
async def test_an_answer_after_all_of_that_is_an_answer(vendor: Vendor) -> None:
    """Nothing of a refused request stays behind in the provider."""
    async with fault_server() as server, made(server) as providers:
        provider = providers[vendor.name]
        assert (await ended(provider, messages=used({"a": b""}))).type is EventType.ERROR
        assert (await ended(provider)).type is EventType.DONE
