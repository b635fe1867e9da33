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
    """Prints one line on stdout, as it is."""
    sys.stdout.write(f"{text}\n")


def print_json(data: Any) -> None:
    """Prints the data as JSON: indented on a terminal, on one line in a pipe."""
    indent = 2 if sys.stdout.isatty() else None
    print_line(json.dumps(data, indent=indent, ensure_ascii=False, default=str))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints rows under the names of their columns. Control characters come out escaped."""
    cells = [[_escape_controls(str(cell)) for cell in row] for row in rows]
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
        print_line(f"{name:<{width}}  {_escape_controls(str(value))}")


def print_error(error: SigilError) -> None:
    """Prints the error on stderr, with its hint on what to do next. A part of it may have come from
    a server, so control characters come out escaped."""
    text = "\n".join(map(_escape_controls, str(error).split("\n")))
    if isinstance(error, StoreError) and error.hint is None:
        text += " `sigil doctor` looks into it."
    sys.stderr.write(f"error: {text}\n")


def print_json_error(error: SigilError) -> None:
    """Prints the error on stdout, as the HTTP API tells it: with `code`, `message` and `hint`."""
    print_json({"error": {"code": error.code, "message": error.message, "hint": error.hint}})


def _escape_controls(text: str) -> str:
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
