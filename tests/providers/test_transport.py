from __future__ import annotations

import asyncio
import contextlib
import datetime
import gzip
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sigil.http import aiohttp_transport
from sigil.http.aiohttp_transport import AiohttpClient
from sigil.http.transport import make_http_client

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
SOON = 5.0
"""Seconds within which a test's own server answers, however busy the machine."""


@dataclass
class Connection:
    """What a reply may use: the request as it came, and the way back."""

    head: bytes
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def chunk(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def gone(self) -> None:
        """Returns once the client has hung up."""
        try:
            assert await self.reader.read() == b""
        except ConnectionError:
            pass


Reply = Callable[[Connection], Awaitable[None]]


@dataclass
class Server:
    port: int = 0
    connections: int = 0
    requests: list[Connection] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}/v1/chat?alt=sse"


@asynccontextmanager
async def serving(reply: Reply, context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    served = Server()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(
                    line.lower().split(b": ", 1) for line in head.strip().split(b"\r\n")[1:]
                )
                body = await reader.readexactly(int(fields.get(b"content-length", 0)))
                connection = Connection(head, body, reader, writer)
                served.requests.append(connection)
                await reply(connection)
        except (ConnectionError, asyncio.IncompleteReadError):
            served.hung_up.set()
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=context)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    made = make_http_client(SOON)
    yield made
    await made.aclose()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def hello(connection: Connection) -> None:
    connection.send(HELLO)


async def silence(connection: Connection) -> None:
    await connection.gone()


# ------------------------------------------------------------------ what comes


async def test_pieces_are_given_on_as_they_come(client):
    read = asyncio.Event()

    async def reply(connection):
        connection.send(CHUNKED + b"\r\n")
        connection.chunk(b"one")
        await read.wait()
        connection.chunk(b"two")
        connection.send(b"0\r\n\r\n")

    async with serving(reply) as server, client.stream("GET", server.url()) as response:
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

    async with serving(reply) as server:
        response = await client.get(server.url())
    assert response.text == "hello"
    assert response.headers["content-encoding"] == "gzip"


async def test_head_status_and_reason_come_through(client):
    async def reply(connection):
        connection.send(b"HTTP/1.1 429 Slow Down\r\nx-a: 1\r\nX-A: 2\r\ncontent-length: 0\r\n\r\n")

    async with serving(reply) as server:
        response = await client.get(server.url())
    assert (response.status_code, response.reason_phrase) == (429, "Slow Down")
    assert response.headers.get_list("x-a") == ["1", "2"]


async def test_long_header_lines_are_read(client):
    policy = "a" * 20_000

    async def reply(connection):
        connection.send(f"HTTP/1.1 204 x\r\ncontent-security-policy: {policy}\r\n\r\n".encode())

    async with serving(reply) as server:
        response = await client.get(server.url())
    assert response.headers["content-security-policy"] == policy


async def test_a_redirect_is_not_followed(client):
    async def reply(connection):
        connection.send(b"HTTP/1.1 302 x\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n")

    async with serving(reply) as server:
        response = await client.get(server.url())
        assert response.status_code == 302
        assert len(server.requests) == 1


# ------------------------------------------------------------------ what is sent


async def test_the_request_is_sent_as_httpx2_made_it(client):
    headers = {"Authorization": "Bearer k", "User-Agent": "sigil", "X-Twice": "a"}
    async with serving(hello) as server:
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
    async with serving(hello) as server:
        assert (await client.post(server.url(), content=body)).text == "hello"
    assert server.requests[0].body == body


