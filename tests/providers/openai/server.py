"""OpenAI's API on loopback: it checks each request and breaks off in every way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from tests.providers.loopback import Exchange, Json, serving
from tests.providers.loopback import cut as cut
from tests.providers.loopback import silence as silence
from tests.providers.openai.rules import KEY as KEY
from tests.providers.openai.rules import violations

REQUEST_ID = "req_0001"
ALWAYS = {"x-request-id": REQUEST_ID, "connection": "close"}
Reply = Callable[[Exchange], Awaitable[None]]

USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def chunk(
    delta: Json | None = None, finish_reason: str | None = None, usage: Json | None = None
) -> str:
    choices = (
        [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    )
    data = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": choices,
        "usage": usage,
    }
    return f"data: {json.dumps(data)}\n\n"


def call_delta(
    index: int, arguments: str, call_id: str | None = None, name: str | None = None, **more: Any
) -> str:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    call: Json = {"index": index, "function": function, **more} | (
        {"id": call_id} if call_id else {}
    )
    return chunk({"tool_calls": [call]})


DONE = "data: [DONE]\n\n"


def words(text: str) -> Iterator[str]:
    yield chunk({"role": "assistant", "content": ""})
    for word in text.split(" "):
        yield chunk({"content": word})


def answer(text: str = "Hi there", finish_reason: str = "stop") -> Reply:
    """A good answer, in the form that was asked for."""

    async def reply(exchange: Exchange) -> None:
        if exchange.body.get("stream"):
            pieces = text.partition(" ")
            await streamed(
                *(chunk({"content": piece}) for piece in pieces if piece),
                chunk({}, finish_reason),
                chunk(usage=USAGE),
                DONE,
            )(exchange)
        else:
            await whole({"content": text}, finish_reason)(exchange)

    return reply


def streamed(*events: str, end: str = "clean") -> Reply:
    """These events, and then the end: `clean`, `cut` or `silence`."""

    async def reply(exchange: Exchange) -> None:
        await exchange.head(200, "text/event-stream", {})
        for event in events:
            await exchange.send(event)
        await exchange.end_as(end)

    return reply


def whole(message: Json, finish_reason: str | None = "stop") -> Reply:
    return status(
        200,
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": None, **message},
                    "finish_reason": finish_reason,
                }
            ],
            "usage": USAGE,
        },
    )


def status(code: int, body: Json | str, **headers: str) -> Reply:
    async def reply(exchange: Exchange) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        await exchange.head(code, "application/json", headers)
        if text:
            await exchange.send(text)
        await exchange.end()

    return reply


def refusal(code: int, kind: str | None, message: str = "No.", **headers: str) -> Reply:
    return status(code, {"error": {"message": message, "type": "x", "code": kind}}, **headers)


@dataclass
class OpenAIServer:
    url: str = ""
    reply: Reply = field(default_factory=answer)
    requests: list[Json] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    closed_by_client: asyncio.Event = field(default_factory=asyncio.Event)
    needs_key: bool = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line, *raw = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            headers = {name.lower(): value for name, value in (h.split(": ", 1) for h in raw)}
            sent = await reader.readexactly(int(headers.get("content-length", 0)))
            body = json.loads(sent or "{}")
            self.requests.append(body)
            self.headers.append(headers)
            self.paths.append(line.split(" ")[1])
            found = list(violations(line, headers, body, self.needs_key))
            self.violations += found
            exchange = Exchange(body, reader, writer, self.closed_by_client, always=ALWAYS)
            reply = refusal(400, None, "; ".join(found)) if found else self.reply
            await reply(exchange)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.closed_by_client.set()
        finally:
            writer.close()


def openai_server() -> AbstractAsyncContextManager[OpenAIServer]:
    """The server; leaving fails if any request broke the rules."""
    return serving(OpenAIServer(), "/v1")
