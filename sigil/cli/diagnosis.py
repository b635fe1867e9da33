"""The checks of `sigil doctor`, in the order of its table."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from sigil import bootstrap
from sigil.cli import probes
from sigil.cli.account_checks import ask_platforms, check_records, find_failed, judge_answers
from sigil.cli.channel_accounts import list_heard_accounts
from sigil.cli.finding import Finding
from sigil.cli.fleet_checks import check_fleet
from sigil.cli.provider_checks import check_providers
from sigil.cli.versions import list_versions
from sigil.config import Settings, find_source, load_settings
from sigil.config.addresses import is_loopback
from sigil.config.masking import find_secrets
from sigil.errors import ConfigError, SigilError

MIN_TOKEN_CHARS = 16
# For each platform; all are asked at once.
PLATFORMS_WITHIN_S = 15.0
# A shorter secret, such as a PIN, also stands in a file by chance.
_MIN_SECRET_CHARS = 4
_READABLE_BY_OTHERS = 0o044


def examine_installation(
    path: Path | None, role: str | None = None, *, live: bool = False
) -> Iterator[Finding]:
    """Runs all checks that concern a role (None: all roles) on this machine. If the settings
    cannot be loaded, the checks that need them are left out. `live` also calls a model."""
    versions = ", ".join(f"{name} {number}" for name, number in list_versions().items())
    yield Finding("versions", "ok", versions)
    try:
        settings = load_settings(path, role=role)
    except ConfigError as error:
        yield Finding("configuration", "fail", str(error), "Correct the file or the variables.")
        return
    yield from _check_configuration(settings, find_source(path))
    yield from _check_channels(settings)
    heard = list_heard_accounts(settings) if role in {None, "gateway"} else []
    answers = asyncio.run(ask_platforms(settings, heard, within=PLATFORMS_WITHIN_S))
    yield from judge_answers(answers)
    yield _check_data_folder(settings.data_dir)
    yield from _check_redis(settings, find_failed(answers))
    if role in {None, "gateway"}:
        yield _check_port(settings)
    if role in {None, "agent"}:
        yield from check_providers(settings, live=live)


def _check_configuration(settings: Settings, file: Path | None) -> Iterator[Finding]:
    yield Finding("configuration", "ok", str(file or "no file; all defaults"))
    if file is not None and _exposes_secrets(file, settings):
        yield Finding(
            "configuration",
            "warn",
            "holds secrets, and other users of this machine can read it",
            f"chmod 600 {file}, or take them from variables: ${{NAME}}.",
        )
    token = settings.gateway.token
    if token is not None and len(token.get_secret_value()) < MIN_TOKEN_CHARS:
        yield Finding(
            "gateway.token",
            "warn" if is_loopback(settings.gateway.host) else "fail",
            f"has fewer than {MIN_TOKEN_CHARS} characters",
            "Make one with `openssl rand -hex 32`.",
        )


def _exposes_secrets(file: Path, settings: Settings) -> bool:
    """Whether other users of this machine can read a secret in the file."""
    try:
        if not file.stat().st_mode & _READABLE_BY_OTHERS:
            return False
        text = file.read_text(encoding="utf-8")
    except OSError:
        return False
    return any(
        len(secret) >= _MIN_SECRET_CHARS and secret in text for secret in find_secrets(settings)
    )


def _check_channels(settings: Settings) -> Iterator[Finding]:
    try:
        bootstrap.check_channels(settings)
    except ConfigError as error:
        yield Finding("channels", "fail", error.message, error.hint or "Correct its type.")
    for place in _find_unknown_channels(settings):
        yield Finding(
            "channels", "warn", f"{place} names a channel that is not configured", "Is it a typo?"
        )


def _find_unknown_channels(settings: Settings) -> Iterator[str]:
    for user_id, user in settings.users.items():
        for i, identity in enumerate(user.identities):
            if identity.partition(":")[0] not in settings.channels:
                yield f"users.{user_id}.identities[{i}]"
    for workspace_id, workspace in settings.workspaces.items():
        for i, binding in enumerate(workspace.bindings):
            if binding.channel not in settings.channels:
                yield f"workspaces.{workspace_id}.bindings[{i}]"


def _check_data_folder(folder: Path) -> Finding:
    """The folder, or the nearest existing one above it, must be writable."""
    nearest = next(each for each in (folder, *folder.parents) if os.access(each, os.F_OK))
    if not nearest.is_dir():
        return Finding("data folder", "fail", f"{nearest} is not a folder", "Set data_dir.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        advice = "Let the user that Sigil runs as write to it, or set data_dir."
        return Finding("data folder", "fail", f"{nearest} cannot be written to", advice)
    return Finding("data folder", "ok", str(folder))


def _check_redis(settings: Settings, told: Collection[str]) -> Iterator[Finding]:
    own = settings.redis.url is None
    try:
        warnings = asyncio.run(probes.read_redis_warnings(settings))
    except ConfigError as error:
        # The private server comes and goes with `sigil up`, so that only others must be up.
        yield Finding("redis", "warn" if own else "fail", error.message, error.hint or "")
        return
    except SigilError as error:
        advice = error.hint or "Is it running, and is redis.url right?"
        yield Finding("redis", "fail", error.message, advice)
        return
    yield Finding("redis", "ok", "embedded, answers" if own else "answers")
    for warning in warnings:
        yield Finding("redis", "warn", warning, "Change it in the server's configuration.")
    try:
        yield from check_fleet(*asyncio.run(probes.read_fleet(settings)), settings.blobs.store)
        yield from check_records(asyncio.run(probes.read_accounts(settings)), told)
    except SigilError as error:
        yield Finding("processes", "fail", str(error), "Is Redis still running?")
        return
    yield from _check_books(settings)


def _check_books(settings: Settings) -> Iterator[Finding]:
    try:
        problems = asyncio.run(probes.read_problems(settings))
    except SigilError as error:
        yield Finding("books", "fail", str(error), "Is Redis still running?")
        return
    for problem in problems:
        advice = "`sigil status --verify` says it again; with --deep it names what is lost."
        yield Finding("books", "fail", problem, advice)


def _check_port(settings: Settings) -> Finding:
    host, port = settings.gateway.host, settings.gateway.port
    where = f"{host}:{port}"
    problem = probes.find_port_problem(host, port)
    if problem is None:
        return Finding("port", "ok", f"{where} is free{_describe_gateways(settings)}")
    if probes.is_sigil(host, port):
        return Finding("port", "ok", f"{where} is served by a running Sigil")
    return Finding("port", "fail", f"{where}: {problem}", "Set gateway.host or gateway.port.")


def _describe_gateways(settings: Settings) -> str:
    """Where the gateway runs, if not on this port. Without Redis there is nothing to say."""
    try:
        processes, _ = asyncio.run(probes.read_fleet(settings))
    except SigilError:
        return ""
    places = [each.place for each in processes if "gateway" in each.roles and each.is_live]
    return f"; the gateway runs elsewhere, as {', '.join(places)}" if places else ""
