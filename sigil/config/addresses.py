"""Network addresses: what is loopback, how this machine reaches a server, which port is free.

A server may listen on a *wildcard* address, which means "every interface of this machine". A
client cannot connect to a wildcard, so clients on this machine use the loopback address instead:

    gateway.host: 0.0.0.0  →  http://127.0.0.1:8787
    gateway.host: "::"     →  http://[::1]:8787
"""

from __future__ import annotations

import ipaddress
import socket

_LOOPBACK_OF_WILDCARD = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared, not bound


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine alone.

    A dual-stack server sees an IPv4 client as `::ffff:127.0.0.1`, which counts as loopback too.
    """
    host = host.strip("[]")
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def is_wildcard(host: str) -> bool:
    """Whether a server that listens on this address listens on every interface."""
    return host in _LOOPBACK_OF_WILDCARD


def local_host(host: str) -> str:
    """The address by which this machine reaches a server that listens on `host`."""
    return _LOOPBACK_OF_WILDCARD.get(host, host)


def local_url(host: str, port: int) -> str:
    """The URL by which this machine reaches a server on `host` and `port`; no slash at its end."""
    host = local_host(host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def bind_socket(host: str, port: int) -> socket.socket:
    """Binds a TCP socket to the address, ready to listen; port 0 takes any free port.

    Raises `OSError` if the host is not an address of this machine or the port is taken.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        # Otherwise a port stays taken for a minute after the server on it has stopped.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def find_free_port(host: str, port: int) -> int:
    """Returns the port if a server could listen on it, or any free port for 0.

    Nothing holds the port afterwards: another process may still take it. Raises `OSError`.
    """
    with bind_socket(host, port) as probe:
        return int(probe.getsockname()[1])
