"""What Telegram refuses, and the words in which it does."""

from __future__ import annotations

import re
from typing import Any

TEXT, CAPTION, ENTITIES, CALLBACK_DATA = 4096, 1024, 100, 64
DOWNLOAD, UPLOAD, PHOTO = 20 * 2**20, 50 * 2**20, 10 * 2**20
COMMANDS, POLL_S, BATCH_BYTES = 100, 50, 4 * 2**20
SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
COMMAND = re.compile(r"[a-z0-9_]{1,32}")

_STYLES = {"bold", "italic", "underline", "strikethrough", "spoiler"}
_CODE = {"code", "pre"}
_QUOTES = {"blockquote", "expandable_blockquote"}
_OTHERS = {"mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number"}
_OTHERS |= {"text_link", "text_mention", "custom_emoji", "date_time"}
_TYPES = _STYLES | _CODE | _QUOTES | _OTHERS


class ApiError(Exception):
    """An error body of the API."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters

    def body(self) -> dict[str, Any]:
        found = {"ok": False, "error_code": self.code, "description": self.description}
        return found | ({"parameters": self.parameters} if self.parameters else {})


def bad(what: str) -> ApiError:
    return ApiError(400, f"Bad Request: {what}")


def forbidden(what: str) -> ApiError:
    return ApiError(403, f"Forbidden: {what}")


def conflict(what: str) -> ApiError:
    return ApiError(409, f"Conflict: {what}")


def too_many(seconds: int) -> ApiError:
    return ApiError(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)


def units(text: str) -> int:
    """The length in UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def check_text(text: str, entities: list[dict[str, Any]], parse_mode: str | None) -> None:
    """A message's text. Sigil never names a parse mode, so this server parses none."""
    if parse_mode:
        raise bad("can't parse entities: this server knows no parse_mode")
    if not text.strip():
        raise bad("message text is empty")
    if units(text) > TEXT:
        raise bad("message is too long")
    check_entities(text, entities)


def check_caption(caption: str, entities: list[dict[str, Any]]) -> None:
    if units(caption) > CAPTION:
        raise bad("message caption is too long")
    check_entities(caption, entities)


def check_entities(text: str, entities: list[dict[str, Any]]) -> None:
    """Types, ranges in whole characters, and the documented rules of nesting."""
    marked: list[tuple[int, int, str]] = []
    for entity in entities[:ENTITIES]:
        kind, start, length = entity.get("type"), entity.get("offset"), entity.get("length")
        if kind not in _TYPES:
            raise bad(f"can't parse entities: unsupported type {kind!r}")
        if type(start) is not int or type(length) is not int or start < 0 or length <= 0:
            raise bad("can't parse entities: offset and length must be positive numbers")
        if start + length > units(text):
            raise bad("ENTITY_BOUNDS_INVALID")
        if any(_is_inside_pair(text, at) for at in (start, start + length)):
            raise bad("can't parse entities: an entity begins or ends inside a character")
        if kind == "text_link" and not entity.get("url"):
            raise bad("can't parse entities: text_link needs a url")
        marked.append((start, start + length, kind))
    for at, one in enumerate(marked):
        for other in marked[at + 1 :]:
            _check_pair(one, other)


def _is_inside_pair(text: str, at: int) -> bool:
    half = text.encode("utf-16-le")[2 * at : 2 * at + 2]
    return len(half) == 2 and 0xDC <= half[1] <= 0xDF


def _check_pair(one: tuple[int, int, str], other: tuple[int, int, str]) -> None:
    (a, b, kind), (c, d, second) = one, other
    if b <= c or d <= a:
        return
    kinds = {kind, second}
    if not (a <= c and d <= b) and not (c <= a and b <= d):
        raise bad("can't parse entities: two entities overlap in part")
    if kinds & _CODE and not kinds & _QUOTES:
        raise bad("can't parse entities: code stands neither in nor around another entity")
    if kinds <= _QUOTES:
        raise bad("can't parse entities: a quotation inside a quotation")


def check_keyboard(markup: dict[str, Any] | None) -> None:
    for row in (markup or {}).get("inline_keyboard", ()):
        for button in row:
            if not button.get("text"):
                raise bad("can't parse inline keyboard button: Text buttons are unallowed")
            size = len(button.get("callback_data", "").encode())
            if "url" not in button and not 1 <= size <= CALLBACK_DATA:
                raise bad("BUTTON_DATA_INVALID")


def check_commands(commands: list[dict[str, Any]]) -> None:
    if len(commands) > COMMANDS:
        raise bad("BOT_COMMANDS_TOO_MUCH")
    for each in commands:
        if not COMMAND.fullmatch(each.get("command", "")):
            raise bad("BOT_COMMAND_INVALID")
        if not 1 <= len(each.get("description", "")) <= 256:
            raise bad("BOT_COMMAND_DESCRIPTION_INVALID")
