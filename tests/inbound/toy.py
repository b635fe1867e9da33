"""A platform on loopback that is polled as Telegram is, and a channel for it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx2
from pydantic import BaseModel

from sigil.channels.base import AccountContext, ChannelSpec, ChannelType, Inbox
from sigil.messages.exchange import InboundMessage

MOST_AT_ONCE = 5
WAITS_S = 0.5


class ToyOptions(BaseModel):
    url: str


class ToyType(ChannelType):
    spec = ChannelSpec()
    options = ToyOptions
    sender = "sigil.channels.memory.channel:make_memory_channel"
    listener = f"{__name__}:ToyListener"


class ToyListener:
    """Asks for what came after the last update that was accepted."""

    silence = 10.0

    def __init__(self, context: AccountContext, options: ToyOptions) -> None:
        self.name = context.name
        self._context = context
        self._url = options.url

    async def listen(self, inbox: Inbox) -> None:
        async with httpx2.AsyncClient(base_url=self._url, timeout=5) as http:
            offset = int(await inbox.load_cursor() or 0)
            while True:
                answer = await http.get("/updates", params={"offset": offset})
                answer.raise_for_status()
                inbox.note_activity()
                for number in answer.json():
                    await inbox.receive(self._make_message(number))
                    offset = number + 1
                await inbox.save_cursor(str(offset))

    async def close(self) -> None: ...

    def _make_message(self, number: int) -> InboundMessage:
        return InboundMessage(
            channel_type=self._context.channel_type,
            account=self._context.account,
            channel_id=f"chat-{number % 7}",
            message_id=str(number),
            sender_id="ann",
            content=f"update {number}",
        )


class Platform:
    """Has one more update every `every` seconds, `most` in all, and forgets those that a poll has
    confirmed. It refuses a poll while another one runs, as Telegram does."""

    def __init__(self, most: int, every: float) -> None:
        self._most, self._every = most, every
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._running = 0
        self.confirmed = 0
        self.conflicts = 0
        self.polls: list[tuple[float, int]] = []  # when, and from which update on

    @property
    def is_done(self) -> bool:
        return self.confirmed == self._most

    def poll(self, offset: int) -> list[int] | None:
        """Answers what came next, or waits for it; None if another poll runs."""
        with self._lock:
            if self._running:
                self.conflicts += 1
                return None
            self._running += 1
            self.confirmed = max(self.confirmed, offset)
            self.polls.append((time.monotonic(), offset))
        try:
            until = time.monotonic() + WAITS_S
            while time.monotonic() < until and self._count() <= offset:
                time.sleep(0.01)
            # What was confirmed is gone, whatever is asked for.
            first = max(offset, self.confirmed)
            return list(range(first, min(first + MOST_AT_ONCE, self._count())))
        finally:
            with self._lock:
                self._running -= 1

    def _count(self) -> int:
        return min(self._most, int((time.monotonic() - self._began) / self._every))


@contextlib.contextmanager
def serve(platform: Platform) -> Iterator[str]:
    """Serves the platform on loopback, at the URL that this gives."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = platform.poll(int(parse_qs(urlsplit(self.path).query)["offset"][0]))
            body = json.dumps(found).encode()
            with contextlib.suppress(ConnectionError):
                self.send_response(200 if found is not None else 409)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
