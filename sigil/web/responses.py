"""How the HTTP API refuses a request, and how it reads a body of limited size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse

from sigil.errors import (
    MessageInvalid,
    RecordTooNew,
    SigilError,
    StoreError,
    StoreFull,
    StoreReadOnly,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

MAX_BODY_BYTES = 256 * 1024
RETRY_AFTER_S = 2
# Memory does not get free in a moment.
FULL_RETRY_AFTER_S = 30
# A client that is still sending may not see our response, so this much of a body that is too
# large is read and thrown away.
_DISCARD_BYTES = 15 * MAX_BODY_BYTES

Payload = TypeVar("Payload", bound=BaseModel)


class RequestRefused(Exception):  # a response, not a fault
    """Ends a request with `status` and a message that tells the client what to do."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


def render_refusal(refused: RequestRefused) -> JSONResponse:
    """`{"error": {"code", "message"}}`, not to be cached."""
    body = {"error": {"code": refused.code, "message": refused.message}}
    return JSONResponse(body, refused.status, {"Cache-Control": "no-store", **refused.headers})


async def handle_refusal(request: Request, error: Exception) -> JSONResponse:
    """Starlette's handler for `RequestRefused`."""
    assert isinstance(error, RequestRefused)
    return render_refusal(error)


async def handle_sigil_error(request: Request, error: Exception) -> JSONResponse:
    """Starlette's handler for what the core raises: 503 if a second try can help, 422 for a
    message that is not valid, else 500."""
    assert isinstance(error, SigilError)
    if isinstance(error, (StoreError, RecordTooNew)):
        return render_refusal(_refuse_for_now(error))
    status = 422 if isinstance(error, MessageInvalid) else 500
    return render_refusal(RequestRefused(status, error.code, str(error)))


def _refuse_for_now(error: SigilError) -> RequestRefused:
    # The error itself may name the store's address, which is not the client's business.
    message, pause = "The message store is not responding. Try again in a moment.", RETRY_AFTER_S
    if isinstance(error, StoreFull):
        message = (
            "Sigil's memory is full, so it takes no new messages just now. "
            "Try again in a few minutes."
        )
        pause = FULL_RETRY_AFTER_S
    elif isinstance(error, StoreReadOnly):
        message = "The message store takes no new messages just now. Try again in a moment."
    return RequestRefused(503, error.code, message, headers={"Retry-After": str(pause)})


def describe_store(error: Exception) -> str:
    """Why the store takes no messages, for everybody: without its address."""
    if isinstance(error, StoreError) and error.code != StoreError.code:
        return error.message.removesuffix(".")
    return "the message store is not responding"


async def read_json(request: Request, model: type[Payload]) -> Payload:
    """The request's body as `model`.

    Refuses with 400 (not JSON), 413 (too large), 415 (not declared as JSON) or 422 (not valid).
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise RequestRefused(
            415, "http.media_type", "Send JSON with Content-Type: application/json."
        )
    body = await read_body(request)
    try:
        raw = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise RequestRefused(400, "http.not_utf8", "The body is not valid UTF-8.") from None
    except (ValueError, RecursionError):
        raise RequestRefused(400, "http.not_json", "The body is not valid JSON.") from None
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise RequestRefused(422, "http.invalid", f"{where}: {first['msg']}") from None


async def read_body(
    request: Request,
    most: int = MAX_BODY_BYTES,
    note_bytes: Callable[[int], None] = lambda count: None,
) -> bytes:
    """The request's body, of `most` bytes at most. Refuses with 413. `note_bytes` is told of each
    piece, and may raise."""
    body, size = bytearray(), 0
    async for piece in request.stream():
        size += len(piece)
        note_bytes(len(piece))
        if size <= most:
            body += piece
        elif size > most + _DISCARD_BYTES:
            break
        else:
            body.clear()
    if size > most:
        raise RequestRefused(
            413,
            "http.too_large",
            f"The body is larger than {most // 1024} KiB. Send it in smaller parts.",
            headers={"Connection": "close"},
        )
    return bytes(body)
