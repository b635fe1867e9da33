"""Prints what commands say: tables on a terminal, tab-separated lines in a pipe, JSON."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from sigil.errors import SigilError, StoreError

# What can move the cursor, change the terminal, or write backwards.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# How a cell with this word looks on a terminal.
_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def print_line(text: str) -> None:
    """Prints lines on stdout. What could control the terminal comes out escaped."""
    sys.stdout.write(f"{escape_lines(text)}\n")


def print_warning(text: str) -> None:
    """The same on stderr."""
    sys.stderr.write(f"{escape_lines(text)}\n")


def print_json(data: Any) -> None:
    """Prints the data as JSON: indented on a terminal, on one line in a pipe."""
    indent = 2 if sys.stdout.isatty() else None
    lines = json.dumps(data, indent=indent, ensure_ascii=False, default=str).split("\n")
    print_line("\n".join(_CONTROL.sub(_escape_in_json, line) for line in lines))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints rows under the names of their columns. Control characters come out escaped."""
    cells = [[escape_controls(str(cell)) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in [list(columns), *cells]:
            print_line("\t".join(row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column, sample in zip(columns, cells[0] if cells else columns, strict=True):
        numeric = sample.isdecimal()
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        # As Text, so that rich does not read brackets in a cell as markup.
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    Console().print(table)


def print_pairs(data: Mapping[str, object]) -> None:
    """Prints names and values, one pair to a line."""
    width = max(map(len, data), default=0)
    for name, value in data.items():
        print_line(f"{name:<{width}}  {escape_controls(str(value))}")


def print_error(error: SigilError) -> None:
    """Prints the error on stderr, with its hint on what to do next. A part of it may have come from
    a server, so control characters come out escaped."""
    text = str(error)
    if isinstance(error, StoreError) and error.hint is None:
        text += " `sigil doctor` looks into it."
    print_warning(f"error: {text}")


def print_json_error(error: SigilError) -> None:
    """Prints the error on stdout, as the HTTP API tells it: with `code`, `message` and `hint`."""
    print_json({"error": {"code": error.code, "message": error.message, "hint": error.hint}})


def _escape_in_json(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def escape_controls(text: str) -> str:
    """The text on one line, and without what could control a terminal."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def escape_lines(text: str) -> str:
    """The same for a text of several lines."""
    return re.sub(r"[^\n\t]+", lambda match: escape_controls(match[0]), text)
