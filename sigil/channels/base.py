"""What a channel looks like to the core.

    platform ── Listener ──▶ receive     only in the gateway process
    chunk    ── Sender   ──▶ platform    only in outbound workers
    ChannelSpec                          in every process: what the channel can do, as a value

A channel is a folder whose `spec.py` declares a `ChannelType`. The type names its listener and its
sender by text, so that each loads only in the role that runs it, and nobody needs a platform's
library to read a spec. The core never asks what a channel is, only what it can do: by the spec,
or by a face that its sender or listener has besides (`EditsMessages`, `ShowsDrafts`, `ShowsTyping`,
`LooksUp`, `ReceivesHooks`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from sigil.http.fetch import Fetcher
from sigil.messages.exchange import Attachment, InboundMessage, OutboundMessage

if TYPE_CHECKING:
    from pydantic import BaseModel

# ---------------------------------------------------------------- what a channel can do

TextUnit = Literal["characters", "utf16", "bytes"]
"""What a platform counts: code points, UTF-16 code units, or bytes of UTF-8."""

Markup = Literal[
    "commonmark", "plain", "telegram", "slack", "discord", "whatsapp", "matrix", "email"
]
"""What CommonMark is rendered to; see `sigil.channels.render`."""

DraftKind = Literal["none", "call", "edit"]
"""How an unfinished answer is shown: not at all, by a call of its own that leaves no message, or
by sending a message that is edited and finally becomes the answer."""

MediaKind = Literal["file", "image", "audio", "video", "voice"]


@dataclass(frozen=True, slots=True)
class Pace:
    """The shortest pauses between two messages, in seconds (0: none): to one direct chat, to one
    group, and of the whole account. All outbound workers together keep them."""

    chat: float = 0.0
    group: float = 0.0
    account: float = 0.0


@dataclass(frozen=True, slots=True)
class MediaRules:
    """What files the platform takes and gives. Sizes are in bytes; a kind that is not listed goes
    out as a link, or is refused when it comes in."""

    incoming: frozenset[MediaKind] = frozenset()
    outgoing: frozenset[MediaKind] = frozenset()
    largest_in: int = 20 * 1024 * 1024
    largest_out: int = 50 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """What a channel can do, as a frozen value.

    `text_limit` bounds one message after rendering, counted in `text_unit`. The readers of a `live`
    channel watch the chat's event log, drafts included; with `html` they get replies as HTML. The
    listener of an `authenticated` channel has checked who writes and puts a user's id into
    `sender_id`, so no pairing is needed. A platform with `idempotent_send` takes a key, so a chunk
    whose fate is unknown can safely be sent again. `coalesce` lets one turn answer messages that a
    person sends in quick succession.
    """

    text_limit: int = 4000
    text_unit: TextUnit = "characters"
    markup: Markup = "commonmark"
    hint: str = ""  # for the model: what the channel can show
    live: bool = False
    html: bool = False
    drafts: DraftKind = "none"  # in direct chats
    group_drafts: DraftKind = "none"
    typing_seconds: float = 0.0  # how long one signal is shown; 0: there is none
    threads: bool = False
    buttons: bool = False  # `actions` are shown as buttons, not as words to type
    media: MediaRules = field(default_factory=MediaRules)
    pace: Pace = field(default_factory=Pace)
    idempotent_send: bool = False
    reports: bool = False  # the platform says later what became of a message
    authenticated: bool = False
    own_sessions: bool = False  # each chat is its own session, even a direct one
    coalesce: bool = False
    notices: bool = True  # tells people when an answer takes long; false where a message costs
    largest_hook: int = 1024 * 1024  # bytes of a request to `/hooks/…`


# ---------------------------------------------------------------- what goes out


@dataclass(frozen=True, slots=True)
class Rendered:
    """One message in the platform's own form.

    `text` is what counts against the limit. `extras` are the further fields of the markup, JSON
    values: Telegram's entities, an HTML body. `plain` is sent if the platform refuses the markup.
    """

    text: str
    extras: Mapping[str, Any] = field(default_factory=dict)
    plain: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One message to a platform. `id` stays the same over every retry; a platform that takes an
    idempotency key gets it. `final` marks the last chunk of a reply. `replaces` is the platform's
    id of the message in which the draft was shown; the chunk takes its place, by an edit. `attempt`
    is 1 for the first try of sending it, and rises with each."""

    id: str
    message: OutboundMessage
    index: int = 0
    final: bool = True
    turn_id: str | None = None
    rendered: Rendered | None = None
    replaces: str | None = None
    attempt: int = 1

    @property
    def text(self) -> str:
        """The text in the platform's form; the source if nothing was rendered."""
        return self.message.content if self.rendered is None else self.rendered.text


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is shown: a chat of an account, maybe a thread of it."""

    channel_id: str
    thread_id: str | None = None
    is_direct: bool = True


@runtime_checkable
class Sender(Protocol):
    """Sends to one account, in an outbound worker. `name` is the configured entry's."""

    name: str

    async def send(self, chunk: Chunk) -> str | None:
        """Sends one chunk that fits the channel. Returns the platform's id for it.

        Raises `SendFailed` (try again, maybe after a while), `AccountRefused` (nothing can be sent
        until somebody mends the account), `ChatMoved`, `MarkupRefused` (try plain text), or
        `SendRefused` (never again).
        """
        ...

    async def close(self) -> None:
        """Closes its connections. Safe to call twice."""
        ...


