"""`sigil gateway`."""

from __future__ import annotations

from sigil.config import Settings


def run(settings: Settings) -> None:
    """Runs the gateway process until it is stopped. Raises `ConfigError` or `StoreError`."""
    from sigil.web import server
    from workers.publisher import wakeups

    publisher = wakeups(settings)
    try:
        server.run(settings, publisher)
    finally:
        publisher.close()
