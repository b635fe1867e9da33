"""What homeservers answer to `/sync`, and a listener that hears it."""

from __future__ import annotations

from typing import Any

from sigil.channels.matrix.listener import MatrixListener
from tests.channels.inbox import WaitingInbox
from tests.channels.matrix.accounts import run_listener
from tests.peers.matrix.homeserver import BOT

Json = dict[str, Any]


def say(id: str, text: str = "", sender: str = "@alice:hs") -> Json:
    content = {"msgtype": "m.text", "body": text or id}
    return {"type": "m.room.message", "event_id": id, "sender": sender, "content": content}


def come(user: str, membership: str = "join", id: str = "$m") -> Json:
    content = {"membership": membership}
    return {
        "type": "m.room.member",
        "event_id": id,
        "sender": user,
        "state_key": user,
        "content": content,
    }


def news(*events: Any, room: str = "!r", end: str = "end", **timeline: Any) -> Json:
    found = {"timeline": {"events": list(events), **timeline}}
    return {"next_batch": end, "rooms": {"join": {room: found}}}


def invite(sender: str = "@alice:hs", room: str = "!i", end: str = "end") -> Json:
    content = {"membership": "invite", "is_direct": True}
    event = {"type": "m.room.member", "state_key": BOT, "sender": sender, "content": content}
    found = {"invite_state": {"events": [event]}}
    return {"next_batch": end, "rooms": {"invite": {room: found}}}


def send_file() -> Json:
    content = {"msgtype": "m.file", "body": "a.bin", "url": "mxc://hs/abc"}
    return say("$f") | {"content": content}


async def hear(listener: MatrixListener, inbox: WaitingInbox, end: str = "end") -> list[str]:
    async with run_listener(listener, inbox):
        return [message.message_id for message in await inbox.wait_for_cursor(end)]