@runtime_checkable
class EditsMessages(Protocol):
    """A sender that can replace what it sent."""

    async def edit(self, chunk: Chunk, platform_id: str) -> None:
        """Replaces the message by the chunk. An edit that changes nothing succeeds. Raises what
        `send` raises."""
        ...


@runtime_checkable
class ShowsDrafts(Protocol):
    """A sender that shows unfinished answers."""

    async def show_draft(
        self, place: Place, draft_id: str, text: Rendered, shown: str | None
    ) -> str | None:
        """Shows all of the answer so far. `draft_id` is the same for the whole turn, `shown` what
        the last call for it returned: the platform's id of the message that is edited, or None.
        Raises what `send` raises; nobody tries again."""
        ...


@runtime_checkable
class ShowsTyping(Protocol):
    """A sender that shows that an answer is being written."""

    async def show_typing(self, place: Place) -> None:
        """Shows it for `typing_seconds`. Raises what `send` raises; nobody tries again."""
        ...


@runtime_checkable
class LooksUp(Protocol):
    """A sender that can find out whether a chunk was sent."""

    async def look_up(self, chunk: Chunk) -> str | None:
        """The platform's id of the message that the chunk became; None if it certainly was not
        sent. Raises `SendFailed` if that cannot be told now."""
        ...


# ---------------------------------------------------------------- what comes in


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What `Gateway.receive` returns: the item's id, and whether it had been accepted before."""

    id: str
    duplicate: bool


Receive = Callable[[InboundMessage], Awaitable[Acceptance]]


@dataclass(frozen=True, slots=True)
class Report:
    """What a platform says later about a message that was sent. `reason` is for people."""

    state: Literal["delivered", "failed", "read"]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class CommandName:
    """A command of chats, for a platform's menu."""

    name: str  # without the slash
    help: str


