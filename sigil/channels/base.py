"""What a channel looks like to the core.

    platform ── listen ──▶ receive     in the gateway process
    chunk    ── send   ──▶ platform    in outbound workers

The core never asks what a channel is, only what it can do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sigil.messages.exchange import InboundMessage, OutboundMessage


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What `Gateway.receive` returns: the item's id, and whether it had been accepted before."""

    id: str
    duplicate: bool


Receive = Callable[[InboundMessage], Awaitable[Acceptance]]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a channel can do, as a frozen value.

    `max_chars` limits the text of one chunk. The readers of a `live` channel watch the chat's
    event log, drafts included; with `html` they get replies as HTML. The listener of an
    `authenticated` channel has checked who writes and puts a user's id into `sender_id`, so no
    pairing is needed. A platform with `idempotent_send` takes a key, so a chunk whose fate is
    unknown can safely be sent again. `coalesce` lets one turn answer messages that a person
    sends in quick succession.
    """

    max_chars: int = 4000
    live: bool = False
    authenticated: bool = False
    idempotent_send: bool = False
    coalesce: bool = False
    own_sessions: bool = False  # each chat is its own session, even a direct one
    hint: str = ""  # for the model: what the channel can show
    html: bool = False
    notices: bool = True  # tells people when an answer takes long; false where a message costs


@dataclass(frozen=True, slots=True)
class Chunk:
    """One message to a platform. `id` stays the same over every retry; a platform that takes an
    idempotency key gets it. `final` marks the last chunk of a reply."""

    id: str
    message: OutboundMessage
    index: int = 0
    final: bool = True
    turn_id: str | None = None


@runtime_checkable
class Channel(Protocol):
    """A configured channel. `name` is what messages carry as `channel_type`."""

    name: str
    capabilities: Capabilities

    async def send(self, chunk: Chunk) -> str | None:
        """Sends one chunk that fits the channel. Returns the platform's id for it.

        Raises `SendFailed` (try again) or `SendRefused` (never again).
        """
        ...

    async def listen(self, receive: Receive) -> None:
        """Hands the platform's messages to `receive` until cancelled. An update is acknowledged
        to the platform only after `receive` has returned. A channel that gets its messages over
        HTTP returns at once."""
        ...

    async def close(self) -> None:
        """Closes its connections. Safe to call twice."""
        ...
