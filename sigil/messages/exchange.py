"""The messages that travel through Sigil: frozen, bounded, to and from JSON.

Everything in an `InboundMessage` comes from outside and is hostile until its constructor
has bounded it: a value over its bound raises `MessageInvalid` and nothing is stored.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol, Self

from sigil.errors import MessageInvalid
from sigil.messages.answers import Action as Action
from sigil.messages.answers import AnswerDetails as AnswerDetails

MAX_ID_BYTES = 256
MAX_NAME_BYTES = 256
MAX_URL_BYTES = 4096
MAX_CONTENT_BYTES = 64 * 1024
MAX_REPLY_BYTES = 16 * MAX_CONTENT_BYTES
MAX_ATTACHMENTS = 10


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

    `url` may reach a model's vendor, so that it holds no credential.
    """

    url: str
    name: str = "file"
    mime_type: str = "application/octet-stream"
    size: int | None = None

    def __post_init__(self) -> None:
        _check_text("attachment.url", self.url, MAX_URL_BYTES)
        _check_text("attachment.name", self.name, MAX_NAME_BYTES)
        _check_text("attachment.mime_type", self.mime_type, MAX_NAME_BYTES)
        _check_size(self.size)


class _Json:
    """To and from JSON by field name; unknown names are an error, not dropped."""

    __slots__ = ()
    _list_field: ClassVar[str]
    _extras: ClassVar[tuple[str, ...]] = ()  # fields that are written only when they are set

    def to_json(self) -> str:
        """One compact JSON object; the inverse of `from_json`."""
        fields = _list_fields(self)
        return _ENCODER.encode({k: v for k, v in fields.items() if v or k not in self._extras})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Raises `MessageInvalid` for anything that `to_json` would not have written."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise MessageInvalid("the message is not JSON.") from error
        if not isinstance(raw, dict):
            raise MessageInvalid("the message is not a JSON object.")
        unknown = raw.keys() - _name_fields(cls).keys()  # type: ignore[arg-type]  # a class is hashable
        if unknown:
            raise MessageInvalid(f"unknown field {min(unknown)!r}.")
        try:
            return cls(**_revive(raw, cls._list_field))
        except (TypeError, ValueError) as error:
            raise MessageInvalid(f"the message is malformed: {error}") from error


@functools.cache
def _name_fields(cls: type[Any]) -> dict[str, None]:
    return dict.fromkeys(each.name for each in fields(cls))


def _list_fields(value: object) -> dict[str, Any]:
    # `dataclasses.asdict` copies every value deeply, which costs more than all the JSON.
    names = _name_fields(type(value))  # type: ignore[arg-type]  # a class is hashable
    return {name: getattr(value, name) for name in names}


def _write_value(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else _list_fields(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_write_value)


def _revive(raw: dict[str, Any], list_field: str) -> dict[str, Any]:
    out = dict(raw)
    if list_field in out:
        out[list_field] = tuple(Attachment(**item) for item in out[list_field])
    if "received_at" in out:
        out["received_at"] = datetime.fromisoformat(out["received_at"])
    if "actions" in out:
        out["actions"] = tuple(Action(item["id"], item["label"]) for item in out["actions"])
    if "details" in out:
        known = _name_fields(AnswerDetails)
        out["details"] = AnswerDetails(**{k: v for k, v in out["details"].items() if k in known})
    return out


@dataclass(frozen=True, slots=True)
class InboundMessage(_Json):
    """What a person wrote. `channel_id` is the chat; `message_id` and `sender_id` are the
    platform's own ids, compared exactly. `received_at` carries a timezone."""

    _list_field: ClassVar[str] = "attachments"

    channel_type: str
    channel_id: str
    message_id: str
    sender_id: str
    content: str
    account: str = "default"
    thread_id: str | None = None
    sender_name: str | None = None
    is_direct: bool = True
    reply_to: str | None = None
    attachments: tuple[Attachment, ...] = ()
    received_at: datetime = field(default_factory=_now)

    def __post_init__(self) -> None:
        for name in ("channel_type", "channel_id", "message_id", "sender_id", "account"):
            _check_text(name, getattr(self, name), MAX_ID_BYTES)
        _check_optional("thread_id", self.thread_id, MAX_ID_BYTES)
        _check_optional("reply_to", self.reply_to, MAX_ID_BYTES)
        _check_optional("sender_name", self.sender_name, MAX_NAME_BYTES)
        object.__setattr__(self, "attachments", _check_attachments(self.attachments))
        _check_text("content", self.content, MAX_CONTENT_BYTES, empty=bool(self.attachments))
        if not isinstance(self.is_direct, bool):
            raise MessageInvalid("is_direct must be true or false.")
        _check_time(self.received_at)


@dataclass(frozen=True, slots=True)
class OutboundMessage(_Json):
    """What Sigil sends to one chat; `content` is CommonMark, fitted by the channel.

    `answers` are the ids of the messages that it answers, as their platform gave them. A notice
    answers none.
    """

    _list_field: ClassVar[str] = "media"
    _extras: ClassVar[tuple[str, ...]] = ("details", "actions", "answers")

    channel_type: str
    channel_id: str
    content: str
    thread_id: str | None = None
    media: tuple[Attachment, ...] = ()
    account: str = "default"
    reply_to: str | None = None
    details: AnswerDetails | None = None
    actions: tuple[Action, ...] = ()
    answers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("channel_type", "channel_id", "account"):
            _check_text(name, getattr(self, name), MAX_ID_BYTES)
        _check_optional("thread_id", self.thread_id, MAX_ID_BYTES)
        _check_optional("reply_to", self.reply_to, MAX_ID_BYTES)
        object.__setattr__(self, "media", _check_attachments(self.media))
        # A reply is ours and may be long; it is split by the channel, not refused.
        _check_text("content", self.content, MAX_REPLY_BYTES, empty=bool(self.media))
        object.__setattr__(self, "actions", tuple(self.actions))
        object.__setattr__(self, "answers", tuple(self.answers))

    def to_record(self) -> dict[str, str]:
        """The fields of its record. What it carries beside its text has a field of its own: the
        versions that know only `body` reject one with fields that they do not know."""
        fields = _list_fields(self)
        extras = {name: fields.pop(name) for name in self._extras}
        record = {"body": _ENCODER.encode(fields)}
        if any(extras.values()):
            record["extras"] = _ENCODER.encode({k: v for k, v in extras.items() if v})
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, str]) -> Self:
        """The inverse of `to_record`. Raises `MessageInvalid` if the text cannot be read; extras
        that cannot be read are left out, since the text is worth more."""
        message = cls.from_json(record.get("body", ""))
        if "extras" not in record:
            return message
        try:
            extras = _revive(json.loads(record["extras"]), cls._list_field)
            return replace(message, **{k: v for k, v in extras.items() if k in cls._extras})
        except (MessageInvalid, TypeError, ValueError, KeyError, AttributeError):
            return message


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

    async def dead(self, limit: int = 100) -> list[Mapping[str, Any]]:
        """The newest dead letters: id, stage, reason, at (seconds since the epoch)."""
        ...
