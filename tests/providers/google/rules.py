"""What Google's API reference says of a request (ai.google.dev/api/generate-content).

Paths, the key's header, roles, at least one part in each content, results that match their calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.providers.loopback import Request

_METHODS = ("generateContent", "streamGenerateContent?alt=sse")


def find_violations(request: Request, key: str, version: str) -> Iterator[str]:
    path, body = request.path, request.body
    if request.headers.get("x-goog-api-key") != key or "key=" in path:
        yield "the key"
    if not path.startswith(f"/{version}/models"):
        yield f"path {path}"
    if request.method == "GET":
        return
    if path.partition(":")[2] not in _METHODS:
        yield f"method {path}"
    if not isinstance(body.get("generationConfig", {}).get("maxOutputTokens"), int):
        yield "the answer is not bounded"
    if body.keys() - {"contents", "systemInstruction", "tools", "generationConfig"}:
        yield f"fields {sorted(body)}"
    yield from _find_content_violations(body.get("contents"))


def _find_content_violations(contents: Any) -> Iterator[str]:
    if not isinstance(contents, list) or not contents:
        yield "contents"
        return
    open_calls: list[tuple[str, str | None]] = []
    for turn in contents:
        if turn.get("role") not in ("user", "model") or not turn.get("parts"):
            yield f"content {turn}"
        calls = [part["functionCall"] for part in turn["parts"] if "functionCall" in part]
        results = [part["functionResponse"] for part in turn["parts"] if "functionResponse" in part]
        if [(result["name"], result.get("id")) for result in results] != open_calls:
            yield f"results {results} of the calls {open_calls}"
        if any(not isinstance(result["response"], dict) for result in results):
            yield "a result that is not an object"
        open_calls = [(call["name"], call.get("id")) for call in calls]
