"""`sigil doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from sigil import bootstrap
from sigil.cli import output, probes
from sigil.cli.config import source
from sigil.cli.version import versions
from sigil.config import Settings, load_settings
from sigil.config.checks import is_loopback
from sigil.config.masking import secret_values
from sigil.errors import ConfigError, SigilError

State = Literal["ok", "warn", "fail"]
MIN_TOKEN = 16
VENDORS = frozenset({"anthropic", "google", "openai"})


@dataclass(frozen=True)
class Finding:
    """What one check found; `advice` says what to do where something is not ok."""

    check: str
    state: State
    detail: str
    advice: str = ""


def run(path: Path | None, role: str | None, *, as_json: bool) -> int:
    """Prints every finding; 1 if something fails."""
    findings = list(examine(path, role))
    if as_json:
        output.as_json({"findings": [asdict(each) for each in findings]})
    else:
        output.table(
            ("check", "state", "found", "what to do"),
            [(each.check, each.state, each.detail, each.advice) for each in findings],
        )
    return 1 if any(each.state == "fail" for each in findings) else 0


def examine(path: Path | None, role: str | None = None) -> Iterator[Finding]:
    """All checks that concern a role (None: all roles) on this machine. Without usable settings
    those that need them are left out."""
    yield _versions()
    try:
        settings = load_settings(path, role=role)
    except ConfigError as error:
        yield Finding("configuration", "fail", str(error), "Correct the file or the variables.")
        return
    yield from _configuration(settings, source(path))
    yield _data_folder(settings.data_dir)
    yield from _redis(settings)
    if role in {None, "gateway"}:
        yield _port(settings)
    if role in {None, "agent"}:
        yield from _providers(settings)


def _versions() -> Finding:
    found = versions()
    shown = ", ".join(f"{name} {number}" for name, number in found.items())
    return Finding("versions", "ok", shown)


def _configuration(settings: Settings, file: str | None) -> Iterator[Finding]:
    yield Finding("configuration", "ok", file or "no file; all defaults")
    if file is not None and _shows_secrets(Path(file), settings):
        yield Finding(
            "configuration",
            "warn",
            "holds secrets, and other users of this machine can read it",
            f"chmod 600 {file}, or take them from variables: ${{NAME}}.",
        )
    token = settings.gateway.token
    if token is not None and len(token.get_secret_value()) < MIN_TOKEN:
        yield Finding(
            "gateway.token",
            "fail" if not is_loopback(settings.gateway.host) else "warn",
            f"has fewer than {MIN_TOKEN} characters",
            "Make one with `openssl rand -hex 32`.",
        )
    try:
        bootstrap.check_channels(settings)
    except ConfigError as error:
        yield Finding("channels", "fail", error.message, error.hint or "Correct its type.")
    for where in _lost_references(settings):
        yield Finding(
            "channels", "warn", f"{where} is of a channel that is not configured", "Is it a typo?"
        )


def _shows_secrets(file: Path, settings: Settings) -> bool:
    try:
        if not file.stat().st_mode & 0o044:
            return False
        text = file.read_text(encoding="utf-8")
    except OSError:
        return False
    return any(len(secret) > 3 and secret in text for secret in secret_values(settings))


def _lost_references(settings: Settings) -> Iterator[str]:
    for user_id, user in settings.users.items():
        for i, identity in enumerate(user.identities):
            if identity.partition(":")[0] not in settings.channels:
                yield f"users.{user_id}.identities[{i}]"
    for workspace_id, workspace in settings.workspaces.items():
        for i, binding in enumerate(workspace.bindings):
            if binding.channel not in settings.channels:
                yield f"workspaces.{workspace_id}.bindings[{i}]"


def _data_folder(folder: Path) -> Finding:
    there = next(each for each in (folder, *folder.parents) if os.access(each, os.F_OK))
    if not there.is_dir():
        return Finding("data folder", "fail", f"{there} is not a folder", "Set data_dir.")
    if not os.access(there, os.W_OK | os.X_OK):
        advice = "Give the user that Sigil runs as the right to, or set data_dir."
        return Finding("data folder", "fail", f"{there} cannot be written to", advice)
    return Finding("data folder", "ok", str(folder))


def _redis(settings: Settings) -> Iterator[Finding]:
    own = settings.redis.url is None
    try:
        warnings = asyncio.run(probes.redis_warnings(settings))
    except ConfigError as error:
        # Only the private one may be down: it comes and goes with `sigil up`.
        yield Finding("redis", "warn" if own else "fail", error.message, error.hint or "")
        return
    except SigilError as error:
        yield Finding("redis", "fail", str(error), "Is it running, and is redis.url right?")
        return
    yield Finding("redis", "ok", "embedded, answers" if own else "answers")
    for warning in warnings:
        yield Finding("redis", "warn", warning, "Change it in the server's configuration.")


def _port(settings: Settings) -> Finding:
    host, port = settings.gateway.host, settings.gateway.port
    where = f"{host}:{port}"
    reason = probes.why_not_bindable(host, port)
    if reason is None:
        return Finding("port", "ok", f"{where} is free")
    if probes.is_sigil(host, port):
        return Finding("port", "ok", f"{where} is served by a running Sigil")
    return Finding("port", "fail", f"{where}: {reason}", "Set gateway.host or gateway.port.")


def _providers(settings: Settings) -> Iterator[Finding]:
    keyless = list(_without_key(settings))
    yield from keyless
    model = settings.models.default
    try:
        bootstrap.check_models(settings)
    except ConfigError as error:
        if not keyless:  # it would be said twice
            advice = error.hint or "Correct providers or models."
            yield Finding("providers", "fail", error.message, advice)
        return
    if model.startswith("echo/"):
        advice = "Set providers.openai.api_key and models.default; see `sigil config init`."
        yield Finding("providers", "warn", "echo answers; no model is chosen", advice)
    else:
        yield Finding("providers", "ok", f"{model} answers first")


def _without_key(settings: Settings) -> Iterator[Finding]:
    for name, provider in settings.providers.items():
        if (provider.type or name) not in VENDORS:
            continue
        given = provider.api_key or provider.api_keys or provider.base_url
        if not given and "server" not in provider.options:
            advice = f"Set providers.{name}.api_key, e.g. to ${{{name.upper()}_API_KEY}}."
            yield Finding("providers", "fail", f"{name} has no api_key", advice)
