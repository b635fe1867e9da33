"""Options of Celery's worker command that Sigil's workers cannot follow."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

POOL = "workers.pool:LoopPool"

_POOL = "Sigil's workers bring their own pool: leave out -P (--pool) and worker_pool."
_TIME_LIMITS = (
    "Sigil keeps deadlines itself: set timeouts.turn in sigil.yaml and leave out --time-limit and "
    "--soft-time-limit."
)
_AUTOSCALE = (
    "A Sigil worker has a fixed number of slots: set workers.ROLE.concurrency in sigil.yaml or "
    "--concurrency and leave out --autoscale."
)
_CHILDREN = (
    "A Sigil worker has no child processes to replace: leave out --max-tasks-per-child and "
    "--max-memory-per-child, and let a supervisor restart the worker."
)


def check_options(worker: Any) -> None:
    """Raises `SystemExit` with a sentence that says what to do. `worker` is Celery's, with its
    options read."""
    if _names_another_pool(worker):
        raise SystemExit(_POOL)
    if worker.time_limit or worker.soft_time_limit:
        raise SystemExit(_TIME_LIMITS)
    if worker.options.get("autoscale"):
        raise SystemExit(_AUTOSCALE)
    if worker.max_tasks_per_child or worker.max_memory_per_child:
        raise SystemExit(_CHILDREN)


def _names_another_pool(worker: Any) -> bool:
    pool = worker.pool_cls
    name = pool if isinstance(pool, str) else f"{pool.__module__}:{pool.__qualname__}"
    if name != POOL:
        return True
    # Celery takes `-P prefork` for "the configured pool", so the name alone does not tell.
    command = click.get_current_context(silent=True)
    return (
        command is not None and command.get_parameter_source("pool") is ParameterSource.COMMANDLINE
    )
