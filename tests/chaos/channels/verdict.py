"""What the people of a run have seen, against what they wrote."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sigil.lanes.lane import LaneKind
from sigil.stores import Stores
from sigil.stores.redis.client import Client
from tests.chaos.channels.peers import MARK
from tests.peers.telegram.bot import Chat


@dataclass
class Verdict:
    """`lost`: never answered. `reordered`: steps back among the first answers of a chat. `doubled`:
    answers that were seen again, of which each must be `marked` as doubtful in its receipt."""

    answered: int = 0
    lost: int = 0
    doubled: int = 0
    marked: int = 0
    reordered: int = 0
    problems: list[str] = field(default_factory=list)


def judge(
    written: Mapping[int, Sequence[str]],
    shown: Mapping[int, Sequence[str]],
    doubtful: Collection[str],
    early: int = 0,
) -> Verdict:
    """`written`: marks by chat, in order. `shown`: the bot's texts by chat, as they stand at the
    end. `doubtful`: marks of the replies that were sent again although they had perhaps been sent.
    `early`: calls that did not wait for the end of a pause that the server had asked for."""
    verdict = Verdict()
    for chat, marks in written.items():
        found = [(MARK.match(text), text) for text in shown.get(chat, ())]
        seen = [match[0] for match, _ in found if match is not None]
        if strange := [text[:60] for match, text in found if match is None]:
            verdict.problems.append(f"{chat}: {len(strange)} that nobody asked for: {strange[:2]}")
        _judge_chat(verdict, marks, seen, doubtful)
    if early:
        verdict.problems.append(f"{early} calls came before the pause was over")
    for name in ("lost", "reordered"):
        if count := getattr(verdict, name):
            verdict.problems.append(f"{count} answers {name}")
    if unmarked := verdict.doubled - verdict.marked:
        verdict.problems.append(f"{unmarked} answers doubled without a mark")
    return verdict


def _judge_chat(
    verdict: Verdict, marks: Sequence[str], seen: Sequence[str], doubtful: Collection[str]
) -> None:
    places = {mark: place for place, mark in enumerate(marks)}
    verdict.answered += len(set(seen) & set(marks))
    verdict.lost += len(set(marks) - set(seen))
    firsts = [places.get(mark, -1) for mark in dict.fromkeys(seen)]
    verdict.reordered += sum(later < earlier for earlier, later in itertools.pairwise(firsts))
    for mark, count in Counter(seen).items():
        verdict.doubled += count - 1
        verdict.marked += count - 1 if mark in doubtful else 0


async def find_doubtful(stores: Stores, chats: Mapping[int, Chat]) -> set[str]:
    """The marks of the replies whose receipts say that they were perhaps sent twice. A record has
    no words any more once it was delivered, so they are looked up at the platform."""
    client = stores.backend
    assert isinstance(client, Client)
    lanes = {
        await stores.lanes.key(LaneKind.DELIVERY, "telegram", "default", str(chat), ""): chat
        for chat in chats
    }
    found: set[str] = set()
    async for key in client.redis.scan_iter(match=client.keys.item("*"), count=500):
        record = await client.redis.hgetall(key)
        chat = lanes.get(record.get(b"lane:delivery", b"").decode())
        for name, raw in record.items():
            receipt = json.loads(raw) if name.startswith(b"chunk:") else {}
            if chat is not None and receipt.get("doubtful") and "platform_id" in receipt:
                message = chats[chat].messages[int(receipt["platform_id"])]
                found.update(MARK.findall(message["text"]))
    return found
