"""The Celery app, and a worker process's life from its first signal to its last.

`sigil worker agent` and `celery -A workers worker -Q sigil.agent` are the same: the role
follows from the queues, the rest from Sigil's configuration.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Sequence
from types import FrameType
from typing import Any

import structlog
from celery import Celery, signals

from sigil import logs
from sigil.bootstrap import build
from sigil.config import Settings, load_settings
from sigil.errors import ConfigError, SigilError
from sigil.host.heartbeat import Heartbeat
from sigil.process import Process
from workers import broker, runtime
from workers.publisher import wakeups
from workers.queues import Queue

log = structlog.get_logger(__name__)

_settings: dict[str | None, Settings] = {}


def _settings_of(role: str | None) -> Settings:
    """What this process was given, or reads for itself. Ends the process if that fails: the
    `celery` command knows no `ConfigError`."""
    if role not in _settings:
        try:
            _settings[role] = load_settings(role=role)
        except ConfigError as error:
            raise SystemExit(str(error)) from None
    return _settings[role]


def _any_settings() -> Settings:
    """For what does not depend on the role; those of routing hold no secrets but the broker's."""
    return next(iter(_settings.values()), None) or _settings_of("routing")


def _broker() -> dict[str, Any]:
    settings = _any_settings()
    try:
        return {
            "broker_url": broker.url(settings),
            "broker_transport_options": broker.transport_options(settings),
        }
    except ConfigError as error:
        raise SystemExit(str(error)) from None


app = Celery("sigil")
app.config_from_object("celeryconfig")
app.add_defaults(_broker)


def role_of(queues: Sequence[str] | None) -> str | None:
    """The role that serves these queues; None for a worker that serves several."""
    roles = {Queue(queue).role for queue in queues or Queue}
    return roles.pop() if len(roles) == 1 else None


def serve(settings: Settings, role: str, *, concurrency: int | None = None) -> int:
    """Runs a worker of a role in this process until it is stopped; returns its exit code."""
    _settings[role] = settings
    worker = app.Worker(
        hostname=f"{role}-{os.getpid()}@{socket.gethostname()}",
        queues=[Queue(f"sigil.{role}").value],
        concurrency=concurrency,
        quiet=True,
    )
    worker.start()
    return worker.exitcode or 0


@signals.celeryd_init.connect
def _prepare(conf: Any, options: dict[str, Any], **_: Any) -> None:
    role = role_of(options.get("queues"))
    settings = _settings_of(role)
    if role is not None:
        conf.worker_concurrency = getattr(settings.workers, role).concurrency
    _set_up_logs(settings, role)
    runtime.current = _runtime(settings, role)


def _runtime(settings: Settings, role: str | None) -> runtime.Runtime:
    publisher = wakeups(settings)

    def make() -> Process:
        gateway = build(settings, wakeups=publisher)
        if role in {None, "agent"}:
            gateway.load_agent()
        return Process(gateway, settings)

    return runtime.Runtime(
        make,
        grace=settings.timeouts.grace,
        heartbeat=Heartbeat(settings, role) if role else None,
        on_end=publisher.close,
    )


@signals.setup_logging.connect
def _log(**_: Any) -> None:
    if runtime.current is None:  # Flower or another command; a worker knows its role by now
        _set_up_logs(_any_settings(), None)


def _set_up_logs(settings: Settings, role: str | None) -> None:
    logs.setup(settings, role=role)
    if settings.logging.level != "DEBUG":  # two lines for every wake-up are too many
        for name in ("celery.worker.strategy", "celery.app.trace"):
            logging.getLogger(name).setLevel(logging.WARNING)


@signals.worker_init.connect
def _start(**_: Any) -> None:
    if runtime.current is not None:
        try:
            runtime.current.start()
        except SigilError as error:
            raise SystemExit(str(error)) from None


@signals.worker_ready.connect
def _on_ready(**_: Any) -> None:
    """A first Ctrl-C stops as SIGTERM does; the second of either, or SIGQUIT, does not wait.

    Celery's own handling of a second Ctrl-C waits for the pool inside the signal handler,
    where nothing can hand back what the pool waits for.
    """
    if runtime.current is not None:
        runtime.current.ready()
    stop = signal.getsignal(signal.SIGTERM)
    assert callable(stop)

    def stop_now(number: int, frame: FrameType | None) -> None:
        if runtime.current is not None:
            runtime.current.stop_soon(hurry=True)
        stop(number, frame)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGQUIT, stop_now)


@signals.worker_shutting_down.connect
def _on_stop(**_: Any) -> None:
    if runtime.current is not None:
        runtime.current.stop_soon()


@signals.worker_shutdown.connect
def _on_end(**_: Any) -> None:
    if runtime.current is not None:
        runtime.current.stop()
