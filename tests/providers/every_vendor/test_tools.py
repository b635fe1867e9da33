"""What every vendor is sent of a tool."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sigil.providers import Message, Provider, ToolDefinition
from tests.providers.calls import collect_events, join_text
from tests.providers.exchange import TEXT
from tests.providers.fault_server import FaultServer
from tests.providers.vendors import VENDORS, Vendor

# https://ai.google.dev/api/caching#FunctionDeclaration, which is the strictest.
TOOL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
PARAMETERS = {"properties": {"at": {"type": "string"}}, "required": ["at"]}


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


@pytest.mark.parametrize("vendor", VENDORS, ids=str)
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
