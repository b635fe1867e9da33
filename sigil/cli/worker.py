"""`sigil worker ROLE`."""

from __future__ import annotations

from sigil.config import Settings
from sigil.errors import ConfigError


def run(
    settings: Settings, role: str, *, check: bool = False, concurrency: int | None = None
) -> int:
    """Runs a worker of `role` until it is stopped, or with `check` says whether one lives on
    this machine; returns the exit code. Raises `ConfigError`."""
    if check:
        return _check(settings, role)
    from workers import broker
    from workers.app import serve

    broker.url(settings)  # a broker that cannot be found is better said here than in a traceback
    return serve(settings, role, concurrency=concurrency)


def _check(settings: Settings, role: str) -> int:
    from sigil.host.heartbeat import alive

    if not alive(settings, role):
        raise ConfigError(f"No {role} worker on this machine shows life.")
    return 0
