"""Matrix for the contract suites."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from sigil.channels.base import AccountContext, ChannelSpec, Listener
from sigil.channels.matrix.listener import MatrixListener
from sigil.channels.matrix.sender import MatrixSender
from sigil.channels.matrix.spec import MatrixType
from sigil.stores import Stores
from tests.channels.cases import RETRY_AFTER_S, FakeInbox, Fault
from tests.channels.matrix.accounts import make_settings
from tests.peers.matrix import script
from tests.peers.matrix.homeserver import BOT, TOKEN, Homeserver, run_homeserver

ROOM = "!room"
FAULTS = frozenset(Fault)
_ACCOUNT = {"errcode": "M_UNKNOWN_TOKEN", "error": "Invalid access token passed."}
_GONE = {"errcode": "M_FORBIDDEN", "error": "User @bot:hs not in room !room"}
_LIMITED = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 375}
_MARKUP = {"errcode": "M_BAD_JSON", "error": "formatted_body must be a string"}
_ANSWERS = {
    Fault.BUSY: script.Fault(429, _LIMITED, {"Retry-After": str(RETRY_AFTER_S)}),
    Fault.BROKEN: script.Fault(502, b"<html>Bad Gateway</html>", done=True),
    Fault.CUT: script.Fault(cut=True, done=True),
    Fault.GONE: script.Fault(403, _GONE),
    Fault.LOCKED: script.Fault(401, _ACCOUNT),
    Fault.MARKUP: script.Fault(400, _MARKUP),
}


@dataclass
class MatrixSenderCase:
    """A sender and a homeserver."""

    sender: MatrixSender
    server: Homeserver
    spec: ChannelSpec = MatrixType.spec
    address: tuple[str, str] = ("matrix", "default")
    chat: str = ROOM
    secret: str | None = TOKEN

    async def list_shown(self) -> list[str]:
        return self.server.list_shown()

    async def break_next(self, fault: Fault) -> None:
        if fault is Fault.AWAY:
            await self.server.go_away()
        else:
            # After a cut HTTP asks once more by itself, which a transaction id allows.
            times = 2 if fault is Fault.CUT else 1
            self.server.fail("send", _ANSWERS[fault], times=times)


@dataclass
class MatrixListenerCase:
    """A listener and a homeserver on which Alice writes."""

    server: Homeserver
    context: AccountContext
    listener: MatrixListener = field(init=False)
    spec: ChannelSpec = MatrixType.spec
    address: tuple[str, str] = ("matrix", "default")
    written: int = 0

    def __post_init__(self) -> None:
        self.listener = self._open()

    def _open(self) -> MatrixListener:
        return MatrixListener(self.context, make_settings(self.server))

    async def write(self, text: str) -> None:
        self._post("@alice:hs", {"msgtype": "m.text", "body": text})

    async def edit(self, text: str) -> bool:
        relation = {"rel_type": "m.replace", "event_id": f"$w{self.written}"}
        new = {"msgtype": "m.text", "body": text}
        content = new | {"body": f"* {text}", "m.new_content": new, "m.relates_to": relation}
        self._post("@alice:hs", content)
        return True

    async def write_as_bot(self, text: str) -> bool:
        self._post(BOT, {"msgtype": "m.text", "body": text})
        return True

    async def open_again(self) -> Listener:
        return self._open()

    def _post(self, sender: str, content: script.Json) -> None:
        self.written += 1
        event = {"type": "m.room.message", "event_id": f"$w{self.written}", "sender": sender}
        self.server.post(ROOM, event | {"content": content})


@contextlib.asynccontextmanager
async def open_sender(stores: Stores) -> AsyncIterator[MatrixSenderCase]:
    async with run_homeserver() as server:
        context = AccountContext("matrix", "matrix", "default", stores)
        yield MatrixSenderCase(MatrixSender(context, make_settings(server)), server)


@contextlib.asynccontextmanager
async def open_listener(stores: Stores, inbox: FakeInbox) -> AsyncIterator[MatrixListenerCase]:
    async with run_homeserver() as server:
        inbox.cursor = server.position
        yield MatrixListenerCase(server, AccountContext("matrix", "matrix", "default", stores))
