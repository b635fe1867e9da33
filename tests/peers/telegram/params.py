"""The parameters of one call, in any of the forms that Telegram takes: a query, a form, JSON or
multipart with files."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.web_request import FileField

from tests.peers.telegram.limits import bad

Upload = tuple[str, str, bytes]
"""A file's name, its type and its bytes."""


@dataclass
class Params:
    """In a form everything is text, and what is no text is JSON."""

    given: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)

    def text(self, name: str) -> str:
        found = self.given.get(name, "")
        if not isinstance(found, str):
            raise bad(f"{name} must be text")
        return found

    def number(self, name: str, default: int) -> int:
        found = self.given.get(name, default)
        try:
            return int(found)
        except (TypeError, ValueError):
            raise bad(f"{name} must be a number") from None

    def flag(self, name: str) -> bool:
        return self.given.get(name, False) in (True, "true", "True", "1")

    def value(self, name: str) -> Any:
        found = self.given.get(name)
        if isinstance(found, str):
            try:
                return json.loads(found)
            except ValueError:
                raise bad(f"can't parse {name}: it is no JSON") from None
        return found


async def read_params(request: web.Request) -> Params:
    params = Params(dict(request.query))
    if request.content_type == "application/json":
        if body := await request.read():
            params.given |= json.loads(body)
    elif request.can_read_body:
        for name, value in (await request.post()).items():
            if isinstance(value, FileField):
                params.files[name] = (value.filename, value.content_type, value.file.read())
            else:
                params.given[name] = value
    return params
