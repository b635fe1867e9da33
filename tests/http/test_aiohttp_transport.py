"""What aiohttp sends and reads for httpx2, and what it does with its connections."""

from __future__ import annotations

import asyncio
import contextlib
import gzip

import httpx2
import pytest

from sigil.http import aiohttp_transport
from sigil.http.aiohttp_transport import AiohttpClient
from sigil.http.transport import make_http_client
from tests.http.server import CHUNKED, SOON, run_server, say_hello


async def test_pieces_are_passed_on_as_they_come(client):
    read = asyncio.Event()

    async def reply(connection):
        connection.send(CHUNKED + b"\r\n")
        connection.chunk(b"one")
        await read.wait()
        connection.chunk(b"two")
        connection.send(b"0\r\n\r\n")

    async with run_server(reply) as server, client.stream("GET", server.url()) as response:
        pieces = response.aiter_bytes()
        assert await anext(pieces) == b"one"
        read.set()
        assert b"".join([piece async for piece in pieces]) == b"two"
        assert response.http_version == "HTTP/1.1"


async def test_a_compressed_body_is_read(client):
    async def reply(connection):
        connection.send(CHUNKED + b"content-encoding: gzip\r\n\r\n")
        data = gzip.compress(b"hello")
        for start in range(0, len(data), 7):
            connection.chunk(data[start : start + 7])
        connection.send(b"0\r\n\r\n")

    async with run_server(reply) as server:
        response = await client.get(server.url())
    assert response.text == "hello"
    assert response.headers["content-encoding"] == "gzip"


async def test_head_status_and_reason_come_through(client):
    async def reply(connection):
        connection.send(b"HTTP/1.1 429 Slow Down\r\nx-a: 1\r\nX-A: 2\r\ncontent-length: 0\r\n\r\n")

    async with run_server(reply) as server:
        response = await client.get(server.url())
    assert (response.status_code, response.reason_phrase) == (429, "Slow Down")
    assert response.headers.get_list("x-a") == ["1", "2"]


async def test_long_header_lines_are_read(client):
    policy = "a" * 20_000

    async def reply(connection):
        connection.send(f"HTTP/1.1 204 x\r\ncontent-security-policy: {policy}\r\n\r\n".encode())

    async with run_server(reply) as server:
        response = await client.get(server.url())
    assert response.headers["content-security-policy"] == policy


async def test_a_redirect_is_not_followed(client):
    async def reply(connection):
        connection.send(b"HTTP/1.1 302 x\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n")

    async with run_server(reply) as server:
        response = await client.get(server.url())
        assert response.status_code == 302
        assert len(server.requests) == 1


async def test_the_request_is_sent_as_httpx2_made_it(client):
    headers = {"Authorization": "Bearer k", "User-Agent": "sigil", "X-Twice": "a"}
    async with run_server(say_hello) as server:
        url = server.url().replace("//", "//name:secret@").replace("/chat", "/a%2Fb%20c+d")
        request = client.build_request("POST", url, headers=headers, json={"a": 1})
        request.headers = httpx2.Headers([*request.headers.multi_items(), ("X-Twice", "b")])
        await client.send(request, auth=None)
    (seen,) = server.requests
    line, *lines = seen.head.decode().strip().split("\r\n")
    assert line == "POST /v1/a%2Fb%20c+d?alt=sse HTTP/1.1"
    sent = sorted(tuple(each.split(": ", 1)) for each in lines)
    assert sent == sorted(request.headers.multi_items())
    assert seen.body == b'{"a":1}'


async def test_a_body_of_many_megabytes_arrives_whole(client):
    body = bytes(range(256)) * 16_384
    async with run_server(say_hello) as server:
        assert (await client.post(server.url(), content=body)).text == "hello"
    assert server.requests[0].body == body


async def test_an_endless_body_is_not_read_for_ever(client, monkeypatch):
    async def reply(connection):
        connection.send(CHUNKED + b"\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                connection.chunk(bytes(1024))
                await connection.writer.drain()

    monkeypatch.setattr(aiohttp_transport, "MAX_BODY", 100_000)
    async with run_server(reply) as server:
        with pytest.raises(httpx2.DecodingError):
            await client.get(server.url())


async def test_a_body_that_is_streamed_arrives_whole(client):
    async def pieces():
        yield b"one"
        yield b"two"

    async with run_server(say_hello) as server:
        await client.post(server.url(), content=pieces())
    assert server.requests[0].body == b"onetwo"


async def test_a_connection_is_used_again_after_a_body_that_was_read(client):
    async with run_server(say_hello) as server:
        for _ in range(3):
            async with client.stream("POST", server.url()) as response:
                assert await response.aread() == b"hello"
        assert server.connections == 1


async def test_a_body_that_is_left_early_ends_its_connection(client):
    async def reply(connection):
        connection.send(CHUNKED + b"\r\n")
        connection.chunk(b"one")
        await connection.until_gone()
        raise ConnectionError

    async with run_server(reply) as server:
        async with client.stream("GET", server.url()) as response:
            assert await anext(response.aiter_bytes()) == b"one"
        async with asyncio.timeout(SOON):
            await server.hung_up.wait()


async def test_closing_the_client_ends_all_connections():
    async def reply(connection):
        connection.send(CHUNKED + b"\r\n")
        await connection.until_gone()
        raise ConnectionError

    client = make_http_client(SOON)
    async with run_server(reply) as server:
        request = client.build_request("GET", server.url())
        await client.send(request, stream=True)
        await client.aclose()
        async with asyncio.timeout(SOON):
            await server.hung_up.wait()


async def test_closing_the_client_ends_the_reading_of_bodies(client):
    async def reply(connection):
        connection.send(CHUNKED + b"\r\n")
        connection.chunk(b"one")
        await connection.until_gone()

    async with run_server(reply) as server, client.stream("GET", server.url()) as response:
        pieces = response.aiter_bytes()
        assert await anext(pieces) == b"one"
        rest = asyncio.ensure_future(anext(pieces))
        await asyncio.sleep(0)
        await client.aclose()
        with pytest.raises(httpx2.TransportError):
            async with asyncio.timeout(SOON / 2):
                await rest


async def test_no_more_connections_than_allowed_are_opened():
    timeout = httpx2.Timeout(SOON, pool=0.05, connect=0.05)
    limits = httpx2.Limits(max_connections=1)

    async def reply(connection):
        connection.send(CHUNKED + b"\r\n")
        await connection.until_gone()
        raise ConnectionError

    async with AiohttpClient(timeout=timeout, limits=limits) as client, run_server(reply) as server:
        async with client.stream("GET", server.url()):
            with pytest.raises(httpx2.ConnectTimeout):
                await client.get(server.url())
        assert server.connections == 1


@pytest.mark.parametrize("speaks_first", [False, True])
async def test_a_call_that_is_cancelled_ends_its_connection(client, speaks_first):
    asked, waits = asyncio.Event(), asyncio.Event()

    async def reply(connection):
        asked.set()
        if speaks_first:
            connection.send(CHUNKED + b"\r\n")
            connection.chunk(b"one")
        await connection.until_gone()
        raise ConnectionError

    async def call(url):
        async with client.stream("GET", url) as response:
            async for _ in response.aiter_bytes():
                waits.set()

    async with run_server(reply) as server, asyncio.timeout(SOON):
        task = asyncio.create_task(call(server.url()))
        await (waits if speaks_first else asked).wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.hung_up.wait()
