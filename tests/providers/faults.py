"""Every way in which a vendor's answer can fail, and the class of error that it must end in."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass

from sigil.errors import ErrorKind
from tests.providers.exchange import KEY, Exchange
from tests.providers.wires.wire import EMPTY, FILTERED, Refusal, Wire

Act = Callable[[Exchange], Awaitable[None]]
PLACES = ("before", "mid", "whole")
RETRY_AFTER = 7.0


@dataclass(frozen=True)
class Fault:
    """`kinds` has its class by place; None is for a fault that the answer survives."""

    name: str
    act: Act
    kinds: Mapping[str, ErrorKind | None]


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    fault: str
    place: str
    kind: ErrorKind | None

    @property
    def model(self) -> str:
        return f"{self.fault}.{self.place}"


FAULTS: dict[str, Fault] = {}


def cases() -> Iterator[Case]:
    for fault in FAULTS.values():
        for place, kind in fault.kinds.items():
            yield Case(fault.name, place, kind)


def fault(**kinds: ErrorKind | None) -> Callable[[Act], Act]:
    """`everywhere=` is for all places."""
    everywhere = dict.fromkeys(PLACES, kinds["everywhere"]) if "everywhere" in kinds else {}

    def register(act: Act) -> Act:
        name = act.__name__
        FAULTS[name] = Fault(name, act, everywhere or kinds)
        return act

    return register


# The connection


@fault(before=ErrorKind.NETWORK, mid=ErrorKind.NETWORK, whole=ErrorKind.SERVER)
async def ends_early(exchange: Exchange) -> None:
    """The body ends cleanly, the answer does not; a whole answer is JSON that is cut in half."""
    await exchange.begin()
    if exchange.place == "whole":
        await exchange.send(exchange.rest()[:40])
    await exchange.end()


@fault(everywhere=ErrorKind.NETWORK)
async def cut(exchange: Exchange) -> None:
    await exchange.begin()
    if exchange.place == "whole":
        await exchange.send(exchange.rest()[:40])
    exchange.writer.close()


@fault(everywhere=ErrorKind.NETWORK)
async def reset(exchange: Exchange) -> None:
    await exchange.begin()
    exchange.writer.transport.abort()


@fault(before=ErrorKind.NETWORK, whole=ErrorKind.NETWORK)
async def cut_without_headers(exchange: Exchange) -> None:
    exchange.writer.close()


@fault(everywhere=ErrorKind.TIMEOUT)
async def silent(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.until_closed()


@fault(before=ErrorKind.TIMEOUT, whole=ErrorKind.TIMEOUT)
async def no_headers(exchange: Exchange) -> None:
    await exchange.until_closed()


@fault(before=None, mid=None, whole=None)
async def trickles(exchange: Exchange) -> None:
    """One byte at a time, and complete."""
    await exchange.begin()
    for byte in exchange.rest().encode():
        await exchange.send(bytes([byte]))
    await exchange.end()


# Something else than an answer, under a status of success


@fault(everywhere=ErrorKind.OVERLOADED)
async def overloaded_event(exchange: Exchange) -> None:
    await exchange.begin()
    refusal = exchange.wire.overloaded
    if exchange.place == "whole":
        await exchange.send(json.dumps(exchange.wire.refusal(refusal)))
    else:
        await exchange.send(exchange.wire.broken(refusal))
    await exchange.end()


@fault(before=ErrorKind.SERVER, mid=ErrorKind.SERVER)
async def server_event(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.send(exchange.wire.broken(exchange.wire.own["server"]))
    await exchange.end()


@fault(before=ErrorKind.RATE_LIMITED, mid=ErrorKind.RATE_LIMITED)
async def limited_event(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.send(exchange.wire.broken(exchange.wire.own["limited"]))
    await exchange.end()


@fault(before=ErrorKind.SERVER, whole=ErrorKind.SERVER)
async def no_content(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.send(exchange.rest(EMPTY))
    await exchange.end()


@fault(before=ErrorKind.SERVER, whole=ErrorKind.SERVER)
async def empty_body(exchange: Exchange) -> None:
    kind = "text/event-stream" if exchange.is_streaming else "application/json"
    await exchange.head(200, kind)
    await exchange.end()


@fault(everywhere=ErrorKind.FILTERED)
async def filtered(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.send(exchange.rest(FILTERED))
    await exchange.end()


@fault(everywhere=ErrorKind.SERVER)
async def malformed(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.send('{"type": ' if exchange.place == "whole" else 'data: {"type": \n\n')
    await exchange.end()


@fault(everywhere=ErrorKind.SERVER)
async def not_an_object(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.send("[5]" if exchange.place == "whole" else "data: [5]\n\n")
    await exchange.end()


@fault(everywhere=ErrorKind.SERVER)
async def not_utf8(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.send(b'{"\xff\xfe' if exchange.place == "whole" else b'data: {"\xff\xfe\n\n')
    await exchange.end()


@fault(before=ErrorKind.SERVER, whole=ErrorKind.SERVER)
async def gzip_garbage(exchange: Exchange) -> None:
    kind = "text/event-stream" if exchange.is_streaming else "application/json"
    await exchange.head(200, kind, content_encoding="gzip")
    await exchange.send(b"this is not gzip")
    await exchange.end()


@fault(before=ErrorKind.SERVER, whole=ErrorKind.SERVER)
async def html_page(exchange: Exchange) -> None:
    await exchange.head(200, "text/html")
    await exchange.send(f"<html><body>Sign in. {KEY}</body></html>")
    await exchange.end()


@fault(before=ErrorKind.SERVER, whole=ErrorKind.SERVER)
async def html_error(exchange: Exchange) -> None:
    await exchange.head(502, "text/html")
    await exchange.send(f"<html><body>Bad gateway. {KEY}</body></html>")
    await exchange.end()


# Refusals, by their status and in the vendor's own words. All that a vendor may refuse is listed
# in the `test_errors.py` of the vendor.


def _add_refusal(
    name: str, kind: ErrorKind, refusal: Callable[[Wire], Refusal], **head: str
) -> None:
    async def act(exchange: Exchange) -> None:
        await exchange.refuse(refusal(exchange.wire), **head)

    FAULTS[name] = Fault(name, act, {"before": kind, "whole": kind})


def _bare_status(status: int) -> Callable[[Wire], Refusal]:
    return lambda wire: Refusal(status, "error", f"No. The key was {KEY}.")


for _status, _kind in {
    408: ErrorKind.TIMEOUT,
    429: ErrorKind.RATE_LIMITED,
    500: ErrorKind.SERVER,
}.items():
    _add_refusal(f"status_{_status}", _kind, _bare_status(_status))

_OWN_KINDS = {
    "invalid": ErrorKind.INVALID_REQUEST,
    "auth": ErrorKind.AUTH,
    "too_long": ErrorKind.CONTEXT_TOO_LONG,
    "limited": ErrorKind.RATE_LIMITED,
    "server": ErrorKind.SERVER,
}
for _name, _kind in _OWN_KINDS.items():
    _add_refusal(_name, _kind, lambda wire, name=_name: wire.own[name])

_add_refusal(
    "limited_for",
    ErrorKind.RATE_LIMITED,
    lambda wire: wire.own["limited"],
    retry_after=f"{RETRY_AFTER:g}",
)
