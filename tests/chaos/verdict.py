"""What is to be true after a run, found out from what the run left behind."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sigil.agent import wording
from sigil.errors import MessageInvalid
from sigil.messages.exchange import InboundMessage
from sigil.stores import Stores
from sigil.stores.redis.client import Client
from tests.chaos.peers import is_deadly

# Events of the workers' logs that no fault from outside may bring about.
BUGS = frozenset(
    {
        "work on the lane failed",
        "task failed",
        "message not delivered",
        "event loop failed",
    }
)


@dataclass(frozen=True)
class Evidence:
    """`accepted`: texts by session, in the order of acceptance. `asked` and `answered`: the
    history's user and assistant texts by session. `dead`: texts of the dead letters. `sends`:
    (chunk id, text) of each platform call, in order; for an apology it is the text of the message
    that was given up. `tries`: by chunk id, how often sending was begun. `totals`: the ledger."""

    accepted: Mapping[str, Sequence[str]]
    asked: Mapping[str, Sequence[str]]
    answered: Mapping[str, Sequence[str]]
    sends: Sequence[tuple[str, str]]
    tries: Mapping[str, int]
    dead: Sequence[str] = ()
    totals: Mapping[str, int] = field(default_factory=dict)
    unbalanced: Sequence[str] = ()
    bugs: Sequence[str] = ()


@dataclass
class Verdict:
    """All but `repeated_sends` must be zero, and `problems` empty; a repeated call of the
    platform is in order where the fate of the one before was unknown."""

    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    undelivered: int = 0
    repeated_sends: int = 0
    problems: list[str] = field(default_factory=list)


def judge(evidence: Evidence) -> Verdict:
    verdict = Verdict(problems=[*evidence.unbalanced, *evidence.bugs])
    first_sent = _first_sends(evidence.sends)
    _judge_sessions(evidence, first_sent, verdict)
    _judge_sends(evidence, verdict)
    _judge_dead(evidence, verdict)
    _judge_totals(evidence, verdict)
    for name in ("lost", "duplicated", "reordered", "undelivered"):
        if count := getattr(verdict, name):
            verdict.problems.append(f"{count} messages {name}")
    return verdict


def _first_sends(sends: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Texts by session, in the order in which each chunk first reached the platform."""
    seen: set[str] = set()
    found: dict[str, list[str]] = defaultdict(list)
    for chunk, text in sends:
        if chunk not in seen:
            seen.add(chunk)
            found[text.partition(" ")[0]].append(text)
    return found


def _judge_sessions(
    evidence: Evidence, first_sent: Mapping[str, Sequence[str]], verdict: Verdict
) -> None:
    sessions = evidence.accepted.keys() | evidence.asked.keys() | first_sent.keys()
    for session in sorted(sessions):
        accepted = evidence.accepted.get(session, ())
        asked = evidence.asked.get(session, ())
        answered = evidence.answered.get(session, ())
        sent = first_sent.get(session, ())
        innocent = {text for text in accepted if not is_deadly(text)}
        verdict.lost += len(innocent - (set(asked) & set(answered)) - set(evidence.dead))
        ended = set(answered) | set(evidence.dead)
        verdict.undelivered += len((set(accepted) & ended) - set(sent))
        verdict.duplicated += max(map(_doubles, (asked, answered, sent)))
        order = {text: place for place, text in enumerate(accepted)}
        verdict.reordered += max(_inversions(texts, order) for texts in (asked, answered, sent))
        if strange := (set(asked) | set(answered) | set(sent)) - set(accepted):
            verdict.problems.append(f"{session}: nobody wrote {sorted(strange)[:3]}")


def _doubles(texts: Sequence[str]) -> int:
    return len(texts) - len(set(texts))


def _inversions(texts: Sequence[str], order: Mapping[str, int]) -> int:
    places = [order[text] for text in dict.fromkeys(texts) if text in order]
    return sum(later < earlier for earlier, later in itertools.pairwise(places))


def _judge_sends(evidence: Evidence, verdict: Verdict) -> None:
    calls = Counter(chunk for chunk, _ in evidence.sends)
    verdict.repeated_sends = sum(count - 1 for count in calls.values())
    wrong = [chunk for chunk, count in calls.items() if count > evidence.tries.get(chunk, 0)]
    if wrong:
        verdict.problems.append(
            f"{len(wrong)} chunks were sent again although their fate was known: {wrong[:3]}"
        )


