"""`SIGIL_*` variables: two underscores for each level, over whatever the file says.

`SIGIL_REDIS__URL`, `SIGIL_WORKERS__AGENT__CONCURRENCY`, `SIGIL_PROVIDERS__OPENAI__API_KEY`. Text
is taken as it is; numbers, switches and lists are read as YAML, a list also with commas. An
empty variable counts as not set. Case does not matter in names, and `_` also matches `-`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_origin

from pydantic import SecretStr

from sigil.config.paths import KeyPath, format_path, put_value
from sigil.config.problems import Problem, suggest
from sigil.config.schema import Section, Settings
from sigil.config.schema.lookup import find_child_type, list_fields, split_type
from sigil.config.sources.document import parse_scalar
from sigil.errors import ConfigError

PREFIX = "SIGIL_"
# These say how to start and are not settings.
RESERVED = frozenset({"SIGIL_CONFIG", "SIGIL_ROLE"})


def apply_variables(
    data: dict[str, Any], environ: Mapping[str, str]
) -> tuple[dict[KeyPath, str], list[Problem]]:
    """Puts the values of the variables into `data`.

    Returns which variable set which path, and a problem for each variable that names no setting.
    """
    origins: dict[KeyPath, str] = {}
    problems: list[Problem] = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in RESERVED or not environ[name]:
            continue
        try:
            path, annotation = _find_setting(name.removeprefix(PREFIX).lower().split("__"), data)
            value = _parse_value(environ[name], annotation)
        except ConfigError as error:
            problems.append(Problem((), f"{name}: {error.message}"))
            continue
        put_value(data, path, value)
        origins[path] = name
    return origins, problems


def _find_setting(words: list[str], data: dict[str, Any]) -> tuple[KeyPath, Any]:
    """The path that the words name, spelled as in `data`, and the type of the setting there."""
    path: KeyPath = ()
    annotation: Any = Settings
    here: Any = data
    for word in words:
        known = list_fields(path) or (list(here) if isinstance(here, dict) else [])
        key = next((k for k in known if k.lower().replace("-", "_") == word), word)
        found = find_child_type(annotation, key) if word and not _is_list(annotation) else None
        if found is None:
            near = suggest(word, list_fields(path))
            raise ConfigError(f"unknown setting '{format_path((*path, word))}'{near}")
        path, annotation = (*path, key), found
        here = here.get(key) if isinstance(here, dict) else None
    if _is_section(annotation):
        raise ConfigError(f"names the section '{format_path(path)}', not a setting in it")
    return path, annotation


def _is_list(annotation: Any) -> bool:
    return any(get_origin(each) is list for each in split_type(annotation))


def _is_section(annotation: Any) -> bool:
    return any(
        get_origin(each) is dict or (isinstance(each, type) and issubclass(each, Section))
        for each in split_type(annotation)
    )


def _parse_value(text: str, annotation: Any) -> Any:
    kinds = list(split_type(annotation))
    if any(each in (str, SecretStr, Path) or get_origin(each) is Literal for each in kinds):
        return text
    if _is_list(annotation) and not text.lstrip().startswith(("[", "-")):
        return [word.strip() for word in text.split(",") if word.strip()]
    return parse_scalar(text)
