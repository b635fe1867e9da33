"""The table of processes that `sigil status` shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sigil.cli.output import print_line, print_table
from sigil.lanes.fleet import describe_left_lanes, describe_silence

if TYPE_CHECKING:
    from sigil.lanes.fleet import ProcessRecord


def print_processes(processes: Sequence[ProcessRecord]) -> None:
    """Prints the processes that live, then a line for each that is silent, and for each that is too
    old for what lies in its lanes."""
    columns = ("role", "process", "version", "configuration", "slots", "in use", "running for")
    live = [each for each in processes if each.is_live]
    if live:
        print_table(columns, [_make_row(each) for each in live])
    else:
        print_line("No process is running.")
    for each in processes:
        if not each.is_live:
            print_line(f"{describe_silence(each)}.")
    for each in live:
        if each.left_lanes:
            print_line(f"{describe_left_lanes(each)}.")


def _make_row(process: ProcessRecord) -> tuple[object, ...]:
    slots = (process.slots, process.slots_in_use) if process.is_worker else ("-", "-")
    return (
        "+".join(process.roles),
        process.place,
        process.version,
        process.configuration,
        *slots,
        describe_time(process.uptime + process.silence),
    )


def describe_time(seconds: float) -> str:
    """A length of time, in one unit."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86_400:.0f} d"
