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
from sigil.web.access.authentication import Access
from sigil.web.access.routes import SignInRoutes
from sigil.web.access.source import SourcePolicy
from sigil.web.chat.routes import ChatRoutes
from sigil.web.chat.streams import Streams
from sigil.web.guard import Guard
from sigil.web.hooks.routes import HookRoutes
from sigil.web.ops.metrics import Metrics
from sigil.web.ops.routes import OperationsRoutes
from sigil.web.responses import RequestRefused, handle_refusal, handle_sigil_error
from sigil.workspace.manager import WorkspaceManager

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.types import Scope

    from sigil.channels.base import Receive
    from sigil.channels.router import ChannelRouter
    from sigil.directory import LiveDirectory
    from sigil.inbound.accounts import HeardAccount
    from sigil.lanes.lane import Wakeups
    from sigil.stores.base import Stores

_STATIC = resources.files("sigil.web") / "static"


def create_app(
    directory: LiveDirectory,
    stores: Stores,
    channels: ChannelRouter,
    receive: Receive,
    wakeups: Wakeups,
    accounts: Sequence[HeardAccount] = (),
) -> Starlette:
    """The page, its API, the hooks of the accounts, health and metrics.

    `receive` takes the messages that people write; `wakeups` knows how many of them wait.
    `app.state.streams.close()` ends the open event streams, which would otherwise hold up a
    shutdown.
    """
    access = Access(directory, stores.users)
    streams = Streams(stores.chats)
    sign_in = SignInRoutes(access=access, directory=directory)
    chat = ChatRoutes(
        access=access,
        channels=channels,
        chats=stores.chats,
        receive=receive,
        streams=streams,
        directory=directory,
        workspaces=WorkspaceManager(stores, lambda: directory.current.workspaces),
    )
    heard = [account.entry.name for account in accounts]
    metrics = Metrics(stores, wakeups, heard)
    operations = OperationsRoutes(access=access, stores=stores, metrics=metrics, accounts=heard)
    app = Starlette(
        routes=[
            Route("/", _show_page),
            Mount("/static", _RevalidatedFiles(directory=str(_STATIC))),
            *sign_in.routes,
            *chat.routes,
            *HookRoutes(accounts).routes,
            *operations.routes,
        ],
        middleware=[Middleware(Guard, source=SourcePolicy(lambda: directory.current.gateway))],
        exception_handlers={RequestRefused: handle_refusal, SigilError: handle_sigil_error},
    )
    # A redirect would repeat whatever host was asked for.
    app.router.redirect_slashes = False
    app.state.streams = streams
    return app


async def _show_page(request: Request) -> Response:
    return FileResponse(str(_STATIC / "index.html"), headers={"Cache-Control": "no-cache"})


class _RevalidatedFiles(StaticFiles):
    """Files that a browser asks for again each time (cheaply), so an upgrade shows at once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response
