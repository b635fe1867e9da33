"""Signing in and out on the page, and who is signed in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import sigil
from sigil.directory import LiveDirectory
from sigil.web.access.authentication import COOKIE, SESSION_S, Access
from sigil.web.responses import read_json

if TYPE_CHECKING:
    from starlette.requests import Request

    from sigil.identity.users import User


class Login(BaseModel):
    """What the sign-in form sends: the token that the person was given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class SignInRoutes:
    """`/login`, `/logout` and `/api/me`. `directory` tells the page the default model."""

    def __init__(self, *, access: Access, directory: LiveDirectory) -> None:
        self._access = access
        self._directory = directory
        self.routes = [
            Route("/login", self.sign_in, methods=["POST"]),
            Route("/logout", self.sign_out, methods=["POST"]),
            Route("/api/me", self.show_me),
        ]

    async def sign_in(self, request: Request) -> Response:
        """Exchanges a token for a cookie."""
        token = (await read_json(request, Login)).token
        response = JSONResponse(_describe_user(self._access.find_by_token(token)))
        response.set_cookie(
            COOKIE,
            self._access.create_cookie(token),
            max_age=SESSION_S,
            httponly=True,
            samesite="strict",
            secure=request.headers.get("origin", "").startswith("https://"),
        )
        return response

    async def sign_out(self, request: Request) -> Response:
        """Deletes the cookie."""
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    async def show_me(self, request: Request) -> Response:
        """Who is asking, and the gateway's time (milliseconds since the epoch)."""
        user = await self._access.identify(request)
        return JSONResponse(
            {
                "user": _describe_user(user),
                "token_required": self._access.requires_token,
                "model": self._directory.current.models.default,
                "version": sigil.__version__,
                "now": int(time.time() * 1000),
            }
        )


def _describe_user(user: User) -> dict[str, str]:
    return {"id": user.id, "name": user.name, "role": user.role}
