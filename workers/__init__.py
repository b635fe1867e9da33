"""Celery for Sigil: carries wake-ups to worker pools and holds no state.

    app        the Celery app and a worker's life   routing agent outbound   one task each
    pool       runs tasks on the event loop         queues   which task works on which lane
    runtime    the event loop, and its steps        wakeup   how a wake-up is written
    publisher  sends wake-ups                       broker   where Redis is

`celery -A workers …` finds the app here. It is made on first use, so that a process that only
sends wake-ups (the gateway) does not load Celery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery

    celery: Celery


def __getattr__(name: str) -> Any:
    if name == "celery":
        from workers.app import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
