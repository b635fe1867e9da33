"""What `sigil doctor` says of the processes of Sigil, on all machines, and of their queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sigil.cli.finding import Finding
from sigil.lanes.fleet import (
    MOST_WAKEUPS_WAITING,
    describe_left_lanes,
    describe_missing,
    describe_silence,
    find_missing_roles,
)

if TYPE_CHECKING:
    from sigil.lanes.effects import Stage
    from sigil.lanes.fleet import ProcessRecord


def check_fleet(
    processes: Sequence[ProcessRecord], backlogs: Mapping[Stage, int], blob_store: str
) -> Iterator[Finding]:
    """The findings, given the records of all processes, the wake-ups that wait by stage, and
    `blobs.store`."""
    live = [process for process in processes if process.is_live]
    if blob_store == "file":
        yield from _check_file_store(live)
    yield from _list_roles(live)
    for process in processes:
        if not process.is_live:
            advice = "If it still runs, look at its log, then end it and start it again."
            yield Finding("processes", "warn", describe_silence(process), advice)
    yield from _compare_versions(live)
    for process in live:
        if process.left_lanes:
            advice = "Finish the upgrade: start newer processes of its roles, and end this one."
            yield Finding("processes", "warn", describe_left_lanes(process), advice)
    for stage, waiting in backlogs.items():
        if waiting > MOST_WAKEUPS_WAITING:
            detail = f"{waiting} wait for the stage '{stage}': its workers are behind"
            advice = "Start more workers, or give them more slots; `sigil status` shows both."
            yield Finding("wake-ups", "warn", detail, advice)


def _check_file_store(live: Sequence[ProcessRecord]) -> Iterator[Finding]:
    hosts = sorted({process.host for process in live})
    if len(hosts) > 1:
        detail = f"is file, which works on one machine, but Sigil runs on {', '.join(hosts)}"
        advice = "Files that come in do not reach the other roles. Set blobs.store to redis."
        yield Finding("blobs.store", "fail", detail, advice)


def _list_roles(live: Sequence[ProcessRecord]) -> Iterator[Finding]:
    if not live:
        yield Finding("processes", "warn", "none is running", "Start Sigil, e.g. by `sigil up`.")
        return
    counts = Counter("+".join(process.roles) for process in live)
    running = ", ".join(f"{count} {roles}" for roles, count in counts.items())
    yield Finding("processes", "ok", f"running: {running}")
    for role in find_missing_roles(live):
        advice = f"Start one: `sigil worker {role}`."
        yield Finding("processes", "warn", describe_missing(role), advice)


def _compare_versions(live: Sequence[ProcessRecord]) -> Iterator[Finding]:
    """Configurations are compared within a version: another one may read the same file
    differently."""
    versions = _group(live, lambda process: process.version)
    records = _group(live, lambda process: str(process.records))
    advice = "Finish the upgrade: restart the older ones."
    if len(versions) > 1:
        yield _describe_sides("versions", versions, advice)
    elif len(records) > 1:  # unreleased versions of one name
        yield _describe_sides("versions of records", records, advice)
    for same_version in versions.values():
        configurations = _group(same_version, lambda process: process.configuration)
        if len(configurations) > 1:
            advice = "Give all of them the same sigil.yaml and variables, then restart them."
            yield _describe_sides("configurations", configurations, advice)


def _group(
    processes: Sequence[ProcessRecord], read: Callable[[ProcessRecord], str]
) -> dict[str, list[ProcessRecord]]:
    groups: dict[str, list[ProcessRecord]] = {}
    for process in processes:
        groups.setdefault(read(process), []).append(process)
    return groups


def _describe_sides(
    what: str, sides: Mapping[str, Sequence[ProcessRecord]], advice: str
) -> Finding:
    text = "; ".join(f"{name}: {', '.join(map(str, side))}" for name, side in sides.items())
    return Finding("processes", "warn", f"different {what} work side by side: {text}", advice)
