"""The reference: a Celery app with three empty tasks, each on its own queue."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from celery import Celery

app = Celery("raw", broker=os.environ.get("RAW_BROKER", "memory://"))
app.conf.update(
    task_ignore_result=True,
    task_acks_late=False,
    accept_content=["json"],
    worker_pool="threads",
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    task_routes={f"raw.{name}": {"queue": f"raw.{name}"} for name in ("a", "b", "c")},
)

_ended = 0


@app.task(name="raw.a")
def a(*_: Any) -> None:
    """Empty."""


@app.task(name="raw.b")
def b(*_: Any) -> None:
    """Empty."""


@app.task(name="raw.c")
def c(word: str = "") -> None:
    """Empty, but for the count of chains that tells the benchmark when all have ended. With a
    word it notes the time instead."""
    global _ended
    if word:
        with open(os.environ["BENCH_TIMES"], "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(f"ended {time.monotonic()} {word}\n")
        return
    _ended += 1
    if _ended % 100 == 0:
        path = Path(os.environ["RAW_DONE"])
        path.with_suffix(".new").write_text(str(_ended))
        path.with_suffix(".new").replace(path)
