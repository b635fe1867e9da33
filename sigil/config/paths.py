"""Paths of keys through nested data, as in `workspaces.lab.bindings[0]`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

KeyPath = tuple[str | int, ...]
"""Names of keys and positions in lists, from the top: `("workspaces", "lab", "bindings", 0)`."""


def format_path(path: Iterable[str | int]) -> str:
    """`("bindings", 0, "channel")` as people write it: `bindings[0].channel`."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        else:
            out += f".{part}" if out else part
    return out


def is_below(path: KeyPath, roots: Iterable[KeyPath]) -> bool:
    """Whether the path is one of the roots or below one."""
    return any(path[: len(root)] == root for root in roots)


def sort_key(path: KeyPath) -> tuple[tuple[bool, str | int], ...]:
    """A key to sort paths by. Python cannot compare names with positions, so each part says
    which of the two it is."""
    return tuple((isinstance(part, str), part) for part in path)


def put_value(data: dict[str, Any], path: KeyPath, value: Any) -> None:
    """Puts a value at the path and makes the mappings on the way to it.

    Does nothing if something other than a mapping is in the way: the validation reports it.
    """
    *parents, last = path
    for key in parents:
        below = data.get(str(key))
        if below is None:
            below = data[str(key)] = {}
        if not isinstance(below, dict):
            return
        data = below
    data[str(last)] = value


def remove_value(data: Any, path: KeyPath) -> None:
    """Removes what is at the path, or the nearest thing around it that exists."""
    for depth, key in enumerate(path):
        last = depth == len(path) - 1
        below = _get_value(data, key)
        following = None if last else _get_value(below, path[depth + 1])
        if last or following is None:
            if isinstance(data, dict):
                data.pop(key, None)
            elif isinstance(data, list) and isinstance(key, int) and key < len(data):
                del data[key]
            return
        data = below


def _get_value(data: Any, key: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(key)
    if isinstance(data, list) and isinstance(key, int) and key < len(data):
        return data[key]
    return None
