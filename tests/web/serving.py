import asyncio
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx2
import uvicorn

from sigil.bootstrap import build
from sigil.channels.base import Acceptance
from sigil.config import Settings
from sigil.gateway import Gateway
from sigil.inbound.accounts import open_accounts
from sigil.messages.exchange import InboundMessage
from sigil.stores import Stores
from sigil.testing import fake_stores, settle
from sigil.web.access.authentication import COOKIE
from sigil.web.app import create_app
from sigil.web.server import find_local_url, listen_on

TOKEN = "a-token-of-the-gateway"


@dataclass
class Served:
    """A gateway that is served on loopback, without workers: `settle` does their part."""

    gateway: Gateway
    url: str
    http: httpx2.AsyncClient
    stop: Callable[[], None]
    _clients: list[httpx2.AsyncClient] = field(default_factory=list)

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://").rstrip("/")

    def client(self, **headers: str) -> httpx2.AsyncClient:
        client = httpx2.AsyncClient(
            base_url=self.url, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        self._clients.append(client)
        return client

    async def settle(self) -> None:
        await settle(self.gateway)

    async def new_chat(self, client: httpx2.AsyncClient | None = None) -> str:
        answer = await (client or self.http).post("/api/chats")
        assert answer.status_code == 201
        return str(answer.json()["id"])


class Serve(Protocol):
    async def __call__(self, stores: Stores | None = None, **settings: Any) -> Served: ...


async def start(stack: AsyncExitStack, stores: Stores | None, settings: dict[str, Any]) -> Served:
    gateway = build(Settings.model_validate(settings), stores or fake_stores())
    accounts = open_accounts(gateway)

    async def receive(message: InboundMessage) -> Acceptance:
        return await gateway.receive(message)  # looked up late, so that a test can replace it

    stores, channels = gateway.stores, gateway.channels
    app = create_app(gateway.directory, stores, channels, receive, gateway.wakeups, accounts)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", proxy_headers=False
    )
    server = uvicorn.Server(config)
    listening = listen_on("127.0.0.1", 0)

    def stop() -> None:
        server.should_exit = True
        app.state.streams.close()

    task = asyncio.create_task(server._serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    url = find_local_url(listening)
    served = Served(gateway, url, httpx2.AsyncClient(base_url=url), stop)

    async def end() -> None:
        for client in [served.http, *served._clients]:
            await client.aclose()
        stop()
        await asyncio.wait_for(task, 10)
        await gateway.close()

    stack.push_async_callback(end)
    return served


def typed(text: str, message_id: str | None = None) -> dict[str, str]:
    return {"text": text, "message_id": message_id or uuid.uuid4().hex}


async def sign_in(served: Served, token: str, **headers: str) -> str:
    answer = await served.http.post("/login", json={"token": token}, headers=headers)
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert token not in cookie
    return str(answer.cookies[COOKIE])


@dataclass(frozen=True)
class Sse:
    kind: str
    data: str
    id: str


async def read_events(
    served: Served, chat: str, until: Callable[[Sse], bool], *, after: str = "0-0", **headers: str
) -> list[Sse]:
    """Reads a chat's stream up to and including the event that `until` names."""
    found: list[Sse] = []
    fields: dict[str, str] = {}
    path = f"/api/chats/{chat}/events"
    client = served.client(**headers)
    async with asyncio.timeout(10), client.stream("GET", path, params={"after": after}) as answer:
        assert answer.status_code == 200, await answer.aread()
        async for line in answer.aiter_lines():
            name, _, value = line.partition(":")
            if name:
                fields[name] = value.removeprefix(" ")
            elif not line and fields:
                event = Sse(fields["event"], fields["data"], fields.get("id", ""))
                found.append(event)
                fields = {}
                if until(event):
                    return found
    raise AssertionError(f"the stream ended after {found}")