class Inbox(Protocol):
    """What a listener gets from the gateway process for its account. Every method but
    `note_activity` may raise `StoreError`."""

    commands: Sequence[CommandName]

    async def receive(self, message: InboundMessage) -> Acceptance:
        """Accepts a message. Only after it has returned may the platform be told so. Raises
        `MessageInvalid`, and `StoreFull`."""
        ...

    async def report(self, key: str, report: Report) -> None:
        """Takes a platform's later word on a message, by the platform's id of it, or by the
        chunk's id where the platform gives that back. An unknown key is ignored."""
        ...

    async def keep_file(
        self,
        data: AsyncIterator[bytes],
        *,
        kind: MediaKind,
        name: str,
        mime_type: str,
        size: int | None = None,
    ) -> Attachment:
        """Keeps a file that came with a message, within the limits, and returns what to put into
        the message. Raises `MediaRefused`; the message then carries what
        `sigil.blobs.base.make_refused` makes of it, and its answer tells the person why."""
        ...

    async def move_chat(self, channel_id: str, new_id: str) -> None:
        """Keeps that a chat has the id `new_id` from now on; its binding goes along."""
        ...

    async def is_admitted(self, sender_id: str) -> bool:
        """Whether this person would be heard: for invitations to chats."""
        ...

    async def load_cursor(self) -> str | None:
        """How far this account has been read; None at first."""
        ...

    async def save_cursor(self, cursor: str) -> None:
        """Keeps how far it has been read; after all before it was accepted. Raises `LeaseLost` if
        another process listens for this account by now."""
        ...

    async def load_last_messages(self) -> Mapping[str, str]:
        """By chat, the id of the message that was saved last: for platforms that do not replay what
        was missed. It knows 1,000 chats at most, for 30 days."""
        ...

    async def save_last_message(self, channel_id: str, message_id: str) -> None:
        """Keeps that id, after the message was accepted. Raises `LeaseLost`."""
        ...

    def note_activity(self) -> None:
        """Says that the connection lives. One that has been silent for `silence` seconds of the
        listener is cancelled and opened again."""
        ...


class Listener(Protocol):
    """Hands an account's messages to the core, in the gateway process. `name` is the configured
    entry's. One that has a `silence` (seconds) is opened again after that time without activity."""

    name: str

    async def listen(self, inbox: Inbox) -> None:
        """Hands in what arrives, until cancelled. One process at a time does so for an account.
        A listener that only receives hooks returns at once. Raises `AccountRefused` if somebody
        must mend the account first; after any other error it is called again, later each time."""
        ...

    async def close(self) -> None:
        """Closes its connections. Safe to call twice."""
        ...


@dataclass(frozen=True, slots=True)
class HookRequest:
    """A request to `/hooks/NAME`, read completely. Names of headers are in lower case. What may
    hold a secret is not in its `repr`."""

    method: str
    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class HookResponse:
    """What the platform is answered."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class ReceivesHooks(Protocol):
    """A listener whose platform calls the gateway, at `/hooks/NAME`. Any gateway process may be
    called."""

    async def receive_hook(self, request: HookRequest, inbox: Inbox) -> HookResponse:
        """Checks the signature of the raw body before anything else, hands in what it holds, and
        answers. `StoreError` and `MessageInvalid` may be raised: the platform is then told to come
        again, or that its request is wrong."""
        ...


@runtime_checkable
class ChecksAccount(Protocol):
    """A listener that can tell whether its account works, for `sigil channel test`."""

    async def check(self) -> Sequence[Check]:
        """Asks the platform; changes nothing there. Raises nothing of the network's."""
        ...


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked of an account: `what` was found, and what to do if it is not
    `ok`."""

    what: str
    ok: bool
    hint: str = ""


# ---------------------------------------------------------------- a channel's declaration


@dataclass(frozen=True, slots=True)
class AccountContext:
    """What a listener or a sender is made with. `name` is the configured entry, and messages carry
    `channel_type` and `account`. `stores` are those that a channel may need. `hook_url` is where
    the platform reaches the account's hook, if `gateway.public_url` is configured. `fetcher` is for
    addresses out of messages."""

    name: str
    channel_type: str
    account: str
    stores: Any  # `sigil.channels.live.ChannelStores`, which knows this module
    hook_url: str | None = None
    fetcher: Fetcher = field(default_factory=Fetcher)


class ChannelType:
    """A kind of channel: what its folder declares in `spec.py`. It is never instantiated.

    `sender` and `listener` name what makes one, as `package.module:name`, called with an
    `AccountContext` and the settings of the entry. A plug-in may have a model for its `options`,
    and gets those instead.
    """

    spec: ClassVar[ChannelSpec]
    sender: ClassVar[str]
    listener: ClassVar[str | None] = None
    options: ClassVar[type[BaseModel] | None] = None


@runtime_checkable
class Channel(Protocol):
    """A configured channel as the router knows it: anything with a name that can send. Its `spec`,
    if it has one, says what it can do."""

    name: str

    async def send(self, chunk: Chunk) -> str | None:
        """As `Sender.send`."""
        ...
