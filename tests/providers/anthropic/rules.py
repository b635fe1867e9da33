"""What Anthropic's API reference says of a request.

Required fields, roles in alternation that end with the user, text that is not blank, results right
after their calls, ids and names of tools, at most 4 cache marks, no temperature in the current
version of the API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tests.providers.loopback import Json, Request


def find_violations(request: Request) -> Iterator[str]:
    body = request.body
    if (request.method, request.path) != ("POST", "/v1/messages"):
        yield f"{request.method} {request.path}"
    if request.headers.get("content-type") != "application/json":
        yield "content-type"
    if "temperature" in body and request.headers.get("anthropic-version") != "2023-06-01":
        yield "temperature: Extra inputs are not permitted"
    if not isinstance(body.get("model"), str) or not isinstance(body.get("max_tokens"), int):
        yield "model or max_tokens"
    if json.dumps(body).count('"cache_control"') > 4:
        yield "more than 4 cache marks"
    for tool in body.get("tools", ()):
        if not _is_name(tool["name"]) or tool["input_schema"]["type"] != "object":
            yield f"tool {tool}"
    yield from _find_message_violations(body.get("messages") or [{"role": "none", "content": []}])


def _find_message_violations(messages: list[Json]) -> Iterator[str]:
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
            if block["type"] == "tool_use" and not (
                _is_name(block["name"]) and _is_name(block["id"])
            ):
                yield f"call {block}"


def _is_name(name: str) -> bool:
    return re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) is not None
