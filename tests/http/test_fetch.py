"""Addresses out of messages: servers and names that are hostile."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sigil.errors import AddressRefused, FetchFailed, MediaRefused
from sigil.http.fetch import Fetcher
from tests.http.server import (
    HELLO,
    Connection,
    Reply,
    Server,
    run_server,
    say_hello,
    stay_silent,
)

LOOPBACK = ["127.0.0.0/8"]


async def fetch(fetcher: Fetcher, url: str, most: int = 1000, **more: Any) -> bytes:
    return b"".join([piece async for piece in fetcher.fetch(url, most=most, **more)])


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with run_server(say_hello) as server:
        yield server


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What the system's resolver says of a name: the addresses of each look-up in turn, the last
    ones for ever."""
    known: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host not in known:
            return real(host, port, *args, **more)
        answers = known[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


def redirect(*targets: str, status: int = 302) -> Reply:
    """Redirects to each in turn, then says hello."""
    left = list(targets)

    async def reply(connection: Connection) -> None:
        if not left:
            connection.send(HELLO)
            return
        head = f"HTTP/1.1 {status} Found\r\nlocation: {left.pop(0)}\r\ncontent-length: 0\r\n\r\n"
        connection.send(head.encode())

    return reply


async def test_what_is_allowed_is_fetched(server: Server) -> None:
    assert await fetch(Fetcher(LOOPBACK), server.url()) == b"hello"
    assert await fetch(Fetcher(["localhost"]), server.url(host="localhost")) == b"hello"
    assert b"accept-encoding: identity" in server.requests[0].head.lower()


async def test_a_configured_address_is_allowed_by_being_configured(server: Server) -> None:
    assert await fetch(Fetcher(), server.url(), configured=True) == b"hello"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.0.0.1.",
        "0",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "LOCALHOST",
        "localhost%00.example",
        "[::127.0.0.1]",
    ],
)
async def test_no_spelling_of_loopback_gets_through(server: Server, host: str) -> None:
    with pytest.raises((AddressRefused, FetchFailed)):
        await fetch(Fetcher(), server.url(host=host))
    assert server.connections == 0


@pytest.mark.parametrize("host", ["[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"])
async def test_nor_any_of_version_6(server: Server, host: str) -> None:
    with pytest.raises(AddressRefused):
        await fetch(Fetcher(), server.url(host=host))
    assert server.connections == 0


async def test_a_name_that_leads_inside_is_refused(
    server: Server, names: dict[str, list[list[str]]]
) -> None:
    names["inside.example"] = [["127.0.0.1"]]
    names["mixed.example"] = [["93.184.216.34", "127.0.0.1"]]
    names["metadata.example"] = [["169.254.169.254"]]
    for name in list(names):
        with pytest.raises(AddressRefused, match=name):
            await fetch(Fetcher(), server.url(host=name))
    assert server.connections == 0


async def test_a_name_is_looked_up_once(server: Server, names: dict[str, list[list[str]]]) -> None:
    # The first answer is checked, and would be another at the second look.
    names["rebind.example"] = [["127.0.0.2"], ["127.0.0.1"]]
    with pytest.raises(AddressRefused):
        await fetch(Fetcher(["127.0.0.1/32"]), server.url(host="rebind.example"))
    names["rebind.example"] = [["127.0.0.1"], ["127.0.0.2"]]
    url = server.url(host="rebind.example")
    assert await fetch(Fetcher(["127.0.0.1/32"]), url) == b"hello"
    with pytest.raises(AddressRefused):
        await fetch(Fetcher(["127.0.0.1/32"]), url)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://h/a",
        "gopher://h",
        "//h/a",
        "h",
        "",
        "http://",
        "data:,x",
        "x" * 5000,
        "http://user:secret@h/",
    ],
)
async def test_other_schemes_and_passwords_are_refused(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        await fetch(Fetcher(LOOPBACK), url)
    assert "secret" not in str(refused.value)


async def test_each_redirect_is_checked(server: Server) -> None:
    async with run_server(redirect(server.url(host="localhost"))) as bouncer:
        # The bouncer is allowed, by its network; where it leads is not.
        with pytest.raises(AddressRefused):
            await fetch(Fetcher(["127.0.0.2/32"]), bouncer.url(), configured=True)
    for target in (
        "file:///etc/passwd",
        "http://169.254.169.254/latest",
        "http://[::1]/",
    ):
        async with run_server(redirect(target)) as bouncer:
            with pytest.raises(AddressRefused):
                await fetch(Fetcher(LOOPBACK), bouncer.url())
    assert server.connections == 0


async def test_a_configured_address_that_redirects_to_itself_is_checked() -> None:
    async with run_server(redirect("/elsewhere")) as bouncer:
        with pytest.raises(AddressRefused):
            await fetch(Fetcher(), bouncer.url(), configured=True)
        assert bouncer.connections == 1


async def test_five_redirects_are_followed_and_no_more() -> None:
    async with run_server(redirect(*["/next"] * 5)) as bouncer:
        assert await fetch(Fetcher(LOOPBACK), bouncer.url()) == b"hello"
    async with run_server(redirect(*["/next"] * 6)) as bouncer:
        with pytest.raises(AddressRefused, match="too often"):
            await fetch(Fetcher(LOOPBACK), bouncer.url())


async def test_credentials_stay_with_their_origin(server: Server) -> None:
    headers = {"authorization": "Bearer secret"}
    async with run_server(redirect("/here", server.url())) as bouncer:
        assert await fetch(Fetcher(LOOPBACK), bouncer.url(), headers=headers) == b"hello"
        assert [b"secret" in each.head for each in bouncer.requests] == [True, True]
    assert b"secret" not in server.requests[0].head


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
        b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 100 + b"\r\n\r\n",
    ],
)
async def test_too_many_bytes_are_refused(answer: bytes) -> None:
    async def reply(connection: Connection) -> None:
        connection.send(answer)
        connection.writer.close()

    async with run_server(reply) as server:
        with pytest.raises((MediaRefused, FetchFailed)):
            await fetch(Fetcher(LOOPBACK), server.url())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 No\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello",
        b"nonsense\r\n\r\n",
    ],
)
async def test_what_is_no_whole_file_has_failed(answer: bytes) -> None:
    async def reply(connection: Connection) -> None:
        connection.send(answer)
        connection.writer.close()

    async with run_server(reply) as server:
        with pytest.raises(FetchFailed, match=r"127\.0\.0\.1"):
            await fetch(Fetcher(LOOPBACK), server.url())


async def test_a_server_that_drips_is_given_up() -> None:
    async def drip(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n")
        while True:
            connection.send(b"x")
            await connection.writer.drain()
            await asyncio.sleep(0.01)

    async with run_server(drip) as server:
        with pytest.raises(FetchFailed, match="too long"):
            await fetch(Fetcher(LOOPBACK, seconds=0.1), server.url())
    async with run_server(stay_silent) as server:
        with pytest.raises(FetchFailed, match="too long"):
            await fetch(Fetcher(LOOPBACK, seconds=0.1), server.url())


async def test_no_proxy_is_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run_server(say_hello) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert await fetch(Fetcher(LOOPBACK), server.url()) == b"hello"
    assert proxy.connections == 0
