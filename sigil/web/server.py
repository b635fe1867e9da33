"""The gateway process: the HTTP server, and beside it the listeners of all channels."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import structlog
import uvicorn
import uvloop

from sigil.bootstrap import build
from sigil.config.addresses import bind_socket, local_url
from sigil.errors import ConfigError
from sigil.host.heartbeat import Heartbeat
from sigil.host.process import Process
from sigil.host.record import RecordKeeper
from sigil.inbound.accounts import open_accounts
from sigil.web.app import create_app
from sigil.web.connections import (
    BACKLOG,
    BoundedConfig,
    Connections,
    count_allowed_connections,
    raise_file_limit,
)
from sigil.web.server_logs import calm_server_logs

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from sigil.config import Settings
    from sigil.lanes.lane import Wakeups

log = structlog.get_logger(__name__)

# Shorter than a worker's: this is the process that somebody starts and waits for in a terminal.
STORE_WITHIN_S = 5.0
SHUTDOWN_WITHIN_S = 3


def run(settings: Settings, wakeups: Wakeups) -> None:
    """Runs until SIGTERM or SIGINT, then returns within 5 s.

    Raises `ConfigError` if the address is not available, and `StoreError` if Redis does not
    answer at the start.
    """
    with (
        listen_on(settings.gateway.host, settings.gateway.port) as listening,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(serve(settings, listening, wakeups))


def listen_on(host: str, port: int) -> socket.socket:
    """A socket that is bound and listening. Raises `ConfigError` that says why there is none."""
    try:
        listening = bind_socket(host, port)
        try:
            listening.listen(BACKLOG)
        except OSError:
            listening.close()
            raise
    except socket.gaierror as error:
        raise ConfigError(f"gateway.host: {host!r} is not an address of this machine.") from error
    except OSError as error:
        raise ConfigError(
            f"port {port} is taken: cannot listen on {host}:{port} ({error.strerror}).",
            hint="Stop the program that uses it, or choose another port: --port or gateway.port.",
        ) from error
    return listening


async def serve(settings: Settings, listening: socket.socket, wakeups: Wakeups) -> None:
    """Does what `run` does, on a socket that is listening already."""
    gateway = build(settings, wakeups=wakeups)
    process = Process(gateway, settings)
    record = RecordKeeper(settings, ["gateway"])
    keep_record = partial(record.keep, gateway.stores.fleet, gateway.wakeups)
    heartbeat = Heartbeat(settings, "gateway")
    accounts = open_accounts(gateway)
    listeners = [account.listen for account in accounts]
    chores = (process.expire_files, keep_record, heartbeat.keep)
    async with process.run(*listeners, *chores, store_within=STORE_WITHIN_S):
        for warning in await gateway.stores.backend.list_warnings():
            log.warning("the server may lose messages", reason=warning)
        app = create_app(
            *(gateway.directory, gateway.stores, gateway.channels, gateway.receive, wakeups),
            accounts=accounts,
        )
        server = _create_server(app)

        def stop() -> None:
            server.should_exit = True
            app.state.streams.close()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        log.info("gateway listens", url=find_local_url(listening))
        await server.serve(sockets=[listening])


class _Server(uvicorn.Server):
    """Leaves signals to `serve`: uvicorn would raise them again before everything is closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _create_server(app: Starlette) -> uvicorn.Server:
    calm_server_logs()
    return _Server(
        BoundedConfig(
            app,
            connections=Connections(count_allowed_connections(raise_file_limit())),
            access_log=False,  # it would log queries; the app logs a line of its own
            date_header=False,
            lifespan="off",
            log_config=None,
            proxy_headers=False,  # with them, any client could claim to be this machine
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_WITHIN_S,
        )
    )


def find_local_url(listening: socket.socket) -> str:
    """The URL under which this machine reaches the socket."""
    host, port = listening.getsockname()[:2]
    return f"{local_url(host, port)}/"
