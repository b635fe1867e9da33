"""What happens to every request: its source is checked, headers are added, one line is logged."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request

from sigil.web.responses import RequestRefused, render_refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sigil.web.access.source import SourcePolicy

_log = structlog.get_logger("sigil.web")

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# Probes reveal nothing and change nothing, and orchestrators call them by IP address, so their
# source is not checked.
_PROBES = frozenset({"/healthz", "/readyz"})
# Platforms call these from wherever they are, under whatever name leads here. The channel's
# listener checks who they are.
_HOOKS = "/hooks/"
_CLIENT_LEFT = 499  # as nginx writes it into its log: nobody was left to be answered
_BUG = RequestRefused(
    500, "http.internal", "Something went wrong here. The log of the gateway says what."
)


class Guard:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, source: SourcePolicy) -> None:
        self.app = app
        self.source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes an HTTP request on if its source is allowed; other scopes pass unchecked."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status, is_answered = time.monotonic(), 500, False

        async def send_with_headers(message: Message) -> None:
            nonlocal status, is_answered
            if message["type"] == "http.response.start":
                status, is_answered = message["status"], True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            if not _is_open_to_all(scope["path"]):
                self.source.check_request(Request(scope))
            await self.app(scope, receive, send_with_headers)
        except RequestRefused as error:
            await render_refusal(error)(scope, receive, send_with_headers)
        except ClientDisconnect:
            status = _CLIENT_LEFT
        except Exception:
            # Starlette would answer outside of this middleware, and so without the headers.
            if is_answered:
                raise
            _log.exception("request failed")
            await render_refusal(_BUG)(scope, receive, send_with_headers)
        finally:
            # Only the path: a query may hold something that must not be kept.
            _log.log(
                logging.DEBUG if scope["path"] in _PROBES else logging.INFO,
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                seconds=round(time.monotonic() - started, 3),
            )


def _is_open_to_all(path: str) -> bool:
    """Whether a path is of a class whose callers are not checked by where they come from."""
    return path in _PROBES or path.startswith(_HOOKS)
