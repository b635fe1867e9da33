"""A link that is dead without a sign of it: no error and no end, only silence, as after a firewall
has forgotten a connection. New connections pass."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator

import pytest

from sigil.errors import StoreError
from sigil.lanes.effects import Accept, Push, Stop
from sigil.lanes.lane import LaneKind
from sigil.stores import Stores, connect
from tests.web.serving import Serve, Sse, read_events

pytestmark = pytest.mark.valkey


class Link:
    """A way over loopback to a server on a unix socket."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._open: set[asyncio.Task[None]] = set()
        self.url = ""

    def fall_silent(self) -> None:
        """Nothing passes any more on the connections that are open now. None of them ends."""
        for pump in self._open:
            pump.cancel()
        self._open.clear()

    @contextlib.asynccontextmanager
    async def listen(self) -> AsyncIterator[Link]:
        writers: list[asyncio.StreamWriter] = []

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far_writer = await asyncio.open_unix_connection(self._server)
            writers.extend((writer, far_writer))
            for source, target in ((reader, far_writer), (far_reader, writer)):
                self._open.add(asyncio.create_task(_pump(source, target)))

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        try:
            yield self
        finally:
            self.fall_silent()
            server.close()
            for writer in writers:  # Python 3.12 and later wait for their ends
                writer.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.close()


@pytest.fixture
async def link(valkey_url: str) -> AsyncIterator[Link]:
    async with Link(valkey_url.removeprefix("unix://")).listen() as made:
        yield made


@pytest.fixture
async def near(link: Link) -> AsyncIterator[Stores]:
    """The stores over the link."""
    made = connect(link.url, prefix=f"test-{uuid.uuid4().hex}:")
    yield made
    await made.backend.close()


@pytest.fixture
async def far(near: Stores, valkey_url: str) -> AsyncIterator[Stores]:
    """The same stores, over a link of their own."""
    prefix = near.backend.keys.prefix  # type: ignore[attr-defined]
    made = connect(valkey_url, prefix=prefix)
    yield made
    await made.backend.close()


def speed_up(patch: pytest.MonkeyPatch) -> None:
    """Waits are as short as a test can bear."""
    patch.setattr("sigil.web.chat.streams.BLOCK_S", 0.5)
    patch.setattr("sigil.stores.redis.chats.ANSWER_WITHIN_S", 0.5)
    patch.setattr("sigil.stores.redis.signals.QUIET_S", 0.2)
    patch.setattr("sigil.stores.redis.signals.ANSWER_WITHIN_S", 0.5)


async def test_a_page_comes_back_and_gets_the_reply(
    serve: Serve, link: Link, near: Stores, far: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    speed_up(monkeypatch)
    served = await serve(near)
    await far.chats.touch("owner", "web", "chat", "A chat")
    waiting = asyncio.Event()

    def note(event: Sse) -> bool:
        waiting.set()
        return event.kind == "reply"

    reading = asyncio.create_task(read_events(served, "chat", note))
    await waiting.wait()
    await asyncio.sleep(0.1)  # the stream waits for what comes
    link.fall_silent()
    event = {"type": "reply", "text": "here", "turn": "t", "chunk": 0, "final": True}
    await far.chats.show("web:chat", "1", event)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="the stream ended"):
        await reading
    # Each connection that was open fails once.
    async with asyncio.timeout(20):
        while (await served.http.get("/api/chats", timeout=10)).status_code != 200:
            pass
    assert (await read_events(served, "chat", note))[-1].kind == "reply"


async def test_stops_get_through_again(
    link: Link, near: Stores, far: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    speed_up(monkeypatch)
    lane = await far.lanes.key(LaneKind.SESSION, "web", "s")
    await far.lanes.push(Push(lane, "i", {"body": "x"}), [Accept("i")])

    async def hear() -> str:
        async for stopped in near.signals.stops():
            return stopped
        raise AssertionError

    async def stop_until(heard: asyncio.Task[str]) -> str:
        while not heard.done():
            number = uuid.uuid4().hex
            inbound = await far.lanes.key(LaneKind.INBOUND, "web", "s")
            await far.lanes.push(Push(inbound, number, {"body": "x"}), [Stop(lane)])
            await asyncio.wait([heard], timeout=0.05)
        return heard.result()

    assert await stop_until(asyncio.create_task(hear())) == lane
    deaf = asyncio.create_task(hear())
    await asyncio.sleep(1.0)  # several signs of life
    assert not deaf.done()
    link.fall_silent()
    with pytest.raises(StoreError):
        await asyncio.wait_for(deaf, 10)
    assert await stop_until(asyncio.create_task(hear())) == lane