async def test_a_body_without_end_is_not_read_for_ever(client, monkeypatch):
    async def reply(connection):
        connection.send(CHUNKED + b"\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                connection.chunk(bytes(1024))
                await connection.writer.drain()

    monkeypatch.setattr(aiohttp_transport, "MAX_BODY", 100_000)
    async with serving(reply) as server:
        with pytest.raises(httpx2.DecodingError):
            await client.get(server.url())


async def test_a_body_that_is_streamed_arrives_whole(client):
    async def pieces():
        yield b"one"
        yield b"two"

    async with serving(hello) as server:
        await client.post(server.url(), content=pieces())
    assert server.requests[0].body == b"onetwo"


# ------------------------------------------------------------------ connections


async def test_a_connection_is_used_again_after_a_body_that_was_read(client):
    async with serving(hello) as server:
        for _ in range(3):
            async with client.stream("POST", server.url()) as response:
                assert await response.aread() == b"hello"
        assert server.connections == 1


async def test_a_body_that_is_left_early_ends_its_connection(client):
    async def reply(connection):
        connection.send(CHUNKED + b"\r\n")
        connection.chunk(b"one")
        await connection.gone()
        raise ConnectionError

    async with serving(reply) as server:
        async with client.stream("GET", server.url()) as response:
            assert await anext(response.aiter_bytes()) == b"one"
        async with asyncio.timeout(SOON):
            await server.hung_up.wait()


async def test_closing_the_client_ends_all_connections():
    async def reply(connection):
        connection.send(CHUNKED + b"\r\n")
        await connection.gone()
        raise ConnectionError

    client = make_http_client(SOON)
    async with serving(reply) as server:
        request = client.build_request("GET", server.url())
        await client.send(request, stream=True)
        await client.aclose()
        async with asyncio.timeout(SOON):
            await server.hung_up.wait()


async def test_closing_the_client_ends_the_reading_of_bodies(client):
    async def reply(connection):
        connection.send(CHUNKED + b"\r\n")
        connection.chunk(b"one")
        await connection.gone()

    async with serving(reply) as server, client.stream("GET", server.url()) as response:
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
        await connection.gone()
        raise ConnectionError

    async with AiohttpClient(timeout=timeout, limits=limits) as client, serving(reply) as server:
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
        await connection.gone()
        raise ConnectionError

    async def call(url):
        async with client.stream("GET", url) as response:
            async for _ in response.aiter_bytes():
                waits.set()

    async with serving(reply) as server, asyncio.timeout(SOON):
        task = asyncio.create_task(call(server.url()))
        await (waits if speaks_first else asked).wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.hung_up.wait()


# ------------------------------------------------------------------ deadlines


async def test_a_head_that_does_not_come_in_time(client):
    client.timeout = httpx2.Timeout(SOON, read=0.05)
    async with serving(silence) as server:
        with pytest.raises(httpx2.ReadTimeout):
            await client.get(server.url())


async def test_a_body_that_falls_silent(client):
    async def reply(connection):
        connection.send(CHUNKED + b"\r\n")
        connection.chunk(b"one")
        await connection.gone()

    client.timeout = httpx2.Timeout(SOON, read=0.2)
    async with serving(reply) as server, client.stream("GET", server.url()) as response:
        pieces = response.aiter_bytes()
        assert await anext(pieces) == b"one"
        with pytest.raises(httpx2.ReadTimeout):
            await anext(pieces)


@asynccontextmanager
async def deaf() -> AsyncIterator[int]:
    """The port of a server that takes connections and does nothing with them."""
    done = asyncio.Event()

    async def one(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0, limit=1)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        done.set()
        server.close()
        await asyncio.sleep(0)


async def test_a_handshake_that_does_not_end(client):
    client.timeout = httpx2.Timeout(SOON, connect=0.05)
    async with deaf() as port:
        with pytest.raises(httpx2.ConnectTimeout):
            await client.get(f"https://127.0.0.1:{port}/")


async def test_a_request_that_nobody_reads(client):
    client.timeout = httpx2.Timeout(0.1)
    async with deaf() as port:
        with pytest.raises(httpx2.WriteTimeout):
            await client.post(f"http://127.0.0.1:{port}/", content=bytes(50_000_000))


# ------------------------------------------------------------------ what breaks


async def test_nobody_listens(client):
    async with serving(hello) as server:
        url = server.url()
    with pytest.raises(httpx2.ConnectError):
        await client.get(url)


async def test_the_server_hangs_up_without_a_word(client):
    async def reply(connection):
        connection.writer.close()

    async with serving(reply) as server:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post(server.url())
        assert len(server.requests) == 1


async def test_the_server_speaks_something_else(client):
    async def reply(connection):
        connection.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    async with serving(reply) as server:
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

    async with serving(reply) as server, client.stream("GET", server.url()) as response:
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
        await connection.gone()

    read = asyncio.Event()
    async with serving(reply) as server, client.stream("GET", server.url()) as response:
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
    async with serving(reply) as server, client.stream("GET", server.url()) as response:
        pieces = response.aiter_bytes()
        assert await anext(pieces) == b"one"
        read.set()
        with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
            await anext(pieces)


# ------------------------------------------------------------------ TLS and proxies


def certificate(folder: Path, host: str) -> tuple[Path, ssl.SSLContext]:
    """A certificate for `host` that vouches for itself: its file, and a server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sigil test")])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(host)]
    if host[0].isdigit():
        names = [x509.IPAddress(ipaddress.ip_address(host))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    file, key_file = folder / "cert.pem", folder / "key.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    return file, context


async def test_a_server_that_the_system_trusts_is_spoken_to(tmp_path, monkeypatch):
    file, context = certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with make_http_client(SOON) as client, serving(hello, context) as server:
        assert (await client.get(server.url("https"))).text == "hello"


@pytest.mark.parametrize("host", ["127.0.0.1", "other.example"])
async def test_a_server_that_cannot_prove_who_it_is_gets_no_request(tmp_path, monkeypatch, host):
    trusted, _ = certificate(tmp_path / "trusted", "127.0.0.1")
    file, context = certificate(tmp_path / "used", host)
    # One whose name is another is trusted as such, but is not the one that was asked for.
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted if host == "127.0.0.1" else file))
    async with make_http_client(SOON) as client, serving(hello, context) as server:
        with pytest.raises(httpx2.ConnectError, match="certificate"):
            await client.get(server.url("https"))
        assert server.requests == []


async def test_proxies_of_the_environment_are_used_where_they_are_wanted(monkeypatch):
    async def reply(connection):
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nproxy")

    async with serving(reply) as proxy, serving(hello) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:pass@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        async with make_http_client(SOON) as client:
            assert (await client.get("http://vendor.example/v1")).text == "proxy"
            assert (await client.get(server.url())).text == "hello"
        (seen,) = proxy.requests
        assert seen.head.startswith(b"GET http://vendor.example/v1 HTTP/1.1\r\n")
        assert b"proxy-authorization: basic dxnlcjpwyxnz" in seen.head.lower()
