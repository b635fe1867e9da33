"""A Messages API on loopback that checks each request by the rules of the API reference.

The rules: required fields, roles in alternation that end with the user, text that is not blank,
results right after their calls, ids and names of tools, at most 4 cache marks, no temperature in
the current version of the API.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from tests.providers.loopback import Exchange, Json, serving

KEY = "sk-ant-test-0123456789abcdef"
REQUEST_ID = "req_0001"
ALWAYS = {"request-id": REQUEST_ID}
Reply = Callable[[Exchange], Awaitable[None]]

USAGE = {
    "input_tokens": 5,
    "cache_read_input_tokens": 4,
    "cache_creation_input_tokens": 2,
    "output_tokens": 1,
}
FINAL_USAGE = {"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 3}}


def event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


def start(usage: Json | None = None) -> str:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
    return event("message_start", message=message | {"usage": USAGE if usage is None else usage})


def delta(index: int, kind: str, name: str, piece: object) -> str:
    return event("content_block_delta", index=index, delta={"type": kind, name: piece})


def text(*pieces: str, index: int = 0) -> str:
    begin = event("content_block_start", index=index, content_block={"type": "text", "text": ""})
    return begin + "".join(delta(index, "text_delta", "text", piece) for piece in pieces)


def tool_use(index: int, *pieces: str, name: str = "get", call_id: str = "toolu_1") -> str:
    block = {"type": "tool_use", "id": call_id, "name": name, "input": {}, "toolset_name": None}
    begin = event("content_block_start", index=index, content_block=block)
    return begin + "".join(delta(index, "input_json_delta", "partial_json", p) for p in pieces)


def stop(reason: str | None = "end_turn", **fields: Any) -> str:
    end = {"stop_reason": reason, "stop_sequence": None, **fields}
    return event("message_delta", delta=end, usage=FINAL_USAGE) + event("message_stop")


def streamed(*events: str, end: str = "clean") -> Reply:
    """These events, and then the end: `clean`, `cut` or `silence`."""

    async def reply(exchange: Exchange) -> None:
        await exchange.head(200, "text/event-stream", {})
        await exchange.send("".join(events))
        await exchange.end_as(end)

    return reply


def status(code: int, body: object, **headers: str) -> Reply:
    async def reply(exchange: Exchange) -> None:
        await exchange.head(code, "application/json", headers)
        await exchange.send(json.dumps(body))
        await exchange.end()

    return reply


def refused(code: int, kind: str, message: str = "No.", **headers: str) -> Reply:
    return status(code, {"type": "error", "error": {"type": kind, "message": message}}, **headers)


def whole(*content: Json, reason: str | None = "end_turn") -> Reply:
    usage = USAGE | FINAL_USAGE
    body = {"id": "msg_1", "type": "message", "role": "assistant", "content": list(content)}
    return status(200, body | {"stop_reason": reason, "usage": usage})


ANSWER = streamed(start(), event("ping"), text("Hi", " there"), stop())


@dataclass
class AnthropicServer:
    """`replies` are used up in order; the last one stays."""

    url: str = ""
    replies: list[Reply] = field(default_factory=lambda: [ANSWER])
    requests: list[Json] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    connections: int = 0
    closed_by_client: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.closed_by_client.set()
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, *raw = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, value in (h.split(": ", 1) for h in raw)}
        data = await reader.readexactly(int(headers.get("content-length", "0")))
        body = json.loads(data) if data else {}
        self.lines.append(line)
        self.headers.append(headers)
        self.requests.append(body)
        if line.startswith("POST"):
            self.violations += violations(line, headers, body)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        await reply(Exchange(body, reader, writer, self.closed_by_client, always=ALWAYS))


def anthropic_server() -> AbstractAsyncContextManager[AnthropicServer]:
    """The server; leaving fails if any request broke the rules."""
    return serving(AnthropicServer())


def violations(line: str, headers: dict[str, str], body: Json) -> Iterator[str]:
    if line != "POST /v1/messages HTTP/1.1":
        yield f"request line {line}"
    if headers.get("content-type") != "application/json":
        yield "content-type"
    if "temperature" in body and headers.get("anthropic-version") != "2023-06-01":
        yield "temperature: Extra inputs are not permitted"
    if not isinstance(body.get("model"), str) or not isinstance(body.get("max_tokens"), int):
        yield "model or max_tokens"
    if json.dumps(body).count('"cache_control"') > 4:
        yield "more than 4 cache marks"
    for tool in body.get("tools", ()):
        if not _named(tool["name"]) or tool["input_schema"]["type"] != "object":
            yield f"tool {tool}"
    yield from _message_violations(body.get("messages") or [{"role": "none", "content": []}])


def _message_violations(messages: list[Json]) -> Iterator[str]:
    if messages[-1]["role"] != "user":
        yield "the last message is not the user's"
    calls: set[str] = set()
    previous = None
    for message in messages:
        if message["role"] == previous or message["role"] not in ("user", "assistant"):
            yield f"role {message['role']} after {previous}"
        previous = message["role"]
        if not message["content"]:
            yield "an empty message"
        results = [b["tool_use_id"] for b in message["content"] if b["type"] == "tool_result"]
        if calls != set(results) or len(results) != len(set(results)):
            yield f"results {results} of calls {calls}"
        if any(b["type"] != "tool_result" for b in message["content"][: len(results)]):
            yield "results are not first"
        calls = {b["id"] for b in message["content"] if b["type"] == "tool_use"}
        for block in message["content"]:
            if block["type"] == "text" and not block["text"].strip():
                yield "blank text"
            if block["type"] == "tool_use" and not (_named(block["name"]) and _named(block["id"])):
                yield f"call {block}"


def _named(name: str) -> bool:
    return re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) is not None
