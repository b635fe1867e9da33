"""The HTTP client of the whole product: whom it trusts, and which proxies it uses."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sigil.http.transport import make_http_client
from tests.http.server import SOON, run_server, say_hello


def make_certificate(folder: Path, host: str) -> tuple[Path, ssl.SSLContext]:
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


async def test_a_server_that_the_system_trusts_is_called(tmp_path, monkeypatch):
    file, context = make_certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with make_http_client(SOON) as client, run_server(say_hello, context) as server:
        assert (await client.get(server.url("https"))).text == "hello"


@pytest.mark.parametrize("host", ["127.0.0.1", "other.example"])
async def test_a_server_that_cannot_prove_who_it_is_gets_no_request(tmp_path, monkeypatch, host):
    trusted, _ = make_certificate(tmp_path / "trusted", "127.0.0.1")
    file, context = make_certificate(tmp_path / "used", host)
    # One whose name is another is trusted as such, but is not the one that was asked for.
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted if host == "127.0.0.1" else file))
    async with make_http_client(SOON) as client, run_server(say_hello, context) as server:
        with pytest.raises(httpx2.ConnectError, match="certificate"):
            await client.get(server.url("https"))
        assert server.requests == []


async def test_proxies_of_the_environment_are_used_where_they_are_wanted(monkeypatch):
    async def reply(connection):
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nproxy")

    async with run_server(reply) as proxy, run_server(say_hello) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:pass@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        async with make_http_client(SOON) as client:
            assert (await client.get("http://vendor.example/v1")).text == "proxy"
            assert (await client.get(server.url())).text == "hello"
        (seen,) = proxy.requests
        assert seen.head.startswith(b"GET http://vendor.example/v1 HTTP/1.1\r\n")
        assert b"proxy-authorization: basic dxnlcjpwyxnz" in seen.head.lower()
