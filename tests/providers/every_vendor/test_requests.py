"""What is sent of what models, tools and plug-ins may have made of a conversation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sigil.errors import ErrorKind
from sigil.providers import EventType, Message, Provider, ToolCall, ToolDefinition
from tests.providers.calls import collect_error, collect_events, join_text
from tests.providers.exchange import TEXT
from tests.providers.fault_server import FaultServer
from tests.providers.vendors import SDKS, VENDORS, Vendor

# https://ai.google.dev/api/caching#FunctionDeclaration, which is the strictest.
TOOL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
HALF = "half \ud83d of a pair"
PARAMETERS = {"properties": {"at": {"type": "string"}}, "required": ["at"]}

every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=str)
every_sdk = pytest.mark.parametrize("vendor", SDKS, ids=str)


def talk_with_a_tool(arguments: dict[Any, Any], result: str = "done") -> tuple[Message, ...]:
    return (
        Message("user", "Hello"),
        Message("assistant", "", (ToolCall("call_1", "look", arguments),)),
        Message("tool", result, tool_call_id="call_1"),
    )


def nest(depth: int) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for _ in range(depth):
        nested = {"in": nested}
    return nested


def definitions_in(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The definitions of tools in a request, each with its `name` and `schema`."""
    tools = body["tools"]
    for tool in tools[0].get("functionDeclarations", tools):
        tool = tool.get("function", tool)
        names = ("input_schema", "parameters", "parameters_json_schema", "parametersJsonSchema")
        schema = next((tool[name] for name in names if name in tool), None)
        yield {"name": tool["name"], "schema": schema}


async def record_body(
    server: FaultServer, provider: Provider, *messages: Message, **fields: Any
) -> dict[str, Any]:
    """The body of a request that is answered."""
    assert join_text(await collect_events(provider, *messages, **fields)) == TEXT
    return server.calls[-1].body


@pytest.mark.parametrize(
    "messages",
    [
        (Message("user", HALF),),
        (Message("user", "Hello"), Message("assistant", HALF), Message("user", "?")),
        talk_with_a_tool({"text": HALF, HALF: [HALF]}),
        talk_with_a_tool({}, HALF),
    ],
    ids=["words", "answer", "arguments", "result"],
)
async def test_half_a_surrogate_pair_is_replaced(
    server: FaultServer, providers: Mapping[str, Provider], messages: tuple[Message, ...]
) -> None:
    tools = (ToolDefinition("look", HALF),)
    body = await record_body(
        server, providers["openai"], *messages, tools=tools, system_prompt=HALF
    )
    shown = json.dumps(body, ensure_ascii=False)
    assert "half \ufffd of a pair" in shown
    assert "\ud83d" not in shown


async def test_numbers_that_json_does_not_have_are_left_out(
    server: FaultServer, providers: Mapping[str, Provider]
) -> None:
    messages = talk_with_a_tool({"at": float("nan"), "to": float("inf")})
    shown = json.dumps(await record_body(server, providers["openai"], *messages))
    assert "NaN" not in shown
    assert "Infinity" not in shown


@pytest.mark.parametrize(
    "arguments", [{"data": b"x"}, {"set": {1}}, nest(10_000)], ids=["bytes", "a set", "too deep"]
)
async def test_a_request_that_cannot_be_written_is_at_fault_itself(
    server: FaultServer, providers: Mapping[str, Provider], arguments: dict[str, Any]
) -> None:
    server.calls.clear()
    error = await collect_error(providers["openai"], *talk_with_a_tool(arguments))
    assert (error.kind, error.reached) == (ErrorKind.INVALID_REQUEST, False)
    assert server.calls == []


@every_sdk
async def test_a_request_that_cannot_be_written_leaves_nothing_behind(
    providers: Mapping[str, Provider], vendor: Vendor
) -> None:
    provider = providers[vendor.name]
    error = await collect_error(provider, *talk_with_a_tool({"a": b""}))
    assert error.kind is ErrorKind.INVALID_REQUEST
    assert (await collect_events(provider))[-1].type is EventType.DONE


@every_vendor
async def test_every_name_of_a_tool_becomes_one_that_every_vendor_takes(
    server: FaultServer, providers: Mapping[str, Provider], vendor: Vendor
) -> None:
    names = ("calendar.create", "1password.get", "-x", "", "a" * 200, "a b", "a.b", "日本", "x/y:z")
    tools = tuple(ToolDefinition(name, "d", {}) for name in names)
    body = await record_body(server, providers[vendor.name], tools=tools)
    sent = [tool["name"] for tool in definitions_in(body)]
    assert [name for name in sent if not TOOL_NAME.fullmatch(name)] == []
    assert len(set(sent)) == len(names)


@pytest.mark.parametrize(
    ("vendor", "parameters"),
    [
        *((vendor, PARAMETERS) for vendor in VENDORS),
        (VENDORS[1], {"type": "object"}),
        (VENDORS[1], {"type": "object", "properties": None}),
    ],
    ids=str,
)
async def test_a_tools_schema_has_what_vendors_insist_on(
    server: FaultServer,
    providers: Mapping[str, Provider],
    vendor: Vendor,
    parameters: dict[str, Any],
) -> None:
    tools = (ToolDefinition("look", "d", parameters),)
    (tool,) = definitions_in(await record_body(server, providers[vendor.name], tools=tools))
    expected = {"type": "object", **parameters, "properties": parameters.get("properties") or {}}
    assert tool["schema"] == expected
