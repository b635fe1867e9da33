"""How the HTTP API says no, and how it reads a bounded body."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse

from sigil.errors import MessageInvalid, SigilError, StoreError

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_BODY_BYTES = 256 * 1024
RETRY_AFTER_S = 2
# Read and thrown away, since a client that is still sending may miss the answer.
_DRAINED_BYTES = 16 * MAX_BODY_BYTES

Payload = TypeVar("Payload", bound=BaseModel)


class Refused(Exception):  # an answer, not a fault
    """The request is answered with `status` and a text that says what to do."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


def refusal(error: Refused) -> JSONResponse:
    """`{"error": {"code", "message"}}`."""
    body = {"error": {"code": error.code, "message": error.message}}
    return JSONResponse(body, error.status, {"Cache-Control": "no-store", **error.headers})


async def on_refused(request: Request, error: Exception) -> JSONResponse:
    """Answers a `Refused`."""
    assert isinstance(error, Refused)
    return refusal(error)


async def on_sigil_error(request: Request, error: Exception) -> JSONResponse:
    """Answers what the core raised; 503 where trying again can help."""
    assert isinstance(error, SigilError)
    if isinstance(error, StoreError):
        message = "The message store does not answer right now. Try again in a moment."
        retry = {"Retry-After": str(RETRY_AFTER_S)}
        return refusal(Refused(503, error.code, message, headers=retry))
    status = 422 if isinstance(error, MessageInvalid) else 500
    return refusal(Refused(status, error.code, str(error)))


async def read(request: Request, model: type[Payload]) -> Payload:
    """The body as `model`. Refuses with 400 (not JSON), 413 (too large), 415 or 422."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refused(415, "http.media_type", "Send JSON with Content-Type: application/json.")
    body = await _bounded(request)
    try:
        raw = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise Refused(400, "http.not_utf8", "The body is not valid UTF-8.") from None
    except (ValueError, RecursionError):
        raise Refused(400, "http.not_json", "The body is not valid JSON.") from None
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise Refused(422, "http.invalid", _explain(error)) from None


async def _bounded(request: Request) -> bytes:
    body, size = bytearray(), 0
    async for piece in request.stream():
        size += len(piece)
        if size <= MAX_BODY_BYTES:
            body += piece
        elif size > _DRAINED_BYTES:
            break
    if size > MAX_BODY_BYTES:
        raise Refused(
            413,
            "http.too_large",
            f"The body is over {MAX_BODY_BYTES // 1024} KiB. Send it in smaller parts.",
            headers={"Connection": "close"},
        )
    return bytes(body)


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the body"
    return f"{where}: {first['msg']}"
