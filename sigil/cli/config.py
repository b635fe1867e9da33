"""`sigil config`: is it usable, what is in force, what may be written, where to start."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

from sigil import bootstrap
from sigil.cli import output
from sigil.config import Settings, find_config, load_settings
from sigil.config.masking import masked
from sigil.errors import ConfigError

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN = frozenset({"integer", "number", "boolean", "string"})


def check(path: Path | None, role: str | None, *, as_json: bool) -> int:
    """Says ok and what was found, or raises `ConfigError` with everything that is wrong."""
    try:
        settings = load_settings(path, role=role)
        bootstrap.check(settings, role)
    except ConfigError as error:
        if not as_json:
            raise
        output.as_json({"ok": False, "error": str(error)})
        return 1
    found = {"file": source(path), **summary(settings)}
    if as_json:
        output.as_json({"ok": True, **found})
    else:
        output.line("ok")
        output.pairs({name: _listed(value) for name, value in found.items()})
    return 0


def source(path: Path | None) -> str | None:
    """The file that `load_settings(path)` reads; None if there is none."""
    named = path or os.environ.get("SIGIL_CONFIG") or find_config()
    return None if named is None else str(named)


def summary(settings: Settings) -> dict[str, Any]:
    """What the settings say, in a few lines."""
    return {
        "data": str(settings.data_dir),
        "redis": "embedded" if settings.redis.url is None else masked(settings)["redis"]["url"],
        "gateway": f"{settings.gateway.host}:{settings.gateway.port}",
        "channels": sorted(settings.channels),
        "providers": sorted(settings.providers),
        "model": settings.models.default,
        "users": sorted(settings.users),
        "workspaces": sorted(settings.workspaces),
    }


def _listed(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "none, all defaults" if value is None else value


def show(settings: Settings, *, as_json: bool) -> int:
    """Prints the settings in force as YAML, or JSON. Secrets are masked."""
    shown = masked(settings)
    if as_json:
        output.as_json(shown)
    else:
        import yaml

        output.line(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True).rstrip())
    return 0


def schema() -> int:
    """Prints the JSON Schema (draft 2020-12) of the file."""
    output.as_json(json_schema())
    return 0


def json_schema() -> dict[str, Any]:
    """The schema of what may be written, which is more than what comes out: references to
    variables anywhere, numbers for ids, and null for "not given"."""
    found = Settings.model_json_schema()
    found["$schema"] = DIALECT
    for section in (found, *found["$defs"].values()):
        required = section.get("required", ())
        section["properties"] = {
            name: _writable(each, nullable=name not in required)
            for name, each in section["properties"].items()
        }
        if section is not found:
            section["type"] = ["object", "null"]
    found["$defs"]["Reference"] = {
        "type": "string",
        "pattern": r"\$\{",
        "description": "${NAME} or ${NAME:-default}: taken from the environment.",
    }
    return found


def _writable(field: dict[str, Any], *, nullable: bool) -> dict[str, Any]:
    words = {name: field[name] for name in ("title", "description", "default") if name in field}
    alternatives = field.get("anyOf") or [{k: v for k, v in field.items() if k not in words}]
    alternatives = [_loosened(each) for each in alternatives]
    if any(_is_plain(each) for each in alternatives):
        alternatives.append({"$ref": "#/$defs/Reference"})
    if nullable and {"type": "null"} not in alternatives:
        alternatives.append({"type": "null"})
    return words | (alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives})


def _loosened(field: dict[str, Any]) -> dict[str, Any]:
    if field.get("type") == "array":
        item = _loosened(field["items"])
        if _is_plain(item):
            item = {"anyOf": [item, {"$ref": "#/$defs/Reference"}]}
        return field | {"items": item}
    if field.get("type") == "string" and not {"enum", "const", "format"} & field.keys():
        return field | {"type": ["string", "integer"]}
    return field


def _is_plain(field: dict[str, Any]) -> bool:
    types = field.get("type", ())
    return bool(_PLAIN & ({types} if isinstance(types, str) else set(types))) or "enum" in field


def init(path: Path, *, force: bool) -> int:
    """Writes the commented starting point, readable by its owner only.

    Raises `ConfigError` if something is there and `force` is not given, or if it cannot write.
    """
    text = (resources.files("sigil.cli") / "starter.yaml").read_text(encoding="utf-8")
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise ConfigError(
            f"{path}: there is something already.", hint="--force overwrites it."
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    output.line(f"Wrote {path}. `sigil config check` checks it, `sigil up` starts with it.")
    return 0
