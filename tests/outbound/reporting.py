"""A platform on loopback that says later what became of a message, and a channel for it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
from pydantic import BaseModel

from sigil.channels.base import AccountContext, ChannelSpec, ChannelType, Chunk


class Options(BaseModel):
    url: str


class ReportingType(ChannelType):
    """It knows a chunk by its id, so that it can be sent again."""

    spec = ChannelSpec(reports=True, idempotent_send=True)
    options = Options
    sender = f"{__name__}:ReportingSender"


class ReportingSender:
    def __init__(self, context: AccountContext, options: Options) -> None:
        self.name = context.name
        self._url = options.url

    async def send(self, chunk: Chunk) -> str | None:
        async with httpx2.AsyncClient(base_url=self._url, timeout=60) as http:
            answer = await http.post("/", content=chunk.id)
            return answer.text

    async def close(self) -> None: ...


class Platform:
    """Takes chunks, and answers only while it `answers`."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.answers = threading.Event()

    def take(self, chunk_id: str) -> str:
        self.taken.append(chunk_id)
        self.answers.wait(30)
        return f"wamid.{chunk_id}"


@contextlib.contextmanager
def serve(platform: Platform) -> Iterator[str]:
    """Serves the platform on loopback, at the URL that this gives."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            chunk_id = self.rfile.read(int(self.headers["Content-Length"])).decode()
            body = platform.take(chunk_id).encode()
            with contextlib.suppress(ConnectionError):
                self.send_response(200)
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
        platform.answers.set()
        server.shutdown()
        server.server_close()
        thread.join()
