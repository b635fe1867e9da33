"""What OpenAI's API reference says of a request (chat/create, responses/create, models/list)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.providers.loopback import Json, Request

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def find_violations(request: Request, key: str | None) -> Iterator[str]:
    """What is wrong with a request: required fields, bounds, roles, results without their calls
    and calls without their results. Without a key none is expected."""
    check = _CHECKS.get(f"{request.method} {request.path}")
    if check is None:
        yield f"{request.method} {request.path}"
        return
    if key is not None and request.headers.get("authorization") != f"Bearer {key}":
        yield "authorization"
    yield from check(request.headers, request.body)


def _check_models(headers: Mapping[str, str], body: Json) -> Iterator[str]:
    if body:
        yield "body"


def _check_common(headers: Mapping[str, str], body: Json) -> Iterator[str]:
    if headers.get("content-type") != "application/json":
        yield "content-type"
    if not isinstance(body.get("model"), str) or not body["model"]:
        yield "model"
    if len(body.get("prompt_cache_key", "")) > 64 or len(body.get("safety_identifier", "")) > 64:
        yield "an opaque name is too long"


def _check_chat(headers: Mapping[str, str], body: Json) -> Iterator[str]:
    yield from _check_common(headers, body)
    if "stream_options" in body and not body.get("stream"):
        yield "stream_options without stream"
    limits = {"max_tokens", "max_completion_tokens"} & body.keys()
    if len(limits) != 1 or not isinstance(body[next(iter(limits))], int):
        yield "the answer is not bounded once"
    yield from _find_message_violations(body.get("messages"))
    for tool in body.get("tools", ()):
        function = tool.get("function", {})
        if tool.get("type") != "function" or not _is_tool(function):
            yield f"tool {tool}"


def _check_responses(headers: Mapping[str, str], body: Json) -> Iterator[str]:
    yield from _check_common(headers, body)
    if not isinstance(body.get("max_output_tokens"), int):
        yield "the answer is not bounded"
    if "messages" in body or "stream_options" in body:
        yield "fields of chat completions"
    for tool in body.get("tools", ()):
        if tool.get("type") != "function" or not _is_tool(tool) or tool.get("strict") is not False:
            yield f"tool {tool}"
    yield from _find_item_violations(body.get("input"), bool(body.get("store", True)))


def _is_tool(function: Json) -> bool:
    has_name = _TOOL_NAME.fullmatch(function.get("name", "")) is not None
    return has_name and function["parameters"]["type"] == "object"


_CHECKS = {
    "POST /v1/chat/completions": _check_chat,
    "POST /v1/responses": _check_responses,
    "GET /v1/models": _check_models,
}


def _find_item_violations(items: Any, stored: bool) -> Iterator[str]:
    if not isinstance(items, list) or not items:
        yield "input"
        return
    open_calls: set[str] = set()
    for item in items:
        kind = item.get("type", "message")
        if kind == "function_call_output":
            if item.get("call_id") not in open_calls or not isinstance(item.get("output"), str):
                yield "a tool result without its call"
            open_calls.discard(item.get("call_id"))
        elif kind == "function_call":
            open_calls.add(item["call_id"])
            if len(item["call_id"]) > 64 or not isinstance(json.loads(item["arguments"]), dict):
                yield "function_call"
        elif kind == "reasoning":
            if not stored and not item.get("encrypted_content"):
                yield f"Item with id {item.get('id')!r} not found"
        elif item.get("role") not in ("user", "assistant", "developer"):
            yield f"item {item}"
        elif not _is_content(
            item.get("content"), "input_text", "output_text", "input_image", "input_file"
        ):
            yield f"content {item}"
    if open_calls:
        yield "a tool call without its result"


def _is_content(content: Any, *kinds: str) -> bool:
    if isinstance(content, str):
        return True
    return bool(content) and all(part.get("type") in kinds for part in content)


def _find_message_violations(messages: Any) -> Iterator[str]:
    if not isinstance(messages, list) or not messages:
        yield "messages"
        return
    open_calls: set[str] = set()
    for message in messages:
        role = message.get("role")
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                yield "a tool result without its call"
            open_calls.discard(message.get("tool_call_id"))
            continue
        if open_calls:
            yield "a tool call without its result"
        if role not in ("system", "user", "assistant"):
            yield f"role {role}"
        calls = message.get("tool_calls", ())
        if not calls and not _is_content(message.get("content"), "text", "image_url", "file"):
            yield "content"
        for call in calls:
            open_calls.add(call["id"])
            if not isinstance(json.loads(call["function"]["arguments"]), dict):
                yield "arguments"
