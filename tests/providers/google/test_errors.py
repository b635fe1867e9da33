"""The class of what Gemini refuses, and what an error must not show."""

from __future__ import annotations

import traceback

import pytest

from sigil.errors import ErrorKind
from sigil.providers.google import GoogleProvider
from tests.providers.google.calls import collect_error
from tests.providers.google.replies import RESPONSE_ID, chunks, content, error, refusal
from tests.providers.google.server import KEY, GoogleServer
from tests.providers.loopback import Json, status


def detail(kind: str, **fields: object) -> Json:
    return {"@type": f"type.googleapis.com/google.rpc.{kind}", **fields}


QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. "
    "* Quota exceeded for metric: generate_content_free_tier_requests, limit: 20"
)
CREDIT = "Your prepayment credits are depleted. Please go to AI Studio to manage your billing."


@pytest.mark.parametrize(
    ("code", "name", "message", "kind"),
    [
        (429, "RESOURCE_EXHAUSTED", QUOTA, ErrorKind.RATE_LIMITED),
        (429, "RESOURCE_EXHAUSTED", CREDIT, ErrorKind.BILLING),
        (402, "RESOURCE_EXHAUSTED", "No credit.", ErrorKind.BILLING),
        (503, "UNAVAILABLE", "The model is overloaded.", ErrorKind.OVERLOADED),
        (504, "DEADLINE_EXCEEDED", "Too late.", ErrorKind.TIMEOUT),
        (401, "UNAUTHENTICATED", "Who?", ErrorKind.AUTH),
        (403, "PERMISSION_DENIED", "No.", ErrorKind.AUTH),
        (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid one.", ErrorKind.AUTH),
        (400, "INVALID_ARGUMENT", "API key expired. Please renew it.", ErrorKind.AUTH),
        (400, "FAILED_PRECONDITION", "Please enable billing.", ErrorKind.BILLING),
        (400, "FAILED_PRECONDITION", "Files are in use.", ErrorKind.INVALID_REQUEST),
        (
            400,
            "FAILED_PRECONDITION",
            "User location is not supported for the API use.",
            ErrorKind.UNAVAILABLE,
        ),
        (404, "NOT_FOUND", "models/m is not found.", ErrorKind.UNAVAILABLE),
        (400, "INVALID_ARGUMENT", "contents is not specified", ErrorKind.INVALID_REQUEST),
        (
            400,
            "INVALID_ARGUMENT",
            "The input token count (9) exceeds the maximum number of tokens allowed (5).",
            ErrorKind.CONTEXT_TOO_LONG,
        ),
        (500, "INTERNAL", "Oops.", ErrorKind.SERVER),
    ],
)
async def test_refusals_have_their_class_before_and_in_the_middle_of_an_answer(
    server: GoogleServer,
    provider: GoogleProvider,
    code: int,
    name: str,
    message: str,
    kind: ErrorKind,
) -> None:
    for stream in (True, False):
        server.reply = refusal(code, name, message)
        refused = await collect_error(provider, stream=stream)
        assert (refused.kind, refused.status, refused.provider) == (kind, code, "google")
        assert message.rstrip(".") in str(refused)
    server.reply = chunks(content("Hi"), error(code, name, message))
    broken = await collect_error(provider)
    assert (broken.kind, broken.status, broken.request_id) == (kind, code, RESPONSE_ID)
    # A gateway may put an error into a success, which the SDK passes over.
    server.reply = status(200, error(code, name, message))
    assert (await collect_error(provider, stream=False)).kind is kind


@pytest.mark.parametrize("reason", ["API_KEY_INVALID", "SERVICE_DISABLED"])
async def test_the_reason_in_the_details_counts_most(
    server: GoogleServer, provider: GoogleProvider, reason: str
) -> None:
    server.reply = refusal(400, "INVALID_ARGUMENT", "No.", detail("ErrorInfo", reason=reason))
    refused = await collect_error(provider)
    assert refused.kind is ErrorKind.AUTH
    assert "providers.google.api_key" in str(refused)


@pytest.mark.parametrize(
    ("delay", "headers", "seconds"),
    [
        ("34.07s", {}, 34.07),
        ("3s", {"retry_after": "7"}, 7),
        (None, {"retry_after": "7"}, 7),
        ("999999999s", {}, 24 * 3600),
        ("soon", {}, None),
        ({"seconds": 3}, {}, None),
    ],
)
async def test_the_vendor_says_when_to_come_back(
    server: GoogleServer,
    provider: GoogleProvider,
    delay: object,
    headers: dict[str, str],
    seconds: float | None,
) -> None:
    info = [] if delay is None else [detail("RetryInfo", retryDelay=delay)]
    server.reply = refusal(429, "RESOURCE_EXHAUSTED", QUOTA, *info, **headers)
    assert (await collect_error(provider)).retry_after == seconds


async def test_the_requests_id_is_kept(server: GoogleServer, provider: GoogleProvider) -> None:
    info = detail("RequestInfo", requestId="req-9")
    server.reply = refusal(500, "INTERNAL", "Oops.", info, x_request_id="of-the-gateway")
    assert (await collect_error(provider)).request_id == "req-9"
    server.reply = refusal(500, "INTERNAL", "Oops.", x_request_id="of-the-gateway")
    assert (await collect_error(provider)).request_id == "of-the-gateway"
    server.reply = chunks(content("Hi"), x_request_id="of-the-gateway")
    assert (await collect_error(provider)).request_id == "of-the-gateway"


@pytest.mark.parametrize(
    "body",
    [
        {"error": "No."},
        {"error": {"code": "x", "status": 5, "message": {}, "details": 5}},
        {"error": {"details": [5, {"reason": []}, {"retryDelay": None}]}},
        [error(500, "INTERNAL")],
        [],
        5,
        None,
        "no JSON",
        "",
    ],
)
async def test_an_error_may_hold_anything(
    server: GoogleServer, provider: GoogleProvider, body: object
) -> None:
    server.reply = status(500, body)
    for stream in (True, False):
        refused = await collect_error(provider, stream=stream)
        assert (refused.kind, refused.status) == (ErrorKind.SERVER, 500)


async def test_errors_show_no_secrets_and_no_sdk(
    server: GoogleServer, provider: GoogleProvider
) -> None:
    url = f"https://example.org/v1/models?key={KEY}"
    server.reply = refusal(500, "INTERNAL", f"{url} failed for AIzaSyOther00000000000000000 \n .")
    refused = await collect_error(provider)
    shown = f"{refused!r} {vars(refused)} {''.join(traceback.format_exception(refused))}"
    assert KEY not in shown
    assert "AIzaSyOther" not in shown
    assert "\n" not in str(refused)
    assert (refused.__cause__, refused.__context__) == (None, None)
    assert KEY not in repr(vars(provider))
