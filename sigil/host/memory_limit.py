"""How much memory the private Valkey may use, if the configuration does not say."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_SHARE = 4
LEAST = 256 * 1024 * 1024
# A container's own limit, in the two versions of control groups. Without a limit the first says
# `max`, and the second a number that no machine has.
_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def choose_maxmemory() -> int:
    """A quarter of the memory of this machine or container, in bytes: the rest is for the workers,
    and for the copy that Valkey makes while it rewrites its log. 0, which is no limit, where
    nobody says how much memory there is."""
    limits = [limit for limit in (_read_machine(), *map(_read_limit, _LIMITS)) if limit]
    return max(LEAST, min(limits) // _SHARE) if limits else 0


def _read_machine() -> int:
    with contextlib.suppress(ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 0


def _read_limit(file: Path) -> int:
    with contextlib.suppress(ValueError, OSError):
        return int(file.read_text())
    return 0