def _judge_totals(evidence: Evidence, verdict: Verdict) -> None:
    accepted = list(itertools.chain(*evidence.accepted.values()))
    deadly = sum(map(is_deadly, accepted))
    everything = dict.fromkeys(("accepted", "replies", "sent"), len(accepted))
    expected = Counter(everything, answered=len(accepted) - deadly, dead=deadly)
    for name in (*expected, "failed", "refused", "stopped", "undelivered"):
        if (count := evidence.totals.get(name, 0)) != expected[name]:
            verdict.problems.append(f"the ledger counts {count} {name}, not {expected[name]}")


def _judge_dead(evidence: Evidence, verdict: Verdict) -> None:
    deadly = Counter(filter(is_deadly, itertools.chain(*evidence.accepted.values())))
    dead = Counter(evidence.dead)
    if innocent := sorted((dead - deadly).elements()):
        verdict.problems.append(f"given up, and ended no process: {innocent[:3]}")
    if alive := sorted((deadly - dead).elements()):
        verdict.problems.append(f"ended processes, and was not given up: {alive[:3]}")


async def gather(
    stores: Stores, accepted: Mapping[str, Sequence[str]], platform: Path, logs: Iterable[Path]
) -> Evidence:
    """Reads what the run left in the store, at the platform and in the logs."""
    client = stores.backend
    assert isinstance(client, Client)
    asked, answered = await _histories(client)
    sends = _read_sends(platform, accepted)
    totals: Counter[str] = Counter()
    for day in (await stores.lanes.counts()).values():
        totals.update(day)
    report = await stores.lanes.verify(deep=True)
    return Evidence(
        accepted=accepted,
        asked=asked,
        answered=answered,
        dead=await _find_dead(stores),
        sends=sends,
        tries=await _tries(client, {chunk for chunk, _ in sends}),
        totals=totals,
        unbalanced=[] if report["balanced"] else [f"verify: {p}" for p in report["problems"][:5]],
        bugs=_bugs(logs),
    )


def _read_sends(platform: Path, accepted: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """A session has one deadly message at most, and an apology belongs to that."""
    deadly = {chat: next(filter(is_deadly, texts), "") for chat, texts in accepted.items()}
    return [
        (
            line["chunk"],
            (deadly[line["chat"]] or f"{line['chat']} apology")
            if line["text"] == wording.DEAD
            else line["text"],
        )
        for line in _lines(platform)
    ]


async def _find_dead(stores: Stores) -> list[str]:
    """The texts of all dead letters."""
    found = []
    for letter in await stores.messages.dead(1000):
        fields = await stores.messages.get(letter["id"]) or {}
        try:
            found.append(InboundMessage.from_record(fields).content)
        except MessageInvalid:  # a reply, or nothing is left of it
            found.append(f"in {letter['stage']}: {letter['reason']}")
    return found


async def _histories(client: Client) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    by_role: dict[str, dict[str, list[str]]] = {"user": {}, "assistant": {}}
    async for key in client.redis.scan_iter(match=client.keys.prefix + "history:*", count=500):
        for raw in await client.redis.lrange(key, 0, -1):
            message = json.loads(raw)
            # The first line of a user's message says where it came from.
            content = message["content"]
            text = content.partition("\n")[2] if message["role"] == "user" else content
            by_role[message["role"]].setdefault(text.partition(" ")[0], []).append(text)
    return by_role["user"], by_role["assistant"]


async def _tries(client: Client, chunks: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for chunk in chunks:
        item, _, index = chunk.rpartition(".")
        receipt = await client.redis.hget(client.keys.item(item), f"chunk:{index}")
        found[chunk] = json.loads(receipt)["tries"] if receipt else 0
    return found


def _bugs(logs: Iterable[Path]) -> list[str]:
    found: Counter[str] = Counter()
    for log in logs:
        for line in _lines(log):
            event, reason = line.get("event", ""), str(line.get("reason", ""))
            if event in BUGS:
                last = str(line.get("exception") or reason).strip().splitlines()[-1:]
                found[f"{event}: {_without_names(''.join(last))}"] += 1
    return [f"{count} x in the logs: {what}" for what, count in found.most_common(5)]


def _without_names(text: str) -> str:
    """Lanes are opaque and differ from run to run."""
    return re.sub(r"\b(inbound|session|delivery):\S+", r"\1", text)


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    found = []
    for line in path.read_text("utf-8", "replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # what a killed process did not finish, or a library's own words
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found
