"""The Celery app, and the life of a worker process as Celery signals it.

    celeryd_init ─▶ worker_init ─▶ worker_ready ─▶ worker_shutting_down ─▶ worker_shutdown
    settings, logs  the runtime    heartbeat,      the drain starts        the runtime ends
                    starts         Unix signals

`sigil worker agent` and `celery -A workers worker -Q sigil.agent` do the same: the role follows
from the queues, everything else from Sigil's configuration.
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

import celeryconfig
from sigil.bootstrap import build
from sigil.config import Settings, load_settings
from sigil.errors import ConfigError, SigilError
from sigil.host import logs
from sigil.host.heartbeat import Heartbeat
from sigil.host.process import Process
from sigil.host.record import RecordKeeper
from workers import broker, runtime, transport
from workers.options import check_options
from workers.publisher import wakeups
from workers.queues import Queue
from workers.wakeup import MOST_TOGETHER

log = structlog.get_logger(__name__)

_settings: dict[str | None, Settings] = {}


def _get_settings(role: str | None) -> Settings:
    """The settings that `serve` was given, else those that load now. Ends the process if loading
    fails, since the `celery` command cannot handle a `ConfigError`."""
    if role not in _settings:
        try:
            _settings[role] = load_settings(role=role)
        except ConfigError as error:
            raise SystemExit(str(error)) from None
    return _settings[role]


def _get_any_settings() -> Settings:
    """For what does not depend on the role. Routing's settings hold the fewest secrets: only the
    broker's."""
    return next(iter(_settings.values()), None) or _get_settings("routing")


def _configure_broker() -> dict[str, Any]:
    settings = _get_any_settings()
    try:
        return {
            "broker_url": broker.url(settings),
            "broker_transport_options": broker.transport_options(settings),
        }
    except SigilError as error:
        raise SystemExit(str(error)) from None


transport.install()
app = Celery("sigil")
# Given as a module: by a name, Celery would look in the current folder first.
app.config_from_object(celeryconfig)
app.add_defaults(_configure_broker)


def find_role(queues: Sequence[str] | None) -> str | None:
    """The role that serves these queues. None for a worker that serves several roles."""
    roles = list_roles(queues)
    return roles[0] if len(roles) == 1 else None


def list_roles(queues: Sequence[str] | None) -> list[str]:
    """The roles that serve these queues; all of them if none is named."""
    return sorted({Queue(queue).role for queue in queues or Queue})


def serve(settings: Settings, role: str, *, concurrency: int | None = None) -> int:
    """Runs a worker of a role in this process until it is stopped. Returns its exit code."""
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
def _configure_worker(conf: Any, options: dict[str, Any], **_: Any) -> None:
    role = find_role(options.get("queues"))
    settings = _get_settings(role)
    if role is not None:
        conf.worker_concurrency = getattr(settings.workers, role).concurrency
    _set_up_logs(settings, role)
    roles = list_roles(options.get("queues"))
    record = RecordKeeper(settings, roles, wakeup_lanes=MOST_TOGETHER)
    runtime.current = _create_runtime(settings, role, record)


def _create_runtime(settings: Settings, role: str | None, record: RecordKeeper) -> runtime.Runtime:
    publisher = wakeups(settings)

    def create_process() -> Process:
        gateway = build(settings, wakeups=publisher)
        if role in {None, "agent"}:
            gateway.load_agent()
        return Process(gateway, settings)

    return runtime.Runtime(
        create_process,
        shows_turns=role in {None, "outbound"},
        grace=settings.timeouts.grace,
        heartbeat=Heartbeat(settings, role) if role else None,
        record=record,
        on_end=publisher.close,
    )


@signals.setup_logging.connect
def _configure_logs(**_: Any) -> None:
    if runtime.current is None:  # Flower or another command; a worker has set its logs up already
        _set_up_logs(_get_any_settings(), None)


def _set_up_logs(settings: Settings, role: str | None) -> None:
    logs.setup(settings, role=role)
    if settings.logging.level != "DEBUG":  # Celery logs two lines for every wake-up
        for name in ("celery.worker.strategy", "celery.app.trace"):
            logging.getLogger(name).setLevel(logging.WARNING)


@signals.worker_init.connect
def _start_runtime(sender: Any, **_: Any) -> None:
    check_options(sender)
    if runtime.current is not None:
        try:
            runtime.current.start()
        except SigilError as error:
            raise SystemExit(str(error)) from None


@signals.worker_ready.connect
def _take_over_signals(sender: Any, **_: Any) -> None:
    """Ctrl-C stops the worker as SIGTERM does. A second one of either, or SIGQUIT, does not wait
    for running steps.

    Celery's own handler for a second Ctrl-C waits for the pool inside the signal handler, and
    from there nobody can hand back what the pool is waiting for.
    """
    if runtime.current is not None:
        pool = sender.pool
        runtime.current.mark_ready(lambda: (pool.limit, pool.in_hand))
    stop = signal.getsignal(signal.SIGTERM)
    assert callable(stop)

    def stop_now(number: int, frame: FrameType | None) -> None:
        if runtime.current is not None:
            runtime.current.stop_soon(hurry=True)
        stop(number, frame)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGQUIT, stop_now)


@signals.worker_shutting_down.connect
def _start_drain(**_: Any) -> None:
    if runtime.current is not None:
        runtime.current.stop_soon()


@signals.worker_shutdown.connect
def _end_runtime(**_: Any) -> None:
    if runtime.current is not None:
        runtime.current.stop()
