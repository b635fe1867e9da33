"""The gateway process: the HTTP server, and the listeners of all channels."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn
import uvloop

from sigil.bootstrap import build
from sigil.config import Settings
from sigil.errors import ConfigError
from sigil.process import Process
from sigil.waiting import end
from sigil.web.app import create_app

if TYPE_CHECKING:
    from sigil.channels.base import Channel
    from sigil.gateway import Gateway

_log = structlog.get_logger("sigil.gateway")

STORE_WITHIN_S = 5.0
SHUTDOWN_WITHIN_S = 3
LISTENER_PAUSES_S = (1.0, 60.0)  # the first after a failure, and the longest


def run(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT, then returns within 5 s.

    Raises `ConfigError` if the address cannot be had and `StoreError` if Redis does not
    answer at the start.
    """
    with (
        listen_on(settings.gateway.host, settings.gateway.port) as listening,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(serve(settings, listening))


def listen_on(host: str, port: int) -> socket.socket:
    """A socket that is bound and listens. Raises `ConfigError` that says why it cannot be."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(f"gateway.host: {host!r} is no address of this machine.") from error
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"port {port} is taken: {host}:{port} cannot be listened on ({error.strerror}).",
            hint="Stop what uses it, or choose another one: --port, or gateway.port.",
        ) from error
    return listening


async def serve(settings: Settings, listening: socket.socket) -> None:
    """As `run`, on a socket that listens already."""
    from workers.publisher import wakeups

    publisher = wakeups(settings)
    gateway = build(settings, wakeups=publisher)
    process = Process(gateway, settings)
    try:
        await process.reach_store(STORE_WITHIN_S)
        for warning in await gateway.stores.backend.list_warnings():
            _log.warning("the server may lose messages", why=warning)
        app = create_app(gateway)
        server = _Server(
            uvicorn.Config(
                app,
                access_log=False,  # it would write queries; the app writes a line of its own
                date_header=False,
                lifespan="off",
                log_config=None,
                proxy_headers=False,  # whoever connects could claim to be this machine
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_WITHIN_S,
            )
        )

        def stop() -> None:
            server.should_exit = True
            app.state.streams.close()

        for each in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(each, stop)
        channels = [gateway.channels.get(name) for name in gateway.channels.names]
        async with _alongside(
            process.flush_times(), *(_listen(channel, gateway) for channel in channels)
        ):
            _log.info("gateway listens", url=address_of(listening))
            await server.serve(sockets=[listening])
    finally:
        await process.close()
        await asyncio.to_thread(publisher.close)


class _Server(uvicorn.Server):
    """Leaves signals to `serve`: uvicorn would raise them again before all is closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def address_of(listening: socket.socket) -> str:
    """The URL that this machine reaches the socket by."""
    host, port = listening.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # recognised, not bound to
        host = "127.0.0.1"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


@contextlib.asynccontextmanager
async def _alongside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        await end(tasks)


async def _listen(channel: Channel, gateway: Gateway) -> None:
    """Keeps a channel's listener running; one that fails holds up no other."""
    pause, longest = LISTENER_PAUSES_S
    while True:
        started = asyncio.get_running_loop().time()
        try:
            await channel.listen(gateway.receive)
            return
        except Exception:  # noqa: BLE001  # a channel's library may raise anything
            _log.exception("a channel's listener failed", channel=channel.name)
        if asyncio.get_running_loop().time() - started > longest:
            pause = LISTENER_PAUSES_S[0]
        await asyncio.sleep(pause)
        pause = min(pause * 2, longest)
