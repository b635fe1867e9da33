"""The Starlette app that the gateway process serves."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sigil.errors import SigilError
from sigil.web.access import Access
from sigil.web.answers import Refused, on_refused, on_sigil_error
from sigil.web.api import ChatApi
from sigil.web.events import Streams
from sigil.web.guard import Guard
from sigil.web.ops import Operations

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Scope

    from sigil.gateway import Gateway

_STATIC = resources.files("sigil.web") / "static"


def create_app(gateway: Gateway) -> Starlette:
    """The page, its API, health and metrics for one gateway.

    Everything is refused that does not come from where the settings allow it (see
    `sigil.web.access`). `app.state.streams.close()` ends the open event streams, which
    would hold up a shutdown.
    """
    access = Access(gateway.settings)
    streams = Streams(gateway.stores.chats)
    app = Starlette(
        routes=[
            Route("/", _page),
            Mount("/static", _Files(directory=str(_STATIC))),
            *ChatApi(gateway, access, streams).routes,
            *Operations(gateway, access).routes,
        ],
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={Refused: on_refused, SigilError: on_sigil_error},
    )
    app.state.streams = streams
    return app


async def _page(request: Request) -> Response:
    return FileResponse(str(_STATIC / "index.html"), headers={"Cache-Control": "no-cache"})


class _Files(StaticFiles):
    """Files that are asked for again each time, cheaply, so that an upgrade shows at once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response
