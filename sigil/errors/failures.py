"""What a failed model call means: eleven classes, and one rule for each.

A provider knows its vendor's answer, so the provider chooses the class (`ErrorKind`). Everything
else decides by the class alone, and finds every decision in one table, `POLICY`:

    a call failed ─▶ its class ─▶ its rule ─┬─ again   the same model, in this turn?
                                            ├─ next    another model of the chain?
                                            ├─ rest    for how long does no worker call the model?
                                            ├─ waits   does a turn wait for the end of that?
                                            ├─ billed  what did it cost, if nobody counted?
                                            └─ told    what does the person read in the end?

The table stands here, beside `ErrorKind` and below the errors, because an error is transient
or permanent by its class: `ProviderError` reads that from the table when it is made. "When a call
fails" in `docs/guides/models.md` is the same table in words, and tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, Flag, StrEnum, auto


class ErrorKind(StrEnum):
    """The class of a failed model call."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER = "server"
    NETWORK = "network"
    TIMEOUT = "timeout"
    AUTH = "auth"
    BILLING = "billing"
    CONTEXT_TOO_LONG = "context_too_long"
    INVALID_REQUEST = "invalid_request"
    FILTERED = "filtered"
    UNAVAILABLE = "unavailable"


class Again(Flag):
    """When the same model may be called again within one turn."""

    NEVER = 0
    WITH_ANOTHER_KEY = auto()
    """At once, if the provider has a key that was not used yet."""
    SOON = auto()
    """Once, after a moment, unless the model has already spoken and another model is left. A vendor
    that names a time (`Retry-After`) is not called before it."""


class Next(Enum):
    """Which of the remaining models of the chain may still answer."""

    ANY = auto()
    LARGER = auto()
    """Only models with a larger context."""
    NONE = auto()
    """No model: each would fail the same way."""


class Billed(Enum):
    """What a failed call costs if the vendor did not count its tokens."""

    NOTHING = auto()
    """If no word of the answer came either: a vendor that refuses a call does not charge for it."""
    WHAT_CAME = auto()
    """The request, and as much of the answer as arrived."""
    MORE_THAN_CAME = auto()
    """The vendor may have gone on writing, because it did not see that nobody was listening."""


class Told(Enum):
    """What the person reads if the turn ends with this failure."""

    TRY_LATER = auto()
    START_ANEW = auto()
    """The conversation is too long; `/new` starts a fresh one."""
    REJECTED = auto()


CONFIGURED: tuple[float, ...] = ()
"""Rests for the steps of the setting `models.cooldowns`."""

AUTH_STEPS = (600.0, 3600.0)
BILL_STEPS = (3600.0, 86_400.0)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of `POLICY`.

    `transient` says whether the same call may succeed later. `rest` is how long the model rests,
    in seconds: after the first failure in a row, the second, and so on, the last one from then
    on. None: it does not rest, because the failure was the request's and not the model's. `waits`
    says whether a turn that no other model can answer waits until the model may be called again:
    only if the cause passes by itself.
    """

    transient: bool
    again: Again
    next: Next
    rest: tuple[float, ...] | None
    waits: bool
    billed: Billed
    told: Told


_NEVER, _KEY, _SOON = Again(0), Again.WITH_ANOTHER_KEY, Again.SOON
_ANY, _LARGER, _NONE = Next
_FREE, _CAME, _MORE = Billed
_LATER, _ANEW, _REJECTED = Told

# fmt: off
POLICY: Mapping[ErrorKind, Rule] = {
    # class                      transient  again   next     rest        waits  billed told
    ErrorKind.RATE_LIMITED:     Rule(True,  _KEY,   _ANY,    CONFIGURED, True,  _FREE, _LATER),
    ErrorKind.OVERLOADED:       Rule(True,  _SOON,  _ANY,    CONFIGURED, True,  _FREE, _LATER),
    ErrorKind.NETWORK:          Rule(True,  _SOON,  _ANY,    CONFIGURED, True,  _MORE, _LATER),
    ErrorKind.SERVER:           Rule(True,  _NEVER, _ANY,    CONFIGURED, True,  _CAME, _LATER),
    ErrorKind.TIMEOUT:          Rule(True,  _NEVER, _ANY,    CONFIGURED, True,  _MORE, _LATER),
    ErrorKind.UNAVAILABLE:      Rule(True,  _NEVER, _ANY,    CONFIGURED, False, _FREE, _LATER),
    ErrorKind.AUTH:             Rule(False, _KEY,   _ANY,    AUTH_STEPS, False, _FREE, _LATER),
    ErrorKind.BILLING:          Rule(False, _KEY,   _ANY,    BILL_STEPS, False, _FREE, _LATER),
    ErrorKind.CONTEXT_TOO_LONG: Rule(False, _NEVER, _LARGER, None,       False, _FREE, _ANEW),
    ErrorKind.INVALID_REQUEST:  Rule(False, _NEVER, _NONE,   None,       False, _FREE, _REJECTED),
    ErrorKind.FILTERED:         Rule(False, _NEVER, _NONE,   None,       False, _CAME, _REJECTED),
}
# fmt: on

MENDED_BY_OWNER = frozenset({ErrorKind.AUTH, ErrorKind.BILLING})
"""The classes that pass only when the owner does something; the owner is told of them."""
