"""`SIGIL_*` variables: two underscores for each level, over whatever the file says.

`SIGIL_REDIS__URL`, `SIGIL_WORKERS__AGENT__CONCURRENCY`, `SIGIL_PROVIDERS__OPENAI__API_KEY`. Text
is taken as it is; numbers, switches and lists are read as YAML, a list also with commas. An
empty variable counts as not set. Names are found without regard to case, `-` as `_`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_origin

from pydantic import SecretStr

from sigil.config.document import KeyPath, scalar
from sigil.config.problems import Problem, child, dotted, fields_at, parts, suggestion
from sigil.config.schema import Settings
from sigil.config.section import Section
from sigil.errors import ConfigError

PREFIX = "SIGIL_"
# These say how to start, not what to be.
RESERVED = frozenset({"SIGIL_CONFIG", "SIGIL_ROLE", "SIGIL_REQUIRE_PEERS"})


def apply(
    data: dict[str, Any], environ: Mapping[str, str]
) -> tuple[dict[KeyPath, str], list[Problem]]:
    """Puts the variables' values into `data`. Returns which variable set which path, and the
    variables that name no setting."""
    origins: dict[KeyPath, str] = {}
    problems: list[Problem] = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in RESERVED or not environ[name]:
            continue
        try:
            path, annotation = _target(name.removeprefix(PREFIX).lower().split("__"), data)
            value = _value(environ[name], annotation)
        except ConfigError as error:
            problems.append(Problem((), f"{name}: {error.message}"))
            continue
        _put(data, path, value)
        origins[path] = name
    return origins, problems


def _target(words: list[str], data: dict[str, Any]) -> tuple[KeyPath, Any]:
    """The path that the words name, in the spelling of `data`, and the type found there."""
    path: KeyPath = ()
    annotation: Any = Settings
    here: Any = data
    for word in words:
        known = fields_at(path) or (list(here) if isinstance(here, dict) else [])
        key = next((k for k in known if k.lower().replace("-", "_") == word), word)
        found = child(annotation, key) if word and not _is_list(annotation) else None
        if found is None:
            near = suggestion(word, fields_at(path))
            raise ConfigError(f"unknown setting '{dotted((*path, word))}'{near}")
        path, annotation = (*path, key), found
        here = here.get(key) if isinstance(here, dict) else None
    if _is_section(annotation):
        raise ConfigError(f"names the section '{dotted(path)}', not a setting in it")
    return path, annotation


def _is_list(annotation: Any) -> bool:
    return any(get_origin(each) is list for each in parts(annotation))


def _is_section(annotation: Any) -> bool:
    return any(
        get_origin(each) is dict or (isinstance(each, type) and issubclass(each, Section))
        for each in parts(annotation)
    )


def _value(text: str, annotation: Any) -> Any:
    kinds = list(parts(annotation))
    if any(each in (str, SecretStr, Path) or get_origin(each) is Literal for each in kinds):
        return text
    if _is_list(annotation) and not text.lstrip().startswith(("[", "-")):
        return [word.strip() for word in text.split(",") if word.strip()]
    return scalar(text)


def _put(data: dict[str, Any], path: KeyPath, value: Any) -> None:
    for key, following in _steps(path):
        if following is None:
            data[key] = value
            return
        below = data.get(key)
        if below is None:
            below = data[key] = {}
        if not isinstance(below, dict):
            return  # the file has the wrong shape here, which is reported as such
        data = below


def _steps(path: KeyPath) -> Iterator[tuple[str, str | int | None]]:
    for index, key in enumerate(path):
        yield str(key), path[index + 1] if index + 1 < len(path) else None
