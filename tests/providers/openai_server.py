"""OpenAI's API on loopback: it checks each request and breaks off in every way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.providers.openai_rules import KEY as KEY
from tests.providers.openai_rules import violations

REQUEST_ID = "req_0001"
Json = dict[str, Any]
Reply = Callable[["Exchange"], Awaitable[None]]

USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


@dataclass
class Exchange:
    headers: dict[str, str]
    body: Json
    writer: asyncio.StreamWriter
    closed_by_client: asyncio.Event
    reader: asyncio.StreamReader

    async def head(self, status: int, content_type: str, extra: dict[str, str]) -> None:
        headers = {
            "content-type": content_type,
            "x-request-id": REQUEST_ID,
            "connection": "close",
            "transfer-encoding": "chunked",
            **extra,
        }
        lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in headers.items())]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await self.writer.drain()

    async def send(self, text: str) -> None:
        data = text.encode()
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self.writer.drain()

    async def end(self) -> None:
        """Ends the body as HTTP does; without it the client sees a connection that broke."""
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def until_closed(self) -> None:
        await self.reader.read()
        self.closed_by_client.set()


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
        if end == "clean":
            await exchange.end()
        elif end == "cut":
            exchange.writer.transport.abort()
        elif end == "silence":
            await exchange.until_closed()

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
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        await exchange.head(code, "application/json", extra)
        if text:
            await exchange.send(text)
        await exchange.end()

    return reply


def refusal(code: int, kind: str | None, message: str = "No.", **headers: str) -> Reply:
    return status(code, {"error": {"message": message, "type": "x", "code": kind}}, **headers)


async def cut(exchange: Exchange) -> None:
    exchange.writer.transport.abort()


async def silence(exchange: Exchange) -> None:
    await exchange.until_closed()


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
            exchange = Exchange(headers, body, writer, self.closed_by_client, reader)
            reply = refusal(400, None, "; ".join(found)) if found else self.reply
            await reply(exchange)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.closed_by_client.set()
        finally:
            writer.close()


@asynccontextmanager
async def openai_server() -> AsyncIterator[OpenAIServer]:
    """The server; leaving fails if any request broke the rules."""
    served = OpenAIServer()
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield served
    finally:
        server.close()
        await server.wait_closed()
    assert served.violations == []
