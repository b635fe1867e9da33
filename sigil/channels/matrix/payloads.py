"""What a homeserver sends, read leniently: unknown fields are ignored, and a field of the wrong
kind counts as not given. Only ids are needed."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from sigil.messages.exchange import MAX_ID_BYTES


def _validate_or_drop(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError:
        return None


Lenient = WrapValidator(_validate_or_drop)
Text = Annotated[str | None, Lenient]
Flag = Annotated[bool | None, Lenient]


def check_length(id: str) -> str:
    """Returns the id. In old rooms the sender's server chooses it, and some count characters, not
    bytes. Raises `ValueError`."""
    if len(id.encode()) > MAX_ID_BYTES:
        raise ValueError("an id is too long")
    return id


Id = Annotated[str, Field(min_length=1), AfterValidator(check_length)]
Items = Annotated[list[Any] | None, Lenient]


class Foreign(BaseModel):
    """An object of the server's."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ReplyTo(Foreign):
    """`m.in_reply_to`."""

    event_id: Id


class Relation(Foreign):
    """`m.relates_to`: an edit, a thread, a reply."""

    rel_type: Text = None
    event_id: Annotated[Id | None, Lenient] = None
    is_falling_back: Flag = None
    in_reply_to: Annotated[ReplyTo | None, Lenient] = Field(None, alias="m.in_reply_to")


class Mentions(Foreign):
    """`m.mentions`: whom the sender means."""

    user_ids: Items = None


class FileInfo(Foreign):
    """What the sender says of a file; `size` is in bytes."""

    mimetype: Text = None
    size: Annotated[int | None, Field(ge=0), Lenient] = None


class Content(Foreign):
    """The content of an event, of any type."""

    msgtype: Text = None
    body: Text = None
    formatted_body: Text = None
    filename: Text = None
    url: Text = None
    geo_uri: Text = None
    info: Annotated[FileInfo | None, Lenient] = None
    relates_to: Annotated[Relation | None, Lenient] = Field(None, alias="m.relates_to")
    new_content: Annotated[Content | None, Lenient] = Field(None, alias="m.new_content")
    mentions: Annotated[Mentions | None, Lenient] = Field(None, alias="m.mentions")
    voice: Annotated[dict[str, Any] | None, Lenient] = Field(None, alias="org.matrix.msc3245.voice")
    membership: Text = None
    displayname: Text = None
    is_direct: Flag = None


class PreviousContent(Foreign):
    """`unsigned.prev_content`."""

    membership: Text = None


class Unsigned(Foreign):
    """What the server adds to an event."""

    prev_content: Annotated[PreviousContent | None, Lenient] = None


class Event(Foreign):
    """An event of a room."""

    type: str
    event_id: Id
    sender: Id
    state_key: Text = None
    content: Annotated[Content | None, Lenient] = None
    unsigned: Annotated[Unsigned | None, Lenient] = None


class StrippedEvent(Foreign):
    """A state event of a room that the account is invited to; it has no id."""

    type: str
    sender: Id
    state_key: Text = None
    content: Annotated[Content | None, Lenient] = None


class Events(Foreign):
    """A list of events, not read yet: one that cannot be read spoils no other."""

    events: Items = None


class Timeline(Events):
    """The newest events of a room. `limited`: there are more between these and the last ones."""

    limited: Flag = None
    prev_batch: Text = None


class Summary(Foreign):
    """How many are in a room."""

    joined: Annotated[int | None, Lenient] = Field(None, alias="m.joined_member_count")


class JoinedRoom(Foreign):
    """News of a room that the account is in."""

    timeline: Annotated[Timeline | None, Lenient] = None
    state: Annotated[Events | None, Lenient] = None
    summary: Annotated[Summary | None, Lenient] = None


class InvitedRoom(Foreign):
    """An invitation."""

    invite_state: Annotated[Events | None, Lenient] = None


class RoomNews(Foreign):
    """News of all rooms, by their ids."""

    join: Annotated[dict[str, Any] | None, Lenient] = None
    invite: Annotated[dict[str, Any] | None, Lenient] = None
    leave: Annotated[dict[str, Any] | None, Lenient] = None


class SyncAnswer(Foreign):
    """What `/sync` answers."""

    next_batch: Annotated[str, Field(min_length=1)]
    rooms: Annotated[RoomNews | None, Lenient] = None
    account_data: Annotated[Events | None, Lenient] = None


class Page(Foreign):
    """What `/messages` answers: events from new to old, and where to go on."""

    chunk: Items = None
    end: Text = None


def read_events(found: list[Any] | None) -> list[Event]:
    """The events that can be read."""
    return [event for each in found or [] if (event := read_event(each)) is not None]


def read_event(found: Any) -> Event | None:
    """An event; None if it lacks what every event has."""
    try:
        return Event.model_validate(found)
    except ValidationError:
        return None


def read_stripped(found: list[Any] | None) -> list[StrippedEvent]:
    """The state events of an invitation that can be read."""
    read = []
    for each in found or []:
        try:
            read.append(StrippedEvent.model_validate(each))
        except ValidationError:
            continue
    return read
