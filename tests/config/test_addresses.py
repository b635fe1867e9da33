"""Loopback, wildcards and free ports."""

import socket

import pytest

from sigil.config.addresses import find_free_port, is_loopback, local_url


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.8.9.1", "localhost", "LocalHost", "::1", "[::1]", "::ffff:127.0.0.1"],
)
def test_this_machine_alone_reaches_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "::", "192.0.2.1", "localhost.example", "::ffff:192.0.2.1", "127.0.0.1.nip.io"],
)
def test_anything_else_is_not_loopback(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8787"),
        ("::", "http://[::1]:8787"),
        ("192.0.2.1", "http://192.0.2.1:8787"),
        ("2001:db8::1", "http://[2001:db8::1]:8787"),
        ("localhost", "http://localhost:8787"),
    ],
)
def test_a_server_is_called_at_an_address_that_can_be_called(host, url):
    assert local_url(host, 8787) == url


def test_a_port_is_free_or_it_is_an_error():
    port = find_free_port("127.0.0.1", 0)
    assert find_free_port("127.0.0.1", port) == port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            find_free_port("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(OSError, match="assign"):
        find_free_port("192.0.2.1", 0)
