"""Live chats: conversations whose readers watch an event log (the web page, the terminal).

    listener ── take_message ──▶ receive          "user" event, in the same step as the message
    agent ── Draft ──▶ ChatStore.draft            "draft" event, replaced as the answer grows
    sender ── show_chunk ──▶ ChatStore.show       "reply" event, one for each chunk
    routing, gateway ── Show ──▶ the log          "dropped" and "refused", with the commit

A live chat's key and the shape of its events are defined here and nowhere else.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NotRequired, Protocol, TypedDict

from sigil.blobs.base import BlobStore
from sigil.channels.base import Acceptance, Chunk, Receive
from sigil.channels.notes import NoteStore
from sigil.errors import SendFailed, StoreError
from sigil.lanes.effects import Show
from sigil.messages.exchange import DEFAULT_ACCOUNT

if TYPE_CHECKING:
    from sigil.messages.exchange import InboundMessage

MAX_TITLE_CHARS = 80
EVENT_TYPES = frozenset({"user", "reply", "draft", "dropped", "refused"})


def live_chat_key(channel: str, account: str, chat_id: str) -> str:
    """The name of a chat's event log: `web:chat`, or `web@second:chat` for another account.

    Names of channels and accounts contain neither `:` nor `@`, so no two chats share a key.
    """
    if account == DEFAULT_ACCOUNT:
        return f"{channel}:{chat_id}"
    return f"{channel}@{account}:{chat_id}"


# ---------------------------------------------------------------- the events


class UserEvent(TypedDict):
    """A message that a person wrote."""

    type: Literal["user"]
    text: str
    message_id: str


class DetailFields(TypedDict):
    """The fields of `AnswerDetails`; `broke_off` is a list."""

    model: str
    seconds: float
    input_tokens: int
    output_tokens: int
    cost: int | None
    broke_off: list[str]
    cut_at: int | None
    stopped: bool


class ActionFields(TypedDict):
    """The fields of `Action`."""

    id: str
    label: str


class ReplyEvent(TypedDict):
    """One chunk of a reply, counted from 0.

    `turn` is None for what belongs to no turn, a command's answer or a notice: it changes nothing
    about the turn that runs. `answers` lists the ids of the messages that it answers, `about` of
    those that still wait, as a notice says. On the final chunk `details` says how a model's answer
    came about, and `actions` what may be done next.
    """

    type: Literal["reply"]
    text: str
    turn: str | None
    chunk: int
    final: bool
    answers: NotRequired[list[str]]
    about: NotRequired[list[str]]
    details: NotRequired[DetailFields]
    actions: NotRequired[list[ActionFields]]


class DraftEvent(TypedDict):
    """All of the answer so far. A higher token (another worker's), or a higher revision under
    the same token, replaces it.

    `answers` lists the ids of the messages that are being answered, `broke_off` the models whose
    answers have broken off: an empty text then means that another one begins anew.
    """

    type: Literal["draft"]
    turn: str
    token: int
    revision: int
    text: str
    answers: NotRequired[list[str]]
    broke_off: NotRequired[list[str]]


class DroppedEvent(TypedDict):
    """A message was stopped before there was any answer to it."""

    type: Literal["dropped"]
    message_id: str


class RefusedEvent(TypedDict):
    """A message was not taken, since too many were waiting."""

    type: Literal["refused"]
    message_id: str


LiveEvent = UserEvent | ReplyEvent | DraftEvent | DroppedEvent | RefusedEvent
"""What a log holds, as stored in JSON. `event["type"]` tells which of them it is."""


def user_event(message: InboundMessage) -> UserEvent:
    """The event that shows a person's message in their chat."""
    return {"type": "user", "text": message.content, "message_id": message.message_id}


def reply_event(chunk: Chunk) -> ReplyEvent:
    """The event that shows a chunk of a reply."""
    message = chunk.message
    event: ReplyEvent = {
        "type": "reply",
        "text": message.content,
        "turn": chunk.turn_id or None,
        "chunk": chunk.index,
        "final": chunk.final,
    }
    if message.answers:
        event["answers"] = [*message.answers]
    if message.about:
        event["about"] = [*message.about]
    if message.details is not None:
        event["details"] = asdict(message.details)  # type: ignore[typeddict-item]  # the same fields
    if message.actions:
        event["actions"] = [{"id": each.id, "label": each.label} for each in message.actions]
    return event


def draft_event(update: DraftUpdate) -> DraftEvent:
    """The event that shows an unfinished answer."""
    event: DraftEvent = {
        "type": "draft",
        "turn": update.turn,
        "token": update.token,
        "revision": update.revision,
        "text": update.text,
    }
    if update.answers:
        event["answers"] = [*update.answers]
    if update.broke_off:
        event["broke_off"] = [*update.broke_off]
    return event


def dropped_event(message_id: str) -> DroppedEvent:
    """The event that marks a message as stopped before it was answered."""
    return {"type": "dropped", "message_id": message_id}


def refused_event(message_id: str) -> RefusedEvent:
    """The event that marks a message as not taken."""
    return {"type": "refused", "message_id": message_id}


@dataclass(frozen=True, slots=True)
class ChatEventRecord:
    """One entry of a log. `id` orders the entries and serves as the SSE id."""

    id: str
    data: LiveEvent


# ---------------------------------------------------------------- the store


class DraftUpdate(NamedTuple):
    """The draft of a turn as it is to be from now on; see `DraftEvent`."""

    chat: str
    turn: str
    token: int
    revision: int
    text: str
    answers: tuple[str, ...] = ()
    broke_off: tuple[str, ...] = ()


class ChatStore(Protocol):
    """The event logs of live chats, and the list of each user's chats.

    `chat` is a `live_chat_key`.
    """

    async def show(self, chat: str, event_id: str, data: LiveEvent) -> None:
        """Appends an event once per `event_id`. A `reply` removes its turn's draft."""
        ...

    async def draft(self, drafts: Sequence[DraftUpdate]) -> builtins.list[bool]:
        """Replaces the draft of each turn. False for one whose log already has the turn's reply,
        this revision, or a draft with a higher token or revision."""
        ...

    async def read(
        self, chat: str, after: str = "0-0", *, block: float = 0.0
    ) -> list[ChatEventRecord]:
        """Events after an id, oldest first. Waits up to `block` seconds for the first one."""
        ...

    async def touch(self, user_id: str, channel: str, chat_id: str, title: str) -> None:
        """Puts the chat at the top of the user's list. The first title stays. Raises `StoreFull`
        if the store takes no new messages."""
        ...

    async def list(self, user_id: str, channel: str) -> list[Mapping[str, Any]]:
        """The user's chats, newest first: id, title, at (seconds since the epoch)."""
        ...

    async def owner(self, channel: str, chat_id: str) -> str | None:
        """The user who owns the chat: the one who touched it first. None before that."""
        ...


class ChannelStores(Protocol):
    """The stores that a channel needs."""

    @property
    def chats(self) -> ChatStore: ...
    @property
    def blobs(self) -> BlobStore: ...
    @property
    def notes(self) -> NoteStore: ...


# ---------------------------------------------------------------- writing to a live chat


def show_event(message: InboundMessage, event_id: str, event: LiveEvent) -> Show:
    """The effect that shows an event in the chat that a message came from, once per `event_id`."""
    chat = live_chat_key(message.channel_type, message.account, message.channel_id)
    return Show(chat, event_id, json.dumps(event, ensure_ascii=False))


async def show_chunk(chats: ChatStore, chunk: Chunk) -> str:
    """Appends a chunk of a reply to its chat's log, once however often it is sent.

    Returns the chunk's id. Raises `SendFailed` if the log cannot be reached.
    """
    message = chunk.message
    chat = live_chat_key(message.channel_type, message.account, message.channel_id)
    try:
        await chats.show(chat, chunk.id, reply_event(chunk))
    except StoreError as error:
        raise SendFailed("the chat's log cannot be reached.", outcome_unknown=True) from error
    return chunk.id


async def take_message(
    chats: ChatStore, receive: Receive, message: InboundMessage
) -> Acceptance | None:
    """Accepts a message for a live chat whose `sender_id` is a user's id.

    The first message creates the chat and makes its sender the owner. Returns None, and stores
    nothing, if the chat belongs to somebody else. Raises what `receive` raises.
    """
    channel, chat_id, user_id = message.channel_type, message.channel_id, message.sender_id
    if await chats.owner(channel, chat_id) not in {None, user_id}:
        return None
    await chats.touch(user_id, channel, chat_id, shorten_title(message.content))
    # Two people may have claimed a new chat at the same moment; only one of them got it.
    if await chats.owner(channel, chat_id) != user_id:
        return None
    return await receive(message)


def shorten_title(text: str) -> str:
    """A chat's title: the first line of its first message, at most `MAX_TITLE_CHARS` long."""
    line = " ".join(text.strip().partition("\n")[0].split())
    return line if len(line) <= MAX_TITLE_CHARS else line[: MAX_TITLE_CHARS - 1].rstrip() + "…"
