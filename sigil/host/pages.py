"""Asks an HTTP server on this machine whether it is up, without an HTTP library."""

from __future__ import annotations

import http.client

_MAX_BYTES = 1024


def fetch_page(host: str, port: int, path: str, *, timeout: float) -> tuple[int, bytes] | None:
    """The status and the beginning of the body, or None if no HTTP server answers in time."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(_MAX_BYTES)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
