"""Bounds on the connections of the HTTP server, so that nobody can keep others out by holding them.

    accepted ─▶ header within 10 s ─▶ body within 20 s ─▶ busy: answered, or a stream ─┐
        ▲       └──────── may be ended for a newcomer ──────┘                          │
        └───────────────────── the next header within 15 s ────────────────────────────┘

uvicorn itself waits for ever for a header or a body, and takes connections until the process has no
file descriptor left; then it has none for Redis either. Here a connection that has not sent a whole
request has a deadline, and so has one that does not read its answer. When there are too many, the
one that has waited longest is ended for the newcomer: an honest client sends its request at once.
"""

from __future__ import annotations

import resource
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import h11
import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sigil.config.addresses import is_loopback

if TYPE_CHECKING:
    import asyncio

log = structlog.get_logger(__name__)

HEADER_WITHIN_S = 10.0
KEEP_ALIVE_S = 15
# The largest body has 256 KiB, so this asks for 13 kB/s at least.
BODY_WITHIN_S = 20.0
# An answer of which more than 64 KiB wait must be read nearly to its end in this time.
READ_WITHIN_S = 30.0
MOST_PER_ADDRESS = 64
MOST_IN_ALL = 4_096
BACKLOG = 128
# File descriptors that connections must leave: for Redis, files, and what has been accepted but
# not been counted yet.
_RESERVE = 128 + BACKLOG
_WANTED_FILES = 16_384
_LOG_EVERY_S = 60.0

_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def raise_file_limit() -> int:
    """Lets this process open as many files as it may, up to a sensible number; returns how many
    it may open now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, _WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return _WANTED_FILES if soft == resource.RLIM_INFINITY else soft


def count_allowed_connections(files: int) -> int:
    """How many connections fit below a limit of `files`. Each stream needs a second descriptor,
    with which it waits for Redis."""
    return max(16, min(MOST_IN_ALL, (files - _RESERVE) // 2))


class Connections:
    """The open connections of one server. `most` is for all, `most_per_address` for one client.

    Connections from this machine count for `most` only: a proxy on it brings many people.
    """

    def __init__(self, most: int, most_per_address: int = MOST_PER_ADDRESS) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._by_address: Counter[str] = Counter()
        self._open = 0
        # Those that have not sent a whole request, the oldest first. A dict keeps its order.
        self._waiting: dict[BoundedProtocol, None] = {}
        self._log_at = 0.0

    def admit(self, newcomer: BoundedProtocol) -> bool:
        """Counts a new connection, if there is room or can be made."""
        address = newcomer.address
        is_crowded = self._by_address[address] >= self._most_per_address and not is_loopback(
            address
        )
        if is_crowded or self._open >= self._most:
            oldest = next(
                (o for o in self._waiting if not is_crowded or o.address == address), None
            )
            self._log(address, is_crowded)
            if oldest is None:
                return False
            del self._waiting[oldest]
            oldest.give_up()
        self._open += 1
        self._by_address[address] += 1
        return True

    def remove(self, gone: BoundedProtocol) -> None:
        """Counts a connection no more."""
        self._waiting.pop(gone, None)
        self._open -= 1
        self._by_address[gone.address] -= 1
        if not self._by_address[gone.address]:
            del self._by_address[gone.address]

    def note_waiting(self, connection: BoundedProtocol, waits: bool) -> None:
        """Notes whether the connection still has to send its request."""
        if waits:
            self._waiting[connection] = None
        else:
            self._waiting.pop(connection, None)

    def _log(self, address: str, is_crowded: bool) -> None:
        if time.monotonic() >= self._log_at:
            self._log_at = time.monotonic() + _LOG_EVERY_S
            log.warning(
                "too many connections, idle ones are ended",
                address=address if is_crowded else None,
                open=self._open,
                waiting=len(self._waiting),
            )


class BoundedConfig(uvicorn.Config):
    """A configuration whose server bounds its connections."""

    def __init__(self, app: Any, *, connections: Connections, **options: Any) -> None:
        super().__init__(
            app,
            http=BoundedProtocol,
            # A connection that became a WebSocket would leave this protocol uncounted.
            ws="none",
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            **options,
        )
        self.connections = connections


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol with deadlines. `config` must be a `BoundedConfig`."""

    config: BoundedConfig

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.address = ""
        self._awaits: object = None  # the state of h11 in which the client has to send
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._is_counted = False
        self._has_asked = False  # for the first time at least; before that there is no cycle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._is_counted = self.config.connections.admit(self)
        if self._is_counted:
            self._watch_request()
        else:
            transport.write(_BUSY)
            transport.close()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_request()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(READ_WITHIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_deadline(None)
        if self._unread is not None:
            self._unread.cancel()
        if self._is_counted:
            self._is_counted = False
            self.config.connections.remove(self)
        super().connection_lost(exc)

    def give_up(self) -> None:
        """Ends the connection, with 408 if a part of a request has come."""
        if self.transport.is_closing() or self.transport.get_write_buffer_size():
            # The client does not read what it was sent, and to close would wait for that.
            self.transport.abort()
            return
        has_begun = self._awaits is h11.SEND_BODY or self.conn.trailing_data[0]
        is_answered = self._has_asked and self.cycle.response_started
        if has_begun and not is_answered:
            self.transport.write(_TIMED_OUT)
        self.transport.close()
        self._set_deadline(READ_WITHIN_S)

    def _watch_request(self) -> None:
        """Sets the deadline anew whenever the client has to send something else than before."""
        if self.transport.is_closing():
            self.config.connections.note_waiting(self, False)
            self._set_deadline(READ_WITHIN_S)
            return
        state = self.conn.their_state
        self._has_asked = self._has_asked or state is not h11.IDLE
        awaits = state if state in {h11.IDLE, h11.SEND_BODY} and self._is_counted else None
        if awaits is self._awaits:
            return
        self._awaits = awaits
        self.config.connections.note_waiting(self, awaits is not None)
        if awaits is None:
            self._set_deadline(None)
        elif awaits is h11.SEND_BODY:
            self._set_deadline(BODY_WITHIN_S)
        else:
            self._set_deadline(KEEP_ALIVE_S if self._has_asked else HEADER_WITHIN_S)

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.give_up)
