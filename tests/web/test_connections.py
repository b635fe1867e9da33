"""The bounds on connections: deadlines, places, and what is logged when they bite."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn

from sigil.web import connections
from sigil.web.connections import BoundedConfig, Connections, count_allowed_connections
from sigil.web.server import listen_on

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the body; `/stream` begins an answer and never ends it, `/large` is long."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/large":
        body = bytes(100_000)
    if scope["path"] == "/stream":
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await receive()
        return
    await send({"type": "http.response.body", "body": body})


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@asynccontextmanager
async def serving(most: int = 100, per_address: int = 100) -> AsyncIterator[Connect]:
    config = BoundedConfig(
        echo,
        connections=Connections(most, per_address),
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server, listening = uvicorn.Server(config), listen_on("127.0.0.1", 0)
    task = asyncio.create_task(server._serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    async with AsyncExitStack() as stack, asyncio.timeout(20):

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection(*listening.getsockname()[:2])
            stack.push_async_callback(close, writer)
            return reader, writer

        yield connect
    server.should_exit = True
    await task


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> bytes:
    writer.write(text)
    return await reader.readuntil(b"\r\n")


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", b""),
        (b"GET / HTT", b"HTTP/1.1 408"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"HTTP/1.1 408"),
        (POST + b"1234", b"HTTP/1.1 408"),
    ],
    ids=["nothing", "half a line", "half a header", "half a body"],
)
async def test_who_does_not_send_a_whole_request_is_ended(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, answer: bytes
) -> None:
    monkeypatch.setattr(connections, "HEADER_WITHIN_S", 0.2)
    monkeypatch.setattr(connections, "BODY_WITHIN_S", 0.2)
    async with serving() as connect:
        reader, writer = await connect()
        writer.write(sent)
        assert (await reader.read()).startswith(answer)


async def test_a_trickle_extends_no_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_WITHIN_S", 0.3)
    async with serving() as connect:
        reader, writer = await connect()
        reading = asyncio.create_task(reader.read())
        while not reading.done():
            writer.write(b"X")
            await asyncio.sleep(0.02)
        assert reading.result().startswith(b"HTTP/1.1 408")


async def test_an_idle_connection_is_kept_for_a_while_and_then_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "HEADER_WITHIN_S", 0.1)
    monkeypatch.setattr(connections, "KEEP_ALIVE_S", 0.5)
    async with serving() as connect:
        reader, writer = await connect()
        for _ in range(2):
            assert await ask(reader, writer, REQUEST) == b"HTTP/1.1 200 OK\r\n"
            await reader.readuntil(b"0\r\n\r\n")
            await asyncio.sleep(0.2)
        assert await reader.read() == b""


async def test_a_slow_answer_has_no_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_WITHIN_S", 0.1)
    monkeypatch.setattr(connections, "KEEP_ALIVE_S", 0.1)
    async with serving() as connect:
        reader, writer = await connect()
        await ask(reader, writer, b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"begun\r\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.5)


async def test_who_does_not_read_the_answers_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "READ_WITHIN_S", 0.2)
    async with serving(most=3) as connect:
        for _ in range(3):
            reader, writer = await connect()
            reader._transport.pause_reading()  # type: ignore[attr-defined]  # the only way
            writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
        async with asyncio.timeout(10):
            while True:
                reader, writer = await connect()
                if b"200" in await ask(reader, writer, REQUEST):
                    return


@pytest.mark.parametrize("sent", [b"", b"GET /", POST], ids=["nothing", "header", "body"])
async def test_newcomers_take_the_places_of_those_that_wait(sent: bytes) -> None:
    async with serving(most=5) as connect:
        crowd = [await connect() for _ in range(5)]
        for _, writer in crowd:
            writer.write(sent)
        for n in range(20):
            reader, writer = await connect()
            assert await ask(reader, writer, REQUEST) == b"HTTP/1.1 200 OK\r\n", n
        ended = [await reader.read() for reader, _ in crowd]
        assert all(not answer or answer.startswith(b"HTTP/1.1 408") for answer in ended)


async def test_those_that_are_served_keep_their_places() -> None:
    async with serving(most=3) as connect:
        streams = [await connect() for _ in range(3)]
        for reader, writer in streams:
            await ask(reader, writer, b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        reader, writer = await connect()
        assert await reader.readuntil(b"\r\n") == b"HTTP/1.1 503 Service Unavailable\r\n"
        await close(streams.pop()[1])
        async with asyncio.timeout(5):
            while True:
                reader, writer = await connect()
                if b"200" in await ask(reader, writer, REQUEST):
                    return


async def test_one_address_leaves_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "is_loopback", lambda _: False)
    async with serving(most=100, per_address=2) as connect:
        first, second, third = [await connect() for _ in range(3)]
        assert await first[0].read() == b""
        for reader, writer in (second, third):
            assert await ask(reader, writer, REQUEST) == b"HTTP/1.1 200 OK\r\n"


def test_connections_leave_descriptors_for_everything_else() -> None:
    assert count_allowed_connections(1024) == 384
    assert count_allowed_connections(64) == 16
    assert count_allowed_connections(1_000_000) == connections.MOST_IN_ALL
