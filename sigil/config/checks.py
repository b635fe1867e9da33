"""Rules that span several settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sigil.config.addresses import is_loopback
from sigil.config.paths import KeyPath, format_path
from sigil.config.problems import Problem, suggest
from sigil.config.schema import OWNER_ID, Settings
from sigil.config.sources.expand import is_needed_by
from sigil.identity.scope import PERSONAL

# Examples and placeholders, which people forget to replace.
_KNOWN_TOKENS = frozenset(
    {
        *("openssl-rand-hex-32-makes-one", "changeme", "change-me", "change_me", "secret"),
        *("token", "password", "passwd", "admin", "test", "example", "your-token", "your_token"),
        *("sigil", "todo", "xxx", "12345678", "gateway_token", "${gateway_token}"),
    }
)


def check_settings(settings: Settings, role: str | None) -> Iterator[Problem]:
    """What is wrong although each setting by itself is right, as far as it concerns the role
    (None: all roles)."""
    yield from _check_users(settings)
    yield from _check_workspaces(settings)
    yield from _check_models(settings)
    yield from _check_lanes(settings)
    yield from _check_channels(settings, role)
    if is_needed_by(("gateway", "token"), role):
        yield from _check_exposure(settings)
        yield from _check_tokens(settings)


def _find_repeats(claims: Iterable[tuple[object, KeyPath]]) -> Iterator[tuple[KeyPath, KeyPath]]:
    """Yields (later, first): the path of a claim that was made before, and the path where."""
    first: dict[object, KeyPath] = {}
    for claim, path in claims:
        if first.setdefault(claim, path) != path:
            yield path, first[claim]


def _check_users(settings: Settings) -> Iterator[Problem]:
    if not any(user.role == "owner" for user in settings.users.values()):
        yield Problem(
            ("users", OWNER_ID),
            "nobody has the role owner; give it to one of the users, or rename this one",
        )
    claims = [
        (identity, ("users", id, "identities", i))
        for id, user in settings.users.items()
        for i, identity in enumerate(user.identities)
    ]
    for later, first in _find_repeats(claims):
        yield Problem(
            later,
            f"this identity is already at {format_path(first)}; an identity belongs to one user",
        )


def _check_workspaces(settings: Settings) -> Iterator[Problem]:
    if PERSONAL in settings.workspaces:
        yield Problem(
            ("workspaces", PERSONAL), "this id is reserved for the workspace of unbound chats"
        )
    claims = [
        ((binding.channel, binding.channel_id, binding.space), ("workspaces", id, "bindings", i))
        for id, workspace in settings.workspaces.items()
        for i, binding in enumerate(workspace.bindings)
    ]
    for later, first in _find_repeats(claims):
        yield Problem(
            later,
            f"this chat is already bound at {format_path(first)}; it can be bound only once",
        )
    for id, workspace in settings.workspaces.items():
        for i, member in enumerate(workspace.members):
            channel, colon, platform_id = member.partition(":")
            if member not in settings.users and not (channel and colon and platform_id):
                yield Problem(
                    ("workspaces", id, "members", i),
                    f"neither a user's id nor channel:platform_id{suggest(member, settings.users)}",
                )


def list_model_names(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    """Where a model is named, and its full name."""
    models = settings.models
    yield ("models", "default"), models.default
    yield from ((("models", "failover", i), name) for i, name in enumerate(models.failover))
    yield from ((("models", "allowed", i), name) for i, name in enumerate(models.allowed))
    for id, workspace in settings.workspaces.items():
        if workspace.model is not None:
            yield ("workspaces", id, "model"), workspace.model


def _check_models(settings: Settings) -> Iterator[Problem]:
    for path, name in list_model_names(settings):
        provider = name.partition("/")[0]
        if provider not in settings.providers:
            near = suggest(provider, settings.providers)
            yield Problem(path, f"provider '{provider}' is not configured under providers{near}")


def _check_lanes(settings: Settings) -> Iterator[Problem]:
    lanes = settings.lanes
    if lanes.lease <= 2 * lanes.renew:
        yield Problem(("lanes", "lease"), "must be more than twice lanes.renew")
    if lanes.coalesce_max < lanes.coalesce_quiet:
        yield Problem(("lanes", "coalesce_max"), "must be at least lanes.coalesce_quiet")


def _check_channels(settings: Settings, role: str | None) -> Iterator[Problem]:
    """Names the settings that a channel cannot do without, in the roles that have its secrets."""
    for name, entry in settings.channels.items():
        for key in entry.needs:
            path = ("channels", name, key)
            if getattr(entry, key) is None and is_needed_by(path, role):
                yield Problem(path, "is missing; this channel cannot work without it")


def _check_exposure(settings: Settings) -> Iterator[Problem]:
    if settings.gateway.token is None and not is_loopback(settings.gateway.host):
        yield Problem(
            ("gateway", "host"),
            "everyone who reaches this address would be the owner; set gateway.token "
            "(`openssl rand -hex 32` makes one), or listen on 127.0.0.1",
        )


def _check_tokens(settings: Settings) -> Iterator[Problem]:
    claims: list[tuple[str, KeyPath]] = [
        (user.token.get_secret_value(), ("users", id, "token"))
        for id, user in settings.users.items()
        if user.token is not None
    ]
    if settings.gateway.token is not None:
        claims.insert(0, (settings.gateway.token.get_secret_value(), ("gateway", "token")))
    for later, first in _find_repeats(claims):
        yield Problem(later, f"is the same as {format_path(first)}; each needs its own")
    for token, path in claims:
        if token.lower() in _KNOWN_TOKENS:
            yield Problem(
                path, "everybody knows this token; `openssl rand -hex 32` makes one of your own"
            )
