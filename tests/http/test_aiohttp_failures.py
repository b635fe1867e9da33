"""Deadlines and broken connections: what fails beneath httpx2 is raised in its terms."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from tests.http.server import CHUNKED, SOON, run_deaf_server, run_server, say_hello, stay_silent


async def test_a_head_that_does_not_come_in_time(client):
    client.timeout = httpx2.Timeout(SOON, read=0.05)
    async with run_server(stay_silent) as server:
        with pytest.raises(httpx2.ReadTimeout):
            await client.get(server.url())


async def test_a_body_that_falls_silent(client):
    async def reply(connection):
        connection.send(CHUNKED + b"\r\n")
        connection.chunk(b"one")
        await connection.until_gone()

    client.timeout = httpx2.Timeout(SOON, read=0.2)
    async with run_server(reply) as server, client.stream("GET", server.url()) as response:
        pieces = response.aiter_bytes()
        assert await anext(pieces) == b"one"
        with pytest.raises(httpx2.ReadTimeout):
            await anext(pieces)


async def test_a_handshake_that_does_not_end(client):
    client.timeout = httpx2.Timeout(SOON, connect=0.05)
    async with run_deaf_server() as port:
        with pytest.raises(httpx2.ConnectTimeout):
            await client.get(f"https://127.0.0.1:{port}/")


async def test_a_request_that_nobody_reads(client):
    client.timeout = httpx2.Timeout(0.1)
    async with run_deaf_server() as port:
        with pytest.raises(httpx2.WriteTimeout):
            await client.post(f"http://127.0.0.1:{port}/", content=bytes(50_000_000))


async def test_nobody_listens_at_the_address(client):
    async with run_server(say_hello) as server:
        url = server.url()
    with pytest.raises(httpx2.ConnectError):
        await client.get(url)


async def test_the_server_hangs_up_without_a_word(client):
    async def reply(connection):
        connection.writer.close()

    async with run_server(reply) as server:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post(server.url())
        assert len(server.requests) == 1


async def test_the_server_speaks_something_else(client):
    async def reply(connection):
        connection.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    async with run_server(reply) as server:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post(server.url())


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(CHUNKED + b"\r\n3\r\none\r\n", id="without the last chunk"),
        pytest.param(CHUNKED + b"\r\n3\r\none\r\n9\r\n", id="within a chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\none", id="within its length"),
    ],
)
@pytest.mark.parametrize("late", [False, True])
async def test_a_body_that_breaks_off_is_read_up_to_there(client, sent, late):
    closed = asyncio.Event()

    async def reply(connection):
        connection.send(sent)
        connection.writer.close()
        await connection.writer.wait_closed()
        closed.set()

    async with run_server(reply) as server, client.stream("GET", server.url()) as response:
        if late:
            await closed.wait()
            for _ in range(20):  # turns of the loop until the client has noticed as well
                await asyncio.sleep(0)
        pieces = response.aiter_bytes()
        assert await anext(pieces) == b"one"
        with pytest.raises(httpx2.RemoteProtocolError):
            await anext(pieces)


async def test_a_body_that_is_malformed(client):
    async def reply(connection):
        connection.send(CHUNKED + b"\r\n")
        connection.chunk(b"one")
        await read.wait()
        connection.send(b"zz\r\n")
        await connection.until_gone()

    read = asyncio.Event()
    async with run_server(reply) as server, client.stream("GET", server.url()) as response:
        pieces = response.aiter_bytes()
        assert await anext(pieces) == b"one"
        read.set()
        with pytest.raises(httpx2.RemoteProtocolError):
            await anext(pieces)


async def test_a_connection_that_is_reset(client):
    async def reply(connection):
        connection.send(CHUNKED + b"\r\n")
        connection.chunk(b"one")
        await connection.writer.drain()
        await read.wait()
        connection.writer.transport.abort()

    read = asyncio.Event()
    async with run_server(reply) as server, client.stream("GET", server.url()) as response:
        pieces = response.aiter_bytes()
        assert await anext(pieces) == b"one"
        read.set()
        with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
            await anext(pieces)
