"""The messages that travel through Sigil: frozen, bounded, kept as records.

Everything in an `InboundMessage` comes from outside and is hostile until its constructor
has bounded it: a value over its bound raises `MessageInvalid` and nothing is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, Protocol

from sigil.errors import MessageInvalid
from sigil.messages.answers import Action as Action
from sigil.messages.answers import AnswerDetails as AnswerDetails
from sigil.records import Record, keep_known

MAX_ID_BYTES = 256
MAX_NAME_BYTES = 256
MAX_URL_BYTES = 4096
MAX_CONTENT_BYTES = 64 * 1024
MAX_REPLY_BYTES = 16 * MAX_CONTENT_BYTES
MAX_ATTACHMENTS = 10
MAX_ALIASES = 4

DEFAULT_ACCOUNT = "default"


def find_entry(channel_type: str, account: str) -> str:
    """The name of the entry under `channels:` that a type and an account stand for."""
    return channel_type if account == DEFAULT_ACCOUNT else account


InboundKind = Literal["message", "edit", "command", "action"]
"""What somebody did: wrote something, changed what they wrote, chose a command from the platform's
menu, or pressed a button. `content` holds the words, the command or the action's id."""
_KINDS = frozenset({"message", "edit", "command", "action"})


def _now() -> datetime:
    return datetime.now(UTC)


def _check_text(name: str, value: object, limit: int, *, empty: bool = False) -> None:
    if not isinstance(value, str):
        raise MessageInvalid(f"{name} must be text, not {type(value).__name__}.")
    if not value and not empty:
        raise MessageInvalid(f"{name} is empty.")
    try:
        size = len(value) if value.isascii() else len(value.encode("utf-8"))
    except UnicodeEncodeError:
        raise MessageInvalid(f"{name} is not valid UTF-8.") from None
    if size > limit:
        raise MessageInvalid(
            f"{name} has {size} bytes; at most {limit} are allowed.",
            hint="Send it in smaller parts." if name == "content" else None,
        )
    # Nearly every name is printable, and that is quick to see.
    if name == "content" or value.isprintable():
        return
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in value):
        raise MessageInvalid(f"{name} contains a control character.")


def _check_optional(name: str, value: object, limit: int) -> None:
    if value is not None:
        _check_text(name, value, limit)


def _check_size(value: object) -> None:
    if value is not None and (type(value) is not int or value < 0):
        raise MessageInvalid("attachment.size must be a number of bytes.")


