"""A Gemini server on loopback that checks each request and breaks off in every way.

The rules are those of the API reference (ai.google.dev/api/generate-content): paths, the key's
header, roles, at least one part in each content, the pairing of calls with their results.
"""

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

KEY = "AIzaSyTest0123456789abcdefghijklmnop"
RESPONSE_ID = "rsp_0001"
ALWAYS = {"connection": "close"}
Reply = Callable[[Exchange], Awaitable[None]]

USAGE = {
    "promptTokenCount": 11,
    "toolUsePromptTokenCount": 2,
    "cachedContentTokenCount": 4,
    "candidatesTokenCount": 7,
    "thoughtsTokenCount": 3,
    "totalTokenCount": 23,
}


def streams(exchange: Exchange) -> bool:
    return ":streamGenerateContent" in exchange.path


def content(*parts: Json | str, finish: str | None = None, **fields: Any) -> Json:
    """One response, or one chunk of it; a part that is a string is text."""
    candidate: Json = {"index": 0}
    if parts:
        told = [{"text": part} if isinstance(part, str) else part for part in parts]
        candidate["content"] = {"role": "model", "parts": told}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "responseId": RESPONSE_ID, **fields}


def call(name: str, arguments: Json | None = None, **fields: Any) -> Json:
    """A part that asks for a tool call; `id` and `thoughtSignature` go where they belong."""
    called: Json = {"name": name, "args": arguments or {}}
    if "id" in fields:
        called["id"] = fields.pop("id")
    return {"functionCall": called, **fields}


def sse(*chunks: Json | str) -> list[str]:
    return [
        f"data: {chunk if isinstance(chunk, str) else json.dumps(chunk)}\r\n\r\n"
        for chunk in chunks
    ]


def answer(*parts: Json | str, finish: str | None = "STOP") -> Reply:
    """A good answer, in the form that was asked for."""
    told = parts or ("Hi", " there")

    async def reply(exchange: Exchange) -> None:
        if streams(exchange):
            last = content(finish=finish, usageMetadata=USAGE)
            await streamed(*(content(part) for part in told), last)(exchange)
        else:
            await status(200, content(*told, finish=finish, usageMetadata=USAGE))(exchange)

    return reply


def streamed(*chunks: Json | str, end: str = "clean", **headers: str) -> Reply:
    """These chunks, and then the end: `clean`, `cut` or `silence`."""

    async def reply(exchange: Exchange) -> None:
        await exchange.head(200, "text/event-stream", headers)
        for event in sse(*chunks):
            await exchange.send(event)
        await exchange.end_as(end)

    return reply


def status(code: int, body: object, **headers: str) -> Reply:
    async def reply(exchange: Exchange) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        await exchange.head(code, "application/json", headers)
        if text:
            await exchange.send(text)
        await exchange.end()

    return reply


def error(code: int, name: str, message: str = "No.", *details: Json) -> Json:
    return {"error": {"code": code, "message": message, "status": name, "details": list(details)}}


def refusal(code: int, name: str, message: str = "No.", *details: Json, **headers: str) -> Reply:
    return status(code, error(code, name, message, *details), **headers)


@dataclass
class GoogleServer:
    url: str = ""
    reply: Reply = field(default_factory=answer)
    paths: list[str] = field(default_factory=list)
    requests: list[Json] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    closed_by_client: asyncio.Event = field(default_factory=asyncio.Event)
    key: str = KEY
    version: str = "v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line, *raw = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            headers = {name.lower(): value for name, value in (h.split(": ", 1) for h in raw)}
            sent = await reader.readexactly(int(headers.get("content-length", "0")))
            body = json.loads(sent) if sent else {}
            method, path, _ = line.split(" ")
            self.paths.append(path)
            self.requests.append(body)
            self.headers.append(headers)
            found = list(self._found(method, path, headers, body))
            self.violations += found
            exchange = Exchange(body, reader, writer, self.closed_by_client, path, ALWAYS)
            reply = refusal(400, "INVALID_ARGUMENT", "; ".join(found)) if found else self.reply
            await reply(exchange)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.closed_by_client.set()
        finally:
            writer.close()

    def _found(self, method: str, path: str, headers: dict[str, str], body: Json) -> Iterator[str]:
        if headers.get("x-goog-api-key") != self.key or "key=" in path:
            yield "the key"
        if not path.startswith(f"/{self.version}/models"):
            yield f"path {path}"
        if method == "GET":
            return
        if path.partition(":")[2] not in ("generateContent", "streamGenerateContent?alt=sse"):
            yield f"method {path}"
        if not isinstance(body.get("generationConfig", {}).get("maxOutputTokens"), int):
            yield "the answer is not bounded"
        if body.keys() - {"contents", "systemInstruction", "tools", "generationConfig"}:
            yield f"fields {sorted(body)}"
        yield from _content_violations(body.get("contents"))


def google_server() -> AbstractAsyncContextManager[GoogleServer]:
    """The server; leaving fails if any request broke the rules."""
    return serving(GoogleServer())


def _content_violations(contents: Any) -> Iterator[str]:
    if not isinstance(contents, list) or not contents:
        yield "contents"
        return
    open_calls: list[tuple[str, str | None]] = []
    for turn in contents:
        if turn.get("role") not in ("user", "model") or not turn.get("parts"):
            yield f"content {turn}"
        called = [part["functionCall"] for part in turn["parts"] if "functionCall" in part]
        results = [part["functionResponse"] for part in turn["parts"] if "functionResponse" in part]
        if [(result["name"], result.get("id")) for result in results] != open_calls:
            yield f"results {results} of the calls {open_calls}"
        if any(not isinstance(result["response"], dict) for result in results):
            yield "a result that is no object"
        open_calls = [(one["name"], one.get("id")) for one in called]
