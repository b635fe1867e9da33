"""Rules that span several settings."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from sigil.config.document import KeyPath
from sigil.config.expand import is_for
from sigil.config.problems import Problem, dotted, suggestion
from sigil.config.schema import OWNER_ID, PERSONAL, Settings


def check(settings: Settings, role: str | None) -> Iterator[Problem]:
    """Everything that is wrong although each setting by itself is right."""
    yield from _users(settings)
    yield from _workspaces(settings)
    yield from _models(settings)
    yield from _numbers(settings)
    if is_for(("gateway", "token"), role):
        yield from _exposure(settings)
        yield from _tokens(settings)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on this address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _first_holders(claims: Iterable[tuple[object, KeyPath]]) -> Iterator[tuple[KeyPath, KeyPath]]:
    """Pairs (later, first) of the paths that claim what another has claimed."""
    first: dict[object, KeyPath] = {}
    for claim, path in claims:
        if first.setdefault(claim, path) != path:
            yield path, first[claim]


def _users(settings: Settings) -> Iterator[Problem]:
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
    for later, first in _first_holders(claims):
        yield Problem(later, f"this identity is already at {dotted(first)}; it belongs to one user")


def _workspaces(settings: Settings) -> Iterator[Problem]:
    if PERSONAL in settings.workspaces:
        yield Problem(("workspaces", PERSONAL), "this id is reserved for what unbound chats use")
    claims = [
        ((binding.channel, binding.channel_id), ("workspaces", id, "bindings", i))
        for id, workspace in settings.workspaces.items()
        for i, binding in enumerate(workspace.bindings)
    ]
    for later, first in _first_holders(claims):
        yield Problem(later, f"this chat is already bound at {dotted(first)}; it can be bound once")
    for id, workspace in settings.workspaces.items():
        for i, member in enumerate(workspace.members):
            channel, colon, platform_id = member.partition(":")
            if member not in settings.users and not (channel and colon and platform_id):
                near = suggestion(member, settings.users)
                yield Problem(
                    ("workspaces", id, "members", i),
                    f"neither a user's id nor channel:platform_id{near}",
                )


def _models(settings: Settings) -> Iterator[Problem]:
    names: list[tuple[KeyPath, str]] = [(("models", "default"), settings.models.default)]
    names += [(("models", "failover", i), name) for i, name in enumerate(settings.models.failover)]
    names += [
        (("workspaces", id, "model"), workspace.model)
        for id, workspace in settings.workspaces.items()
        if workspace.model is not None
    ]
    for path, name in names:
        provider = name.partition("/")[0]
        if provider not in settings.providers:
            near = suggestion(provider, settings.providers)
            yield Problem(path, f"provider '{provider}' is not configured under providers{near}")


def _numbers(settings: Settings) -> Iterator[Problem]:
    lanes = settings.lanes
    if lanes.lease <= 2 * lanes.renew:
        yield Problem(("lanes", "lease"), "must be more than twice lanes.renew")
    if lanes.coalesce_max < lanes.coalesce_quiet:
        yield Problem(("lanes", "coalesce_max"), "must be at least lanes.coalesce_quiet")


def _exposure(settings: Settings) -> Iterator[Problem]:
    if settings.gateway.token is None and not is_loopback(settings.gateway.host):
        yield Problem(
            ("gateway", "host"),
            "everyone who reaches this address would be the owner; set gateway.token "
            "(`openssl rand -hex 32` makes one), or listen on 127.0.0.1",
        )


def _tokens(settings: Settings) -> Iterator[Problem]:
    claims: list[tuple[str, KeyPath]] = [
        (user.token.get_secret_value(), ("users", id, "token"))
        for id, user in settings.users.items()
        if user.token is not None
    ]
    if settings.gateway.token is not None:
        claims.insert(0, (settings.gateway.token.get_secret_value(), ("gateway", "token")))
    for later, first in _first_holders(claims):
        yield Problem(later, f"is the same as {dotted(first)}; each needs its own")
