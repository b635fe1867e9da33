"""Tools as every vendor takes them: their names, their schemas, and how many calls are bearable."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sigil.messages.conversation import ToolDefinition

MAX_TOOL_CALLS = 128
"""Calls in one answer."""

MAX_ARGUMENT_CHARS = 1_000_000
"""Characters of JSON in the arguments of one call."""

_MAX_NAME = 64
_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_-]")


class ToolNames:
    """Translates the names of a request's tools into names that every vendor takes, and back.

    Vendors take at most 64 letters, digits, `_` and `-`, and want a letter or `_` in front. If
    the new name of one tool is taken by another, it gets a number.
    """

    def __init__(self, tools: Iterable[ToolDefinition]) -> None:
        self._names: dict[str, str] = {}
        for tool in tools:
            self.to_wire(tool.name)

    def to_wire(self, name: str) -> str:
        """The name that the vendor is given."""
        known = next((wire for wire, own in self._names.items() if own == name), None)
        if known is not None:
            return known
        plain = _FORBIDDEN.sub("_", name)
        if not plain or not (plain[0].isalpha() or plain[0] == "_"):
            plain = f"_{plain}"
        wire = plain = plain[:_MAX_NAME]
        number = 1
        while wire in self._names:
            number += 1
            wire = f"{plain[: _MAX_NAME - len(str(number)) - 1]}_{number}"
        self._names[wire] = name
        return wire

    def from_wire(self, wire: str) -> str:
        """The tool's own name. A name that the vendor made up is returned as it is."""
        return self._names.get(wire, wire)


def complete_schema(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A tool's parameters with the two fields that vendors insist on: `type`, and `properties`,
    which may be empty."""
    schema = dict(parameters)
    return {"type": "object", **schema, "properties": schema.get("properties") or {}}