def _check_time(value: object) -> None:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise MessageInvalid("received_at must be a time with a timezone.")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message or goes out with one; `size` is in bytes.

    `url` is `blob:ID` for a file that Sigil keeps (see `sigil.blobs`), `refused:` and a sentence
    for one that it did not take, else an address, which holds no credential. `kind` is file,
    image, audio, video or voice.
    """

    _extras: ClassVar[tuple[str, ...]] = ("kind",)

    url: str
    name: str = "file"
    mime_type: str = "application/octet-stream"
    size: int | None = None
    kind: str = "file"

    def __post_init__(self) -> None:
        _check_text("attachment.url", self.url, MAX_URL_BYTES)
        _check_text("attachment.name", self.name, MAX_NAME_BYTES)
        _check_text("attachment.mime_type", self.mime_type, MAX_NAME_BYTES)
        _check_text("attachment.kind", self.kind, MAX_NAME_BYTES)
        _check_size(self.size)


def _read_attachments(found: Sequence[Mapping[str, Any]]) -> tuple[Attachment, ...]:
    return tuple(Attachment(**keep_known(Attachment, each)) for each in found)


@dataclass(frozen=True, slots=True)
class InboundMessage(Record):
    """What a person wrote. `channel_id` is the chat; `message_id` and `sender_id` are the
    platform's own ids, compared exactly. `received_at` carries a timezone.

    `revision` tells an edit from others of the same message: its time, or the event's id.
    `addressed` is false for what was said in a group to others than Sigil. `space` is the guild,
    team or server that the chat belongs to, and `sender_aliases` are further ids of the same
    person on this platform. `quote` is the text that the message replies to or quotes.
    """

    _extras: ClassVar[tuple[str, ...]] = (
        "kind",
        "revision",
        "addressed",
        "from_bot",
        "space",
        "sender_aliases",
        "quote",
    )

    channel_type: str
    channel_id: str
    message_id: str
    sender_id: str
    content: str
    account: str = DEFAULT_ACCOUNT
    thread_id: str | None = None
    sender_name: str | None = None
    is_direct: bool = True
    reply_to: str | None = None
    attachments: tuple[Attachment, ...] = ()
    received_at: datetime = field(default_factory=_now)
    kind: InboundKind = "message"
    revision: str | None = None
    addressed: bool = True
    from_bot: bool = False
    space: str | None = None
    sender_aliases: tuple[str, ...] = ()
    quote: str | None = None

    def __post_init__(self) -> None:
        for name in ("channel_type", "channel_id", "message_id", "sender_id", "account"):
            _check_text(name, getattr(self, name), MAX_ID_BYTES)
        self._check_additions()
        _check_optional("thread_id", self.thread_id, MAX_ID_BYTES)
        _check_optional("reply_to", self.reply_to, MAX_ID_BYTES)
        _check_optional("sender_name", self.sender_name, MAX_NAME_BYTES)
        object.__setattr__(self, "attachments", _check_attachments(self.attachments))
        _check_text("content", self.content, MAX_CONTENT_BYTES, empty=bool(self.attachments))
        if not isinstance(self.is_direct, bool):
            raise MessageInvalid("is_direct must be true or false.")
        _check_time(self.received_at)
        # A platform's clock may be ahead, and then the patience with this message would never end.
        object.__setattr__(self, "received_at", min(self.received_at, _now()))

    @property
    def entry(self) -> str:
        """The name of the configured channel."""
        return find_entry(self.channel_type, self.account)

    def _check_additions(self) -> None:
        """What only some platforms give; nearly always nothing."""
        if self.kind not in _KINDS:
            raise MessageInvalid(f"kind must be one of {', '.join(sorted(_KINDS))}.")
        for name in ("addressed", "from_bot"):
            if not isinstance(getattr(self, name), bool):
                raise MessageInvalid(f"{name} must be true or false.")
        _check_optional("revision", self.revision, MAX_ID_BYTES)
        _check_optional("space", self.space, MAX_ID_BYTES)
        if self.quote is not None:
            _check_text("content", self.quote, MAX_CONTENT_BYTES)
        if not isinstance(self.sender_aliases, (tuple, list)):
            raise MessageInvalid("sender_aliases must be a list of ids.")
        if len(self.sender_aliases) > MAX_ALIASES:
            raise MessageInvalid(f"at most {MAX_ALIASES} sender_aliases are allowed.")
        object.__setattr__(self, "sender_aliases", tuple(self.sender_aliases))
        for alias in self.sender_aliases:
            _check_text("sender_aliases", alias, MAX_ID_BYTES)

    @classmethod
    def _revive(cls, found: dict[str, Any]) -> dict[str, Any]:
        if found.get("attachments"):
            found["attachments"] = _read_attachments(found["attachments"])
        if "received_at" in found:
            found["received_at"] = datetime.fromisoformat(found["received_at"])
        return found


@dataclass(frozen=True, slots=True)
class OutboundMessage(Record):
    """What Sigil sends to one chat; `content` is CommonMark, fitted by the channel.

    `answers` are the ids of the messages that it answers, as their platform gave them. A notice
    answers none; `about` are the ids of those that still wait, of which it says so. `edits` is the
    id of an outbound message to the same chat that this one replaces, where the platform can do
    that; elsewhere it is sent as a message of its own.
    """

    _extras: ClassVar[tuple[str, ...]] = (
        "details",
        "actions",
        "answers",
        "about",
        "is_direct",
        "edits",
    )

    channel_type: str
    channel_id: str
    content: str
    thread_id: str | None = None
    media: tuple[Attachment, ...] = ()
    account: str = DEFAULT_ACCOUNT
    reply_to: str | None = None
    details: AnswerDetails | None = None
    actions: tuple[Action, ...] = ()
    answers: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    is_direct: bool = True
    edits: str | None = None

    def __post_init__(self) -> None:
        for name in ("channel_type", "channel_id", "account"):
            _check_text(name, getattr(self, name), MAX_ID_BYTES)
        _check_optional("thread_id", self.thread_id, MAX_ID_BYTES)
        _check_optional("reply_to", self.reply_to, MAX_ID_BYTES)
        _check_optional("edits", self.edits, MAX_ID_BYTES)
        object.__setattr__(self, "media", _check_attachments(self.media))
        # A reply is ours and may be long; it is split by the channel, not refused.
        _check_text("content", self.content, MAX_REPLY_BYTES, empty=bool(self.media))
        object.__setattr__(self, "actions", tuple(self.actions))
        object.__setattr__(self, "answers", tuple(self.answers))
        object.__setattr__(self, "about", tuple(self.about))

    @property
    def entry(self) -> str:
        """The name of the configured channel."""
        return find_entry(self.channel_type, self.account)

    @classmethod
    def _revive(cls, found: dict[str, Any]) -> dict[str, Any]:
        if found.get("media"):
            found["media"] = _read_attachments(found["media"])
        if "actions" in found:
            found["actions"] = tuple(Action(**keep_known(Action, a)) for a in found["actions"])
        if "details" in found:
            found["details"] = AnswerDetails(**keep_known(AnswerDetails, found["details"]))
        return found


def clean(text: str) -> str:
    """Text that UTF-8 can hold: halves of surrogate pairs, which a model may stream one by
    one, are joined, and a half that stays alone is replaced."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def fit_reply(text: str) -> str:
    """The part of a model's answer that can be sent: valid UTF-8, at most `MAX_REPLY_BYTES`."""
    return clean(text).encode("utf-8")[:MAX_REPLY_BYTES].decode("utf-8", "ignore")


def _check_attachments(value: object) -> tuple[Attachment, ...]:
    if not isinstance(value, (tuple, list)) or not all(isinstance(a, Attachment) for a in value):
        raise MessageInvalid("attachments must be a list of Attachment.")
    if len(value) > MAX_ATTACHMENTS:
        raise MessageInvalid(f"{len(value)} attachments; at most {MAX_ATTACHMENTS} are allowed.")
    return tuple(value)


class MessageStore(Protocol):
    """The records of items: what was accepted or sent, by item id."""

    async def get(self, item_id: str) -> Mapping[str, str] | None: ...

    async def report(
        self, account: str, key: str, state: str, reason: str | None
    ) -> tuple[str | None, bool]:
        """Notes what the platform of an account said later of a chunk that it took, and answers
        which message it was (None: not known, or not yet), and whether this is the first word that
        the message was not delivered. `state` is delivered, failed or read; the highest in this
        order counts. One that comes before the chunk's receipt is kept for a quarter of an hour."""
        ...

    async def dead(self, limit: int = 100) -> list[Mapping[str, Any]]:
        """The newest dead letters: id, stage, reason, at (seconds since the epoch)."""
        ...
