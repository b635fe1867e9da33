"""Every error that Sigil raises.

    SigilError
    ├── ConfigError                    config.invalid
    ├── MessageInvalid                 message.invalid
    ├── RecordTooNew                   record.too_new               (transient)
    ├── StoreError                     store.unavailable            (transient)
    │   ├── StoreFull                  store.full                   (transient)
    │   ├── StoreReadOnly              store.read_only              (transient)
    │   ├── StoreDenied                store.denied                 (transient)
    │   ├── CommandRefused             store.command_refused
    │   ├── EffectRejected             store.effect_rejected
    │   ├── LeaseLost                  lane.lease_lost
    │   ├── LaneFull                   lane.full                    (transient)
    │   └── SessionStale               session.stale                (transient)
    ├── BlobGone                       blob.gone
    ├── UserNotFound                   identity.user_not_found
    ├── IdentityTaken                  identity.taken
    ├── NotAMember                     workspace.not_a_member
    ├── WorkspaceNotFound              workspace.not_found
    ├── ChannelError                   channel.failed
    │   ├── ChannelNotFound            channel.not_found
    │   ├── MediaRefused               channel.media_refused
    │   │   ├── AddressRefused         network.address_refused
    │   │   └── FetchFailed            network.fetch_failed         (transient)
    │   ├── SendFailed                 channel.send_failed          (transient)
    │   │   ├── AccountRefused         channel.account_refused      (transient)
    │   │   └── ChatMoved              channel.chat_moved           (transient)
    │   └── SendRefused                channel.send_refused
    │       └── MarkupRefused          channel.markup_refused
    └── ProviderError                  provider.failed              (by kind)
        ├── ProviderNotFound           provider.not_found
        ├── AllProvidersUnavailable    provider.all_unavailable     (transient)
        ├── PriceUnknown               provider.price_unknown
        └── BudgetExceeded             provider.budget_exceeded

`transient` says whether trying the same thing again later can help. `hint`, where a
person can do something, says what to do next; it is part of the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sigil.errors.failures import POLICY, ErrorKind

__all__ = [
    "AccountRefused",
    "AddressRefused",
    "AllProvidersUnavailable",
    "BlobGone",
    "BudgetExceeded",
    "ChannelError",
    "ChannelNotFound",
    "ChatMoved",
    "CommandRefused",
    "ConfigError",
    "EffectRejected",
    "ErrorKind",
    "FetchFailed",
    "IdentityTaken",
    "LaneFull",
    "LeaseLost",
    "MarkupRefused",
    "MediaRefused",
    "MessageInvalid",
    "NotAMember",
    "PriceUnknown",
    "ProviderError",
    "ProviderNotFound",
    "RecordTooNew",
    "SendFailed",
    "SendRefused",
    "SigilError",
    "StoreDenied",
    "StoreError",
    "StoreFull",
    "StoreReadOnly",
    "UserNotFound",
    "WorkspaceNotFound",
]


class SigilError(Exception):
    """The root of the tree. `str(error)` is the message followed by the hint."""

    code: ClassVar[str] = "sigil.failed"
    transient: bool = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message} {hint}")
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        # By default pickle calls the class with the text alone, which fits few of these classes.
        return _restore_error, (type(self), self.args), self.__dict__


def _restore_error(kind: type[SigilError], args: tuple[Any, ...]) -> SigilError:
    error = kind.__new__(kind)
    error.args = args
    return error


class ConfigError(SigilError):
    """The configuration is not usable; the message names the path of the bad key."""

    code = "config.invalid"


class MessageInvalid(SigilError):
    """A message from outside is over a bound or malformed, and nothing was stored; or a stored
    record is malformed."""

    code = "message.invalid"


class RecordTooNew(SigilError):
    """A stored record was written by a newer version, for newer ones only. What it belongs to is
    left to a newer process."""

    code = "record.too_new"
    transient = True


class StoreError(SigilError):
    """The store could not be reached or did not answer. This is never "not found"."""

    code = "store.unavailable"
    transient = True


class StoreFull(StoreError):
    """The store's memory is full, or so nearly that it takes no new messages; nothing was stored.
    What was accepted before is still answered."""

    code = "store.full"


class StoreReadOnly(StoreError):
    """The store takes no writes: its disk failed, or it is a replica."""

    code = "store.read_only"


class StoreDenied(StoreError):
    """The store does not accept our login, or forbids its user a command. That is no fault of a
    message, so messages wait until somebody has corrected it."""

    code = "store.denied"


class CommandRefused(StoreError):
    """A command or a key is wrong: a key of another type, a value that is no number. The same
    command will be refused again."""

    code = "store.command_refused"
    transient = False


class EffectRejected(StoreError):
    """A unit of work was malformed; it was refused whole, before its first write."""

    code = "store.effect_rejected"
    transient = False


class LeaseLost(StoreError):
    """Another worker holds the lane now; the holder must stop at once."""

    code = "lane.lease_lost"
    transient = False


class LaneFull(StoreError):
    """The lane takes no more items until it drains; nothing was applied. `noticed`: the chat that
    was told so lately, if any."""

    code = "lane.full"

    def __init__(self, lane: str, *, noticed: str | None = None) -> None:
        super().__init__(f"lane {lane} is full")
        self.lane = lane
        self.noticed = noticed


class SessionStale(StoreError):
    """The session has been written, or its lane has moved, since it was read; nothing was
    applied."""

    code = "session.stale"


class BlobGone(SigilError):
    """A file that was kept is there no more: its time is over, or it had to make room."""

    code = "blob.gone"


class UserNotFound(SigilError):
    """No user holds this identity."""

    code = "identity.user_not_found"


class IdentityTaken(SigilError):
    """Another user holds this identity already."""

    code = "identity.taken"


class NotAMember(SigilError):
    """The person may not speak here."""

    code = "workspace.not_a_member"


class WorkspaceNotFound(SigilError):
    """No workspace of this id is configured."""

    code = "workspace.not_found"


class ChannelError(SigilError):
    """Something about a channel failed."""

    code = "channel.failed"


class ChannelNotFound(ChannelError):
    """No channel of this name is configured."""

    code = "channel.not_found"


class MediaRefused(ChannelError):
    """A file is too large, or of a kind that is not taken; the message can be shown to people."""

    code = "channel.media_refused"


class AddressRefused(MediaRefused):
    """An address out of a message leads to where Sigil does not go: into a private network, say, or
    by another scheme than http."""

    code = "network.address_refused"


class FetchFailed(MediaRefused):
    """What is at an address could not be read this time, or in the time that it may take."""

    code = "network.fetch_failed"
    transient = True


class SendFailed(ChannelError):
    """The platform did not take the chunk this time. `retry_after` is in seconds.

    `outcome_unknown` is true when the platform may have taken it all the same (a lost reply).
    `rests_account`: the pause is for the whole account, not for this chat alone.
    """

    code = "channel.send_failed"
    transient = True

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        outcome_unknown: bool = False,
        rests_account: bool = False,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after
        self.outcome_unknown = outcome_unknown
        self.rests_account = rests_account


class AccountRefused(SendFailed):
    """The platform refuses the account: a bad token, a missing permission. Nothing is lost, and
    nothing can be done until somebody has mended it; the hint says how."""

    code = "channel.account_refused"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, rests_account=True, hint=hint)


class ChatMoved(SendFailed):
    """The chat has another id from now on, `channel_id`; nothing was sent."""

    code = "channel.chat_moved"

    def __init__(self, message: str, channel_id: str) -> None:
        super().__init__(message)
        self.channel_id = channel_id


class SendRefused(ChannelError):
    """The platform will never take it. `closes_chat`: nor anything else for this chat, since the
    bot was blocked or the chat is gone."""

    code = "channel.send_refused"

    def __init__(self, message: str, *, closes_chat: bool = False, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.closes_chat = closes_chat


class MarkupRefused(SendRefused):
    """The platform does not take this markup, file or reference, but perhaps the plain text."""

    code = "channel.markup_refused"


class ProviderError(SigilError):
    """A model call failed. `retry_after` is in seconds; `request_id` is the vendor's.

    `reached` is false if the vendor certainly never got the request: no connection. `counts` is
    false if the failure says nothing about whether the model works.
    """

    code = "provider.failed"

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind = ErrorKind.SERVER,
        provider: str = "",
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        reached: bool = True,
        counts: bool = True,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.provider = provider
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        self.reached = reached
        self.counts = counts
        # A plug-in may have invented a class of its own.
        self.transient = kind in POLICY and POLICY[kind].transient


class ProviderNotFound(ProviderError):
    """No provider of this name is registered."""

    code = "provider.not_found"


class AllProvidersUnavailable(ProviderError):
    """Every candidate was tried or passed over. `causes` maps `provider/model` to its cause, and
    `kinds` to the class of its failure, now or when it began to rest, if it has one. In `retry_in`
    seconds the first may be called that rests for a cause that passes by itself (0: now, or a probe
    of it is under way; None: there is none)."""

    code = "provider.all_unavailable"

    def __init__(
        self,
        causes: dict[str, str],
        *,
        kinds: Mapping[str, ErrorKind] | None = None,
        retry_in: float | None = None,
    ) -> None:
        listed = (
            "; ".join(f"{name}: {cause}" for name, cause in causes.items()) or "none configured"
        )
        super().__init__(f"all providers unavailable ({listed})", kind=ErrorKind.UNAVAILABLE)
        self.causes = dict(causes)
        self.kinds = dict(kinds or {})
        self.retry_in = retry_in


class PriceUnknown(ProviderError):
    """Dollars are limited here, and nobody knows what this model costs."""

    code = "provider.price_unknown"

    def __init__(self, model: str) -> None:
        super().__init__(
            f"the price of {model} is unknown, and a budget in dollars is set.",
            kind=ErrorKind.UNAVAILABLE,
            provider=model.partition("/")[0],
            hint="Set its price under providers.<name>.models, or budgets.unknown_price: allow.",
        )


class BudgetExceeded(ProviderError):
    """The budget does not allow this call. `window` is `session`, `hour` or `day`; one of a
    dollar budget resets in `resets_in` seconds."""

    code = "provider.budget_exceeded"

    def __init__(self, message: str, *, window: str, resets_in: float | None = None) -> None:
        super().__init__(message, kind=ErrorKind.BILLING)
        self.window = window
        self.resets_in = resets_in
