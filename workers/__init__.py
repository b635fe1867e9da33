"""Celery for Sigil: carries wake-ups to worker pools and holds no state.

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
