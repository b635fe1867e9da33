"""One safeguard switched off, inside a process of the chaos run and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sigil.gateway import Gateway
from sigil.lanes.leases import LeaseKeeper
from sigil.stores.redis import client


def _edit_scripts(pattern: str, replacement: str, *names: str) -> None:
    original = client.script_text

    def script_text(name: str) -> str:
        text = original(name)
        if name not in names:
            return text
        edited, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        assert count == 1, f"{pattern} was found {count} times in {name}.lua"
        return edited

    for name in names:
        script_text(name)
    client.script_text = script_text


def _without_check(comment: str, script: str) -> None:
    _edit_scripts(rf"^.*-- check: {comment}$", "", script)


def _no_fence() -> None:
    _without_check("fence", "commit")


def _no_last_commit() -> None:
    _without_check("last commit", "commit")


def _no_duplicates() -> None:
    # The one question that push.lua and the push effect both ask.
    was_pushed = r"^(local function was_pushed\(.*\))$"
    _edit_scripts(was_pushed, r"\1 if true then return false end", "push", "commit")


def _no_sweep() -> None:
    async def recover(self: Any) -> None:
        return None

    Gateway.recover = recover  # type: ignore[method-assign]


def _no_renewal() -> None:
    def tick(self: Any) -> None:
        return None

    LeaseKeeper._tick = tick  # type: ignore[method-assign]


MUTATIONS: dict[str, Callable[[], None]] = {
    "fence": _no_fence,
    "duplicate": _no_duplicates,
    "last-commit": _no_last_commit,
    "sweep": _no_sweep,
    "renewal": _no_renewal,
}


def apply(name: str) -> None:
    """Switches the safeguard off in this process; an empty name changes nothing."""
    if name:
        MUTATIONS[name]()
